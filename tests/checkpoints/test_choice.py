"""Layers that a person names: the same weights under any names are the same layer, and what does not fit is refused."""

import itertools

import numpy as np
import pytest

from unitcircle.checkpoints._assembly import assemble
from unitcircle.checkpoints._choice import Choice
from unitcircle.checkpoints._leak import with_leak
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.diagnosis import diagnose
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence import Cell, from_torch

RNG = np.random.default_rng(8)
N, M = 4, 3
GATES = {"rnn_tanh": 1, "gru": 3, "lstm": 4}


def stored(*shape, dtype="float32", values=None):
    array = RNG.standard_normal(shape).astype(dtype) if values is None else np.asarray(values)
    return StoredTensor(array.shape, array.dtype.name, lambda: array)


def chosen(tensors, *choices, layout=None, leak=None):
    return Choice(choices, layout, leak).layers(tensors, file="f")


def torch_tensors(cell, *, bias=True):
    k = GATES[cell]
    shapes = {"weight_hh_l0": (k * N, N), "weight_ih_l0": (k * N, M)}
    shapes |= {"bias_ih_l0": (k * N,), "bias_hh_l0": (k * N,)} if bias else {}
    return {f"rnn.{name}": stored(*shape) for name, shape in shapes.items()}


ROLE_OF_TORCH = {"weight_hh": "recurrent", "weight_ih": "input", "bias_ih": "bias", "bias_hh": "recurrent_bias"}


def renamed(tensors):
    """Return tensors of torch under names that say nothing, and role → name."""
    roles = {ROLE_OF_TORCH[name.split(".")[1].removesuffix("_l0")]: f"t{k}" for k, name in enumerate(tensors)}
    roles.setdefault("bias", None)
    return {f"t{k}": tensor for k, tensor in enumerate(tensors.values())}, roles


def assert_same(one, other):
    assert one.cell == other.cell
    assert one.reset_after == other.reset_after
    assert dict(one.activations) == dict(other.activations)
    for blocks in ("gates", "inputs", "biases", "recurrent_biases"):
        a, b = getattr(one, blocks), getattr(other, blocks)
        assert list(a) == list(b)
        for gate in a:
            np.testing.assert_array_equal(a[gate], b[gate])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("cell", GATES)
def test_the_same_weights_under_any_names_are_the_same_layer(cell, bias):
    tensors = torch_tensors(cell, bias=bias)
    (by_name,), _ = assemble(tensors, file="f")
    plain, roles = renamed(tensors)
    (layer,) = chosen(plain, roles, layout=f"torch:{cell}")
    assert_same(layer, by_name)
    assert not layer.unknown
    findings = [[(f.code, f.message, f.evidence) for f in diagnose([one]).findings] for one in (by_name, layer)]
    assert findings[0] == findings[1]


def blocks_of(tensor, k):
    return np.split(tensor.load(), k)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("rows", [True, False])
def test_every_order_of_gates_is_the_same_layer(cell, rows):
    tensors = torch_tensors(cell)
    (by_name,), _ = assemble(tensors, file="f")
    plain, roles = renamed(tensors)
    torch_order = Cell(cell).stack("torch")
    for permutation in itertools.permutations(range(len(torch_order))):
        shuffled = {
            name: stored(values=np.concatenate([blocks_of(tensor, len(torch_order))[k] for k in permutation]))
            for name, tensor in plain.items()
        }
        if rows:
            shuffled = {name: stored(values=tensor.load().T) for name, tensor in shuffled.items()}
        order = "".join(torch_order[k] for k in permutation)
        layouts = [order, f"flax:{order}"] if rows else [order, f"torch:{order.upper()}"]
        for layout in layouts:
            (layer,) = chosen(shuffled, roles, layout=layout)
            assert_same(layer, by_name)


@pytest.mark.parametrize(
    ("letters", "order"), [("ifco", "ifgo"), ("ijfo", "igfo"), ("urh", "zrn"), ("zrc", "zrn"), ("icfo", "igfo")]
)
def test_other_letters_for_a_gate(letters, order):
    k = len(order)
    tensors = {"U": stored(k * N, N)}
    (one,), (other,) = chosen(tensors, "U", layout=letters), chosen(tensors, "U", layout=order)
    assert_same(one, other)


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn_tanh"])
@pytest.mark.parametrize("bias", ["pair", "two", "one", "none"])
def test_keras_layouts(cell, bias):
    k = GATES[cell]
    kernel, recurrent, b = stored(M, k * N), stored(N, k * N), stored(2, k * N)
    names = {"layer.kernel:0": kernel, "layer.recurrent_kernel:0": recurrent}
    plain = {"W": kernel, "U": recurrent}
    roles = {"recurrent": "U", "input": "W", "bias": None}
    if bias == "pair":
        names["layer.bias:0"] = plain["b"] = b
        roles["bias"] = "b"
    elif bias == "two":
        names["layer.bias:0"] = b
        plain |= {"b": stored(values=b.load()[0]), "c": stored(values=b.load()[1])}
        roles |= {"bias": "b", "recurrent_bias": "c"}
    elif bias == "one":
        names["layer.bias:0"] = plain["b"] = stored(k * N)
        roles["bias"] = "b"
    (by_name,), _ = assemble(names, file="f")
    (layer,) = chosen(plain, roles, layout=f"keras:{cell}")
    assert_same(layer, by_name)


