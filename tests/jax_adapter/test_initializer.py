"""Initializers of JAX's form: shapes, element types, transformations, misuse. The laws: test_same_law."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from unitcircle.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from unitcircle.initializers import Chain, Orthogonal
from unitcircle.jax import initializer

KEY = jax.random.key(0)


def test_a_kernel_is_the_transpose_of_our_weight():
    kernel = initializer("chain(gain=0.9)")(KEY, (4, 4))
    np.testing.assert_array_equal(kernel.T, Chain(gain=0.9)(np.zeros((4, 4), np.float32)))


def test_fans_are_those_of_the_kernel():
    kernel = initializer("lecun_normal")(KEY, (1000, 30))  # fan_in 1000
    assert abs(float(kernel.std()) * np.sqrt(1000) - 1) < 5 / np.sqrt(2 * kernel.size)


@pytest.mark.parametrize("gates", [1, 4])
def test_leading_axes_are_a_batch(gates):
    kernels = initializer("orthogonal", gates=gates)(KEY, (2, 3, 5, 5 * gates))
    assert kernels.shape == (2, 3, 5, 5 * gates)
    blocks = kernels.reshape(6, 5, gates, 5).transpose(0, 2, 3, 1).reshape(-1, 5, 5)
    assert Orthogonal().certificate(blocks).holds
    assert len(np.unique(np.asarray(blocks[:, 0, 0]))) == 6 * gates


@pytest.mark.parametrize("gates", [1, 3])
def test_it_can_be_jitted_and_mapped_over_keys(gates):
    make = initializer("orthogonal", gates=gates)
    shape = (6, 6 * gates)
    eager = make(KEY, shape)
    jitted = jax.jit(make, static_argnums=(1, 2))(KEY, shape, jnp.float32)
    np.testing.assert_allclose(eager, jitted, rtol=0, atol=20 * 6 * 2.0**-23)
    keys = jax.random.split(KEY, 3)
    mapped = jax.jit(jax.vmap(lambda key: make(key, shape)))(keys)
    for one, key in zip(mapped, keys, strict=True):
        np.testing.assert_allclose(one, make(key, shape), rtol=0, atol=20 * 6 * 2.0**-23)
    assert not jnp.array_equal(mapped[0], mapped[1])


@pytest.mark.parametrize("spec", ["orthogonal", "ring", "unitary_evolution", "xavier_normal"])
def test_complex_kernels_where_the_law_has_them(spec):
    made = initializer(spec)
    kernel = made(KEY, (8, 8), jnp.complex64)
    assert kernel.dtype == jnp.complex64
    assert made.init.certificate(kernel.T).holds
    assert jnp.abs(kernel.imag).max() > 0.01


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_is_cast_last(dtype):
    half, single = (initializer("orthogonal")(KEY, (16, 16), kind) for kind in (dtype, jnp.float32))
    np.testing.assert_array_equal(half, single.astype(dtype))


def test_biases():
    np.testing.assert_array_equal(initializer("forget_bias")(KEY, (3,)), np.ones(3))
    lstm = initializer("forget_bias(value=2)", gates=4)(KEY, (12,))
    np.testing.assert_array_equal(lstm, np.repeat([0, 2, 0, 0], 3))  # i f g o
    gru = initializer("forget_bias", gates=3)(KEY, (9,))
    np.testing.assert_array_equal(gru, np.repeat([0, 1, 0], 3))  # r z n
    i, f, g, o = jnp.split(initializer("chrono(max_steps=50)", gates=4)(KEY, (2, 20), jnp.bfloat16), 4, axis=-1)
    np.testing.assert_array_equal(i, -f)
    assert (jnp.exp(f.astype(jnp.float32)) <= 49 * (1 + 4 * 2.0**-7)).all()
    assert (f > 0).all()
    assert not g.any()
    assert not o.any()
    assert f.dtype == jnp.bfloat16
    np.testing.assert_array_equal(initializer("constant(value=0.5)", gates=4)(KEY, (8,)), np.full(8, 0.5))


def test_flax_modules_take_it():
    cell = nn.LSTMCell(6, recurrent_kernel_init=initializer("eigen"), kernel_init=initializer("xavier_uniform"))
    assert cell == nn.LSTMCell(
        6, recurrent_kernel_init=initializer("eigen(modulus=0.95)"), kernel_init=initializer("xavier_uniform")
    )
    params = cell.init(KEY, cell.initialize_carry(KEY, (1, 2)), jnp.zeros((1, 2)))["params"]
    moduli = np.abs(np.linalg.eigvals(np.asarray(params["hf"]["kernel"], float)))
    np.testing.assert_allclose(moduli, 0.95, rtol=0, atol=1e3 * 2.0**-23)
    fused = nnx.OptimizedLSTMCell(
        2,
        6,
        rngs=nnx.Rngs(0),
        recurrent_kernel_init=initializer("orthogonal", gates=4),
        bias_init=initializer("forget_bias", gates=4),
    )
    for block in jnp.split(fused.dense_h.kernel[...], 4, axis=1):
        assert Orthogonal().certificate(block).holds
    np.testing.assert_array_equal(fused.dense_h.bias[...], np.repeat([0, 1, 0, 0], 6))


def test_it_is_a_value():
    assert initializer("chain") == initializer("chain")
    assert hash(initializer("chain")) == hash(initializer("chain"))
    assert initializer("chain") != initializer("chain", gates=2)
    assert str(initializer("forget_bias")) == "forget_bias(value=1.0)"


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: initializer("orthogonl"), UnknownNameError, "orthogonal"),
        (lambda: initializer("orthogonal", gates=0), ArgumentError, "positive number of gate blocks"),
        (lambda: initializer("orthogonal")(KEY, (4,)), ShapeError, "two axes"),
        (lambda: initializer("chrono")(KEY, ()), ShapeError, "shape must"),
        (lambda: initializer("orthogonal", gates=4)(KEY, (4, 6)), ShapeError, "multiple of 4"),
        (lambda: initializer("eigen")(KEY, (4, 5)), ShapeError, "square"),
        (lambda: initializer("orthogonal")(KEY, (4, 4), jnp.int32), DtypeError, "floating"),
        (lambda: initializer("ring")(KEY, (4, 4)), DtypeError, "must be complex for ring"),
        (lambda: initializer("eigen")(KEY, (4, 4), jnp.complex64), DtypeError, "must be real for eigen"),
        (lambda: initializer("chrono", gates=2)(KEY, (8,)), ArgumentError, r"4 \(LSTM\) or 3 \(GRU\)"),
    ],
)
def test_misuse_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()
