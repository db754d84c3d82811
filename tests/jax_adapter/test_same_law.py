"""One specification, one law: what JAX draws against what NumPy draws, for every initializer and element type.

``agreement`` compares draws of any framework, brought into our convention, with NumPy's: a column of the table that
says where a specification means the same. ``jax_draws`` is JAX's column.
"""

import contextlib
from functools import cache

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from scipy.special import kolmogorov

from unitcircle import initializers as uci
from unitcircle.initializers._specification import REGISTRY
from unitcircle.jax import initializer

N = 8
DRAWS = 400
SPECS = [
    *(cls() for cls in sorted(set(REGISTRY.values()), key=lambda cls: cls.name) if cls.name != "sparse"),
    uci.Sparse(density=0.6),  # at the default density of 0.1 most weights of 8 units have no cycle
    uci.Eigen(modulus=1.1, angles="uniform"),
    uci.Chain(gain=0.99, feedback=0.04),
]
DTYPES = ("float32", "bfloat16", "float64")
EPS = {"float32": 2.0**-23, "bfloat16": 2.0**-7, "float64": 2.0**-52}
COMPLEX = {"ring", "unitary_evolution"}
"""Their weights are complex whatever the Gaussian numbers are."""
OWN_CONDITION = {"orthogonal_svd", "sparse"}
"""Singular vectors are unique up to their signs; a leading eigenvalue can be ill-conditioned."""
LEVEL = 1e-6
"""Of one comparison; there are a few hundred, and their seeds are fixed."""


def element_type(init, dtype):
    """Return the element type that weights of the width of ``dtype`` have; None where there is none."""
    return {"float32": "complex64", "float64": "complex128"}.get(dtype) if init.name in COMPLEX else dtype


def precision(dtype):
    return jax.enable_x64(True) if dtype == "float64" else contextlib.nullcontext()


def summaries(weights):
    """Return numbers that know places, scale and spectrum: name → one a weight."""
    weights = weights.reshape(len(weights), -1, weights.shape[-1])
    found = {"first": weights[:, 0, 0], "corner": weights[:, 0, -1], "norm": np.linalg.norm(weights, axis=(1, 2))}
    if weights.shape[1] > 1:
        found |= {"above": weights[:, 0, 1], "below": weights[:, 1, 0]}
        found["trace of square"] = np.einsum("kij,kji->k", weights, weights)
    return {name: np.real(values) for name, values in found.items()} | {"imaginary": np.imag(weights[:, 0, 0])}


def rounding(eps):
    """Return how far a number may be off, relative: stored to eps, computed in float32 or float64."""
    return 4 * eps + 50 * N * min(eps, EPS["float32"])


def distance(a, b, slack):
    """Return the Kolmogorov-Smirnov distance of two samples whose numbers may each be wrong by ``slack``."""
    a, b = np.sort(a), np.sort(b)

    def above(first, second):
        # sup_x F_first(x) − F_second(x + slack), at the jumps of the first.
        return (
            np.arange(1, len(first) + 1) / len(first)
            - np.searchsorted(second, first + slack, side="right") / len(second)
        ).max()

    return max(above(a, b), above(b, a), 0.0)


def agreement(weights, reference, eps):
    """Return the smallest p-value of the summaries of two samples of weights ``(count, m, n)`` having one law."""
    ours, theirs = summaries(weights), summaries(reference)
    count = len(weights) * len(reference) / (len(weights) + len(reference))
    slack = rounding(eps)
    scales = {name: max(np.abs(values).max(), 1.0) for name, values in theirs.items()}
    distances = [distance(ours[name], theirs[name], slack * scales[name]) for name in ours]
    return float(kolmogorov(np.sqrt(count) * max(distances)))


@cache
def numpy_draws(init, dtype):
    """Return weights ``(DRAWS, n, n)``, or biases, of NumPy in double precision, rounded to an element type."""
    z = np.random.default_rng(5).standard_normal((DRAWS, *(N,) * init.axes))
    stored = {"bfloat16": ml_dtypes.bfloat16}.get(element_type(init, dtype), element_type(init, dtype))
    return init(z).astype(stored).astype(complex)