def test_the_layout_of_onnx():
    R, W, B = stored(1, 4 * N, N), stored(1, 4 * N, M), stored(1, 8 * N)
    (layer,) = chosen({"R": R, "W": W, "B": B}, {"recurrent": "R", "input": "W", "bias": "B"}, layout="onnx")
    assert layer.cell is Cell.LSTM
    np.testing.assert_array_equal(layer.gates["o"], R.load()[0, N : 2 * N])
    expected = B.load()[0, N : 2 * N] + B.load()[0, 5 * N : 6 * N]
    np.testing.assert_allclose(layer.biases["o"], expected, rtol=np.finfo(np.float32).eps)  # one sum
    (gru,) = chosen({"R": stored(3 * N, N)}, "R", layout="onnx:gru")
    assert not gru.reset_after
    assert gru.unknown == {"input", "bias"}


def test_a_projection():
    tensors = {"U": stored(4 * N, 2), "P": stored(2, N), "W": stored(4 * N, M)}
    (layer,) = chosen(tensors, {"recurrent": "U", "projection": "P", "input": "W"}, layout="torch")
    assert (layer.hidden_size, layer.output_size, layer.input_size) == (N, 2, M)


def test_a_bias_inside_the_reset_product_alone():
    tensors = {"U": stored(3 * N, N), "b": stored(3 * N), "bn": stored(N)}
    (layer,) = chosen(tensors, {"recurrent": "U", "bias": "b", "recurrent_bias": "bn"}, layout="torch:zrn")
    np.testing.assert_array_equal(layer.recurrent_biases["n"], tensors["bn"].load())
    np.testing.assert_array_equal(layer.biases["z"], tensors["b"].load()[:N])


def test_what_is_not_named_is_unknown():
    tensors = {"W": stored(N, N), "Win": stored(N, M), "b": stored(N, 1)}
    assert chosen(tensors, "W")[0].unknown == {"input", "bias", "leak", "activation"}
    assert chosen(tensors, {"recurrent": "W", "input": "Win"}, layout="torch")[0].unknown == {
        "bias",
        "leak",
        "activation",
    }
    assert chosen(tensors, {"recurrent": "W", "bias": None}, layout="torch:rnn_relu")[0].unknown == {"input"}
    (layer,) = chosen(tensors, "recurrent=W,input=Win,bias=b", layout="torch:rnn_tanh", leak=0.3)
    assert layer.unknown == set()
    (none,) = chosen(tensors, "recurrent=W,input=Win,bias=", layout="torch:rnn_tanh")
    assert none.unknown == set()
    assert not none.biases


def test_a_leak_is_used():
    W = 0.9 * np.linalg.qr(RNG.standard_normal((N, N)))[0]
    tensors = {"W": stored(values=W), "alpha": stored(values=np.float32(0.25)), "tau": stored(values=np.full(N, 0.5))}
    (layer,) = chosen(tensors, "W", layout="torch:rnn_relu", leak=0.25)
    assert (layer.cell, layer.leak, layer.activations["h"]) == (Cell.LEAKY_RNN, 0.25, "relu")
    (by_name,) = chosen(tensors, "W", layout="torch:rnn_relu", leak="alpha")
    assert by_name.leak == 0.25
    assert by_name.source.tensors == ("W", "alpha")
    (per_unit,) = chosen(tensors, "W", layout="torch:leaky_rnn", leak="tau")
    np.testing.assert_array_equal(per_unit.leak, np.full(N, 0.5))
    assert per_unit.unknown == {"input", "bias", "activation"}
    assert chosen(tensors, "W", layout="torch:leaky_rnn")[0].unknown >= {"leak"}


def test_a_leak_for_layers_that_were_recognised():
    layers = [
        from_torch(np.eye(N), cell="rnn_tanh", name="a", unknown={"leak", "bias"}),
        from_torch(np.eye(N), cell="rnn_tanh", name="b"),
    ]
    leaky, plain = with_leak(layers, "0.5", {})
    assert (leaky.cell, leaky.leak, leaky.unknown) == (Cell.LEAKY_RNN, 0.5, {"bias"})
    assert plain is layers[1]
    with pytest.raises(ArgumentError, match="leak must be for a plain cell whose leak the file leaves unknown"):
        with_leak(layers[1:], 0.5, {})


