"""flax parameters and modules as layers: our reference step against flax's forward pass, and what a diagnosis says."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import unitcircle as uc
from unitcircle.errors import ArgumentError
from unitcircle.jax import initialize_, initializer, to_layers
from unitcircle.recurrence import Cell, step

KEY = jax.random.key(0)
M, N = 3, 5
NOISY = {"bias_init": nn.initializers.normal(1.0)}
LINEN = {
    "simple": nn.SimpleCell(N, **NOISY),
    "lstm": nn.LSTMCell(N, **NOISY),
    "optimized lstm": nn.OptimizedLSTMCell(N, **NOISY),
    "gru": nn.GRUCell(N, **NOISY),
}
NNX = {
    "simple": lambda rngs: nnx.SimpleCell(M, N, rngs=rngs, **NOISY),
    "relu": lambda rngs: nnx.SimpleCell(M, N, rngs=rngs, activation_fn=jax.nn.relu, **NOISY),
    "residual": lambda rngs: nnx.SimpleCell(M, N, rngs=rngs, residual=True, **NOISY),
    "lstm": lambda rngs: nnx.LSTMCell(M, N, rngs=rngs, **NOISY),
    "optimized lstm": lambda rngs: nnx.OptimizedLSTMCell(M, N, rngs=rngs, **NOISY),
    "lstm of relu": lambda rngs: nnx.OptimizedLSTMCell(M, N, rngs=rngs, activation_fn=jax.nn.relu, **NOISY),
    "gru": lambda rngs: nnx.GRUCell(M, N, rngs=rngs, **NOISY),
    "gru of relu": lambda rngs: nnx.GRUCell(M, N, rngs=rngs, activation_fn=jax.nn.relu, **NOISY),
    "gelu": lambda rngs: nnx.SimpleCell(M, N, rngs=rngs, activation_fn=jax.nn.gelu, **NOISY),
    "leaky": lambda rngs: nnx.SimpleCell(
        M, N, rngs=rngs, activation_fn=partial(nn.leaky_relu, negative_slope=0.2), **NOISY
    ),
    "of one's own": lambda rngs: nnx.GRUCell(M, N, rngs=rngs, activation_fn=lambda x: jnp.where(x > 0, x, 0), **NOISY),
    "exact gelu": lambda rngs: nnx.LSTMCell(M, N, rngs=rngs, gate_fn=partial(nn.gelu, approximate=False), **NOISY),
    "hard gates": lambda rngs: nnx.GRUCell(M, N, rngs=rngs, gate_fn=jax.nn.hard_sigmoid, **NOISY),
}


def inputs():
    x, *carry = np.random.default_rng(0).standard_normal((3, 4, N)).astype(np.float32)
    return jnp.asarray(x[:, :M]), tuple(map(jnp.asarray, carry))


def assert_same_step(layer, cell):
    x, (c, h) = inputs()
    lstm = layer.cell is Cell.LSTM
    after, _ = cell((c, h) if lstm else h, x)
    ours = step(layer, x, np.concatenate([h, c], -1) if lstm else h)
    theirs = np.concatenate([after[1], after[0]], -1) if lstm else after
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=20 * N * 2.0**-23)


@pytest.mark.parametrize("name", LINEN)
def test_linen_parameters_make_the_step_of_the_cell(name):
    cell = LINEN[name]
    x, (c, h) = inputs()
    variables = cell.init(KEY, (c, h) if "lstm" in name else h, x)
    [layer] = to_layers(variables)
    assert layer.name == "params"
    assert layer.source.layout == "flax-tree"
    assert layer.source.tensors[0].startswith("params.h")
    assert layer.source.dtype == "float32"
    assert_same_step(layer, lambda carry, x: cell.apply(variables, carry, x))


@pytest.mark.parametrize("name", NNX)
def test_nnx_modules_make_the_step_of_the_cell(name):
    cell = NNX[name](nnx.Rngs(0))
    [layer] = to_layers(cell)
    assert layer.name == "cell"
    assert_same_step(layer, cell)


def test_a_function_is_known_by_its_values():
    def tanh(x):
        return jnp.tanh(2 * x)

    for function, name in (
        (tanh, "tanh(?)"),
        (jax.nn.mish, "mish"),
        (nn.softmax, "softmax"),
        (jax.jit(jnp.tanh), "tanh"),
    ):
        [layer] = to_layers(nnx.SimpleCell(M, N, rngs=nnx.Rngs(0), activation_fn=function))
        assert layer.activations == {"h": name}


def test_a_model_in_order_with_names_and_directions():
    rngs = nnx.Rngs(0)
    ours = {"recurrent_kernel_init": initializer("orthogonal", gates=4)}  # JAX's own fails in bfloat16
    model = nnx.Sequential(
        nnx.RNN(nnx.OptimizedLSTMCell(M, N, rngs=rngs, param_dtype=jnp.bfloat16, **ours), rngs=rngs),
        nnx.Bidirectional(
            nnx.RNN(nnx.GRUCell(N, N, rngs=rngs), rngs=rngs), nnx.RNN(nnx.GRUCell(N, N, rngs=rngs), rngs=rngs)
        ),
        nnx.RNN(nnx.SimpleCell(2 * N, N, rngs=rngs), reverse=True, rngs=rngs),
        nnx.Linear(N, 2, rngs=rngs),
    )
    layers = to_layers(model)
    assert [(layer.name, layer.cell, layer.direction) for layer in layers] == [
        ("layers.0.cell", Cell.LSTM, "forward"),
        ("layers.1.backward_rnn.cell", Cell.GRU, "reverse"),
        ("layers.1.forward_rnn.cell", Cell.GRU, "forward"),
        ("layers.2.cell", Cell.RNN_TANH, "reverse"),
    ]
    assert layers[0].source.dtype == "bfloat16"
    assert layers[0].source.tensors == ("layers.0.cell.dense_h.kernel", "layers.0.cell.dense_i.kernel")


def test_stacked_parameters_are_a_layer_an_index():
    cell = nn.GRUCell(N)
    x, (_, h) = inputs()
    params = jax.vmap(lambda key: cell.init(key, h, x))(jax.random.split(KEY, 2))
    first, second = to_layers(params)
    assert (first.name, second.name) == ("params[0]", "params[1]")
    np.testing.assert_array_equal(second.gates["z"], params["params"]["hz"]["kernel"][1].T)


def test_nnxs_fused_default_is_flagged_and_linens_is_not():
    def codes(model):
        return {finding.code for finding in uc.diagnose(to_layers(model)).findings}

    for fused in (nnx.OptimizedLSTMCell(M, 32, rngs=nnx.Rngs(0)), nnx.GRUCell(M, 32, rngs=nnx.Rngs(0))):
        assert "UC101" in codes(fused)
        initialize_(fused, recurrent="orthogonal", key=0)
        assert "UC101" not in codes(fused)
    assert "UC101" not in codes(nnx.LSTMCell(M, 32, rngs=nnx.Rngs(0)))
    for cell in (nn.OptimizedLSTMCell(32), nn.GRUCell(32)):
        x = jnp.zeros((1, M))
        params = cell.init(KEY, cell.initialize_carry(KEY, x.shape), x)
        assert "UC101" not in codes(params)
        # What initializes an nnx module in place does not take the variables of linen.
        assert {layer.source.layout for layer in to_layers(params)} == {"flax-tree"}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"Dense_0": {"kernel": np.zeros((3, 3))}}, "must hold a flax SimpleCell"),
        (
            {name: {"kernel": np.zeros((3, 3))} for name in ("hf", "hn", "if", "in")},
            "an MGUCell at cell",
        ),
    ],
)
def test_what_is_no_layer_of_ours_is_refused(model, words):
    with pytest.raises(ArgumentError, match=words):
        to_layers(model)