@cache
def gaussians(seed, shape, dtype):
    """Return the Gaussian numbers of :func:`jax_draws`."""
    keys = jax.random.split(jax.random.key(seed), DRAWS)
    return np.asarray(jax.vmap(lambda key: jax.random.normal(key, shape, jnp.dtype(dtype)))(keys))


@cache
def jax_draws(init, dtype, seed=0):
    """Return a fused kernel ``(n, 2 n)`` a key, or a bias, jitted and mapped over keys, and its Gaussian numbers.

    Both are brought into our convention: weights ``(DRAWS, 2, n, n)``, rows being outputs.
    """
    with precision(dtype):
        keys = jax.random.split(jax.random.key(seed), DRAWS)
        bias = init.axes == 1
        shape = (N,) if bias else (N, 2 * N)
        make = initializer(init, gates=1 if bias else 2)
        kind = jnp.dtype(element_type(init, dtype))
        drawn = jax.jit(jax.vmap(lambda key: make(key, shape, kind)))(keys)
        z = gaussians(seed, (N,) if bias else (2, N, N), "float64" if dtype == "float64" else "float32")
        assert drawn.dtype == element_type(init, dtype)
        assert drawn.shape == (DRAWS, *shape)
        drawn = np.asarray(drawn)
        if not bias:
            drawn = np.stack(np.split(drawn, 2, axis=-1), axis=1).swapaxes(-1, -2)
        return drawn, z


CASES = [
    pytest.param(init, dtype, id=f"{init}-{dtype}")
    for init in SPECS
    for dtype in DTYPES
    if element_type(init, dtype) is not None
]


@pytest.mark.parametrize(("init", "dtype"), CASES)
def test_the_same_gaussian_numbers_give_the_same_weight_in_jax_and_numpy(init, dtype):
    drawn, z = jax_draws(init, dtype)
    for weight in drawn[:3]:
        assert init.certificate(weight).holds
    if init.name in OWN_CONDITION:
        return
    expected = init(z)
    assert np.abs(drawn.astype(complex) - expected).max() <= rounding(EPS[dtype]) * np.abs(expected).max()


@pytest.mark.parametrize(("init", "dtype"), CASES)
def test_the_same_specification_has_the_same_law_in_jax_and_numpy(init, dtype):
    drawn, _ = jax_draws(init, dtype)
    drawn = drawn.astype(complex)
    blocks = [drawn] if init.axes == 1 else [drawn[:, 0], drawn[:, 1]]
    for block in blocks:
        assert agreement(block, numpy_draws(init, dtype), EPS[dtype]) > LEVEL


@pytest.mark.parametrize("init", [init for init in SPECS if init.axes == 2 and not init.elementwise], ids=str)
def test_gates_of_a_fused_kernel_are_draws_of_their_own(init):
    drawn, _ = jax_draws(init, "float32")
    fixed = len(np.unique(drawn[:, 0].reshape(DRAWS, -1), axis=0)) == 1
    same = [np.array_equal(first, second) for first, second in drawn]
    assert all(same) if fixed else not any(same)
    assert fixed == (init.name in {"chain", "identity"})


@pytest.mark.parametrize(
    ("init", "other"),
    [
        (uci.Gaussian(std=1.0), uci.Gaussian(std=1.6)),
        (uci.Orthogonal(), uci.Eigen(modulus=1.0)),
        (uci.Uniform(std=1.0), uci.LowRank(gain=4.0)),
        (uci.Eigen(modulus=0.9), uci.Eigen(modulus=0.91)),
        (uci.Chain(gain=0.9), uci.Chain(gain=0.89)),
    ],
    ids=str,
)
def test_another_law_is_told_apart(init, other):
    assert agreement(init.sample(N, rng=0, size=DRAWS), init.sample(N, rng=1, size=DRAWS), EPS["float32"]) > LEVEL
    assert agreement(init.sample(N, rng=0, size=DRAWS), other.sample(N, rng=1, size=DRAWS), EPS["float32"]) < LEVEL


def test_a_transposed_weight_is_told_apart():
    chain = uci.Chain(gain=0.9).sample(N, rng=0, size=DRAWS)
    assert agreement(chain.swapaxes(-1, -2), chain, EPS["bfloat16"]) < LEVEL