def test_the_side_of_the_state_without_a_layout():
    W = stored(N, N)
    (columns,) = chosen({"W": W, "U": stored(N, M)}, {"recurrent": "W", "input": "U"})
    (rows,) = chosen({"W": W, "U": stored(M, N)}, {"recurrent": "W", "input": "U"})
    np.testing.assert_array_equal(columns.gates["h"], W.load())
    np.testing.assert_array_equal(rows.gates["h"], W.load().T)
    assert rows.input_size == columns.input_size == M


TENSORS = {
    "U": stored(4 * N, N),
    "R": stored(N, N),
    "W": stored(4 * N, M),
    "odd": stored(4 * N + 1, M),
    "b": stored(4 * N),
    "short": stored(N + 1),
    "ids": stored(N, N, dtype="int64"),
    "cube": stored(2, N, N),
    "half": stored(2 * N, N),
}
REFUSED = [
    (("Q",), {}, UnknownNameError, "tensor must be one of .*; got 'Q'"),
    (({"recurrent": "U", "weights": "W"},), {"layout": "torch"}, UnknownNameError, "role must be one of bias, input"),
    (({"input": "W"},), {"layout": "torch"}, ArgumentError, r"must name the recurrent weight .*; got input\. Add"),
    (("recurrent=U,recurrent=R",), {}, ArgumentError, "must name each role once"),
    (({"recurrent": "U", "input": "odd"},), {"layout": "torch"}, ShapeError, r"input odd must have shape \(16, m\)"),
    (({"recurrent": "U", "bias": "short"},), {"layout": "torch"}, ShapeError, r"bias short must have shape \(16,\)"),
    (({"recurrent": "U", "input": "W"},), {"layout": "keras:lstm"}, ShapeError, "recurrent U must be"),
    (({"recurrent": "U", "projection": "R"},), {"layout": "torch:gru"}, ShapeError, "must be 3 square blocks"),
    (("half",), {"layout": "torch"}, ArgumentError, "layout must name a cell, for the shape tells none"),
    (("U",), {}, ArgumentError, "layout must say the order of the gates of a cell lstm; .* such as ifgo"),
    (("U",), {"layout": "lstm"}, ArgumentError, "layout must say the order of the gates"),
    (("U",), {"layout": "theano"}, ArgumentError, "layout must be torch, keras, onnx, flax, each"),
    (("U",), {"layout": "torch:"}, ArgumentError, "layout must be torch"),
    (("U",), {"layout": "torch:iffo"}, ArgumentError, "layout must be torch"),
    (("U",), {"layout": "zrn"}, ShapeError, "recurrent U must be 3 square blocks for a cell gru"),
    (("R",), {"layout": "torch:lstm"}, ShapeError, "recurrent R must be 4 square blocks"),
    (("ids",), {}, ArgumentError, "recurrent ids must hold floating-point numbers; got type int64"),
    (("cube",), {}, ShapeError, "recurrent cube must be a matrix"),
    (("b",), {}, ShapeError, "recurrent b must be a matrix"),
    (("U",), {"layout": "torch", "leak": 0.5}, ArgumentError, "leak must be for a plain cell; got a cell lstm"),
    (("R",), {"leak": 0.0}, ArgumentError, "leak must be above 0 and at most 1"),
    (("R",), {"leak": 1.5}, ArgumentError, "leak must be above 0 and at most 1"),
    (("R",), {"leak": "nan"}, ArgumentError, "leak must be above 0 and at most 1"),
    (("R",), {"leak": "alpha"}, UnknownNameError, "tensor must be one of"),
    (("R",), {"leak": "short"}, ShapeError, r"leak must be one number, or one for each of the 4 units"),
]


@pytest.mark.parametrize(("choices", "options", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused(choices, options, error, message):
    with pytest.raises(error, match=message):
        chosen(TENSORS, *choices, **options)


def test_a_name_that_is_not_among_many_is_answered_with_the_nearest():
    tensors = {f"layers.{k}.kernel": stored(2, 2) for k in range(50)}
    with pytest.raises(ArgumentError, match=r"tensor must be one of the 50 of the file; got 'layers.7.kernl'\. Did"):
        chosen(tensors, "layers.7.kernl")


def test_a_name_with_signs_of_the_notation_is_a_name():
    (layer,) = chosen({"recurrent=a,b": stored(N, N)}, "recurrent=a,b")
    assert layer.name == "recurrent=a,b"
