"""Stacks of TensorFlow 1, Haiku, Sonnet, Chainer and dl4mt: a step of the layer is the step of the framework."""

import re

import numpy as np
import pytest
from tests.checkpoints.test_assembly import assembled, stored
from tests.checkpoints.test_framework_cells import sigmoid

from unitcircle.checkpoints._choice import Choice
from unitcircle.recurrence import step

EPS = float(np.finfo(float).eps)

RNG = np.random.default_rng(1)
N, M = 4, 3
X, H, C = RNG.standard_normal(M), RNG.standard_normal(N), RNG.standard_normal(N)
# Steps of a few units in double precision: 15 eps relative to the entry, 2 absolute, measured.
TIGHT = {"rtol": 64 * EPS, "atol": 8 * EPS}


def lstm_step(i, g, f, o):
    c = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    return np.concatenate([sigmoid(o) * np.tanh(c), c])


def read(tensors):
    (layer,), coverage = assembled(tensors)
    assert not coverage.unread
    return layer, coverage


def double(tensor):
    return tensor.load().astype(float)


@pytest.mark.parametrize(
    ("kernel", "bias", "by"),
    [
        ("rnn/basic_lstm_cell/kernel", "rnn/basic_lstm_cell/bias", "tensorflow"),
        ("rnn/multi_rnn_cell/cell_0/lstm_cell/kernel:0", "rnn/multi_rnn_cell/cell_0/lstm_cell/bias:0", "tensorflow"),
        ("a/basic_lstm_cell/weights", "a/basic_lstm_cell/biases", "tensorflow"),
        ("lstm/BasicLSTMCell/Linear/Matrix", "lstm/BasicLSTMCell/Linear/Bias", "tensorflow"),
        ("lstm/linear/w", "lstm/linear/b", "haiku"),
        ("deep_rnn/~/lstm_1/linear.w", "deep_rnn/~/lstm_1/linear.b", "haiku"),
        ("core/lstm/w_gates", "core/lstm/b_gates", "sonnet"),
    ],
)
def test_one_kernel_on_input_and_state_with_a_one_added_in_code(kernel, bias, by):
    if "linear.w" in kernel:
        kernel, bias = kernel.replace(".", "/"), bias.replace(".", "/")
    K, b = stored(M + N, 4 * N), stored(4 * N)
    layer, coverage = read({kernel: K, bias: b})
    i, g, f, o = np.split(np.concatenate([X, H]) @ double(K) + double(b), 4)
    np.testing.assert_allclose(step(layer, X, np.concatenate([H, C])), lstm_step(i, g, f + 1, o), **TIGHT)
    assert layer.source.layout == by
    assert f"the 1 that {by} adds to the forget gate in code is included" in coverage.notes[0]


def test_the_peepholes_of_tensorflow():
    names = {gate: f"rnn/lstm_cell/w_{gate}_diag" for gate in "ifo"}
    tensors = {"rnn/lstm_cell/kernel": stored(M + N, 4 * N), "rnn/lstm_cell/bias": stored(4 * N)}
    layer, _ = read(tensors | {name: stored(N) for name in names.values()})
    assert set(layer.peepholes) == {"i", "f", "o"}
    layers, coverage = assembled(tensors | {"rnn/lstm_cell/projection/kernel": stored(N, 2)})
    assert not layers
    assert "TensorFlow 1 with a projection: not read" in coverage.unread[0]


def test_the_kernel_of_a_keras_cell_is_no_joint_kernel():
    tensors = {"lstm/lstm_cell/kernel:0": stored(9, 16), "lstm/lstm_cell/recurrent_kernel:0": stored(4, 16)}
    layer, _ = read(tensors)
    assert layer.source.layout == "keras"


def test_the_gru_of_tensorflow_resets_before_the_product():
    K, b, Kc, bc = stored(M + N, 2 * N), stored(2 * N), stored(M + N, N), stored(N)
    names = ("gates/kernel", "gates/bias", "candidate/kernel", "candidate/bias")
    layer, _ = read({f"rnn/gru_cell/{name}": tensor for name, tensor in zip(names, (K, b, Kc, bc), strict=True)})
    r, u = np.split(sigmoid(np.concatenate([X, H]) @ double(K) + double(b)), 2)
    new = np.tanh(np.concatenate([X, r * H]) @ double(Kc) + double(bc))
    np.testing.assert_allclose(step(layer, X, H), u * H + (1 - u) * new, **TIGHT)


def test_the_plain_cell_of_tensorflow():
    K, b = stored(M + N, N), stored(N)
    layer, _ = read({"rnn/basic_rnn_cell/kernel": K, "rnn/basic_rnn_cell/bias": b})
    np.testing.assert_allclose(step(layer, X, H), np.tanh(np.concatenate([X, H]) @ double(K) + double(b)), **TIGHT)


def test_the_lstm_of_sonnet_2():
    Wi, Wh, b = stored(M, 4 * N), stored(N, 4 * N), stored(4 * N)
    layer, _ = read({"agent/lstm/w_i": Wi, "agent/lstm/w_h": Wh, "agent/lstm/b": b})
    i, f, g, o = np.split(X @ double(Wi) + H @ double(Wh) + double(b), 4)
    np.testing.assert_allclose(step(layer, X, np.concatenate([H, C])), lstm_step(i, g, f, o), **TIGHT)


@pytest.mark.parametrize("separator", ["/", "."])
def test_the_gru_of_haiku_replaces_by_its_update_gate(separator):
    Wi, Wh, b = stored(M, 3 * N), stored(N, 3 * N), stored(3 * N)
    layer, _ = read({f"gru{separator}{name}": part for name, part in (("w_i", Wi), ("w_h", Wh), ("b", b))})
    xs, bs, hs = np.split(X @ double(Wi), 3), np.split(double(b), 3), np.split(double(Wh), 3, axis=1)
    z, r = (sigmoid(xs[k] + H @ hs[k] + bs[k]) for k in (0, 1))
    new = np.tanh(xs[2] + (r * H) @ hs[2] + bs[2])
    np.testing.assert_allclose(step(layer, X, H), (1 - z) * H + z * new, **TIGHT)


def test_the_plain_cell_of_haiku_is_rectified():
    tensors = {"vanilla_rnn/linear/w": stored(M, N), "vanilla_rnn/linear/b": stored(N)}
    tensors |= {"vanilla_rnn/linear_1/w": stored(N, N), "vanilla_rnn/linear_1/b": stored(N)}
    layer, _ = read(tensors)
    W, b, V, c = (double(tensor) for tensor in tensors.values())
    np.testing.assert_allclose(step(layer, X, H), np.maximum(X @ W + b + H @ V + c, 0), **TIGHT)


def test_the_lstm_of_chainer_holds_the_gates_of_a_unit_together():
    V, U, b = stored(4 * N, N), stored(4 * N, M), stored(4 * N)
    layer, _ = read({"lstm/lateral/W": V, "lstm/upward/W": U, "lstm/upward/b": b})
    a = (double(V) @ H + double(U) @ X + double(b)).reshape(N, 4)
    np.testing.assert_allclose(
        step(layer, X, np.concatenate([H, C])), lstm_step(a[:, 1], a[:, 0], a[:, 2], a[:, 3]), **TIGHT
    )


def test_the_gru_of_dl4mt_resets_after_the_product():
    shapes = {"W": (M, 2 * N), "U": (N, 2 * N), "b": (2 * N,), "Wx": (M, N), "Ux": (N, N), "bx": (N,)}
    tensors = {f"encoder_{name}": stored(*shape) for name, shape in shapes.items()}
    layer, _ = read(tensors)
    W, U, b, Wx, Ux, bx = (double(tensor) for tensor in tensors.values())
    r, u = np.split(sigmoid(X @ W + H @ U + b), 2)
    new = np.tanh(r * (H @ Ux) + X @ Wx + bx)
    np.testing.assert_allclose(step(layer, X, H), u * H + (1 - u) * new, **TIGHT)
    assert layer.name == "encoder"


@pytest.mark.parametrize(
    ("tensors", "hint"),
    [
        ({"c.h2h.weight": (16, 4), "c.x2h.weight": (16, 3), "c.x2h.bias": (16,), "c.h2h.bias": (16,)},
         "--tensor recurrent=c.h2h.weight,input=c.x2h.weight,bias=c.x2h.bias,recurrent_bias=c.h2h.bias --layout ifgo"),
        ({"Wh": (4, 16), "Wx": (3, 16), "b": (16,)}, "--tensor recurrent=Wh,input=Wx,bias=b --layout ifgo"),
        ({"m.U": (4, 12), "m.W": (3, 12), "m.bias": (12,)}, "recurrent=m.U,input=m.W,bias=m.bias --layout zrn"),
        ({"weight_hh": (4, 16), "weight_ih": (3, 16)}, "recurrent=weight_hh,input=weight_ih --layout ifgo"),
        ({"lstm.gates.weight": (16, 7)}, ""),
        ({"i2h.weight": (4, 7), "i2o.weight": (2, 7)}, ""),
        ({"W_h": (8, 4), "W_x": (8, 3)}, ""),
    ],
)  # fmt: skip
def test_a_stack_whose_order_is_in_the_code_alone_is_not_read_and_says_so(tensors, hint):
    layers, coverage = assembled({name: stored(*shape) for name, shape in tensors.items()})
    assert not layers
    (sentence,) = coverage.unread
    assert "not read" in sentence
    assert hint in sentence


@pytest.mark.parametrize(
    ("recurrent", "inputs", "rows"),
    [("c.h2h.weight", "c.x2h.weight", False), ("Wh", "Wx", True), ("weight_hh", "weight_ih", True), ("U", "W", False)],
)
def test_following_the_hint_gives_the_cell_in_the_order_that_is_named(recurrent, inputs, rows):
    W, U = stored(4 * N, N), stored(4 * N, M)
    tensors = {recurrent: W, inputs: U}
    if rows:
        tensors = {name: stored(values=tensor.load().T) for name, tensor in tensors.items()}
    _, coverage = assembled(tensors)
    hint = re.search(r"--tensor (\S+) --layout (\w+)", coverage.unread[0])
    (layer,) = Choice.of([hint[1]], "fgio", None).layers(tensors, file="f")
    f, g, i, o = np.split(double(W) @ H + double(U) @ X, 4)
    np.testing.assert_allclose(step(layer, X, np.concatenate([H, C])), lstm_step(i, g, f, o), **TIGHT)
