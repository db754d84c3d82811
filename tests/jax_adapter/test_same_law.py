"""The same Gaussian numbers give the same weight in JAX and NumPy, for every initializer.

In double precision, which hides least. That draws of every element type have the law that those of other frameworks
have is tested in ``tests/test_same_law.py``.
"""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.laws import COMPLEX, EPS, SPECS, N, rounding

from unitcircle.jax import initializer

DRAWS = 40
OWN_CONDITION = {"orthogonal_svd", "sparse"}
"""Singular vectors are unique up to their signs; a leading eigenvalue can be ill-conditioned."""


@cache
def gaussians(shape):
    """Return the Gaussian numbers of :func:`jax_draws`."""
    keys = jax.random.split(jax.random.key(0), DRAWS)
    return np.asarray(jax.vmap(lambda key: jax.random.normal(key, shape, jnp.float64))(keys))


@cache
def jax_draws(init):
    """Return a fused kernel ``(n, 2 n)`` a key, or a bias, jitted and mapped over keys, and its Gaussian numbers.

    Both are brought into our convention: weights ``(DRAWS, 2, n, n)``, rows being outputs.
    """
    kind = "complex128" if init.name in COMPLEX else "float64"
    bias = init.axes == 1
    shape = (N,) if bias else (N, 2 * N)
    with jax.enable_x64(True):
        keys = jax.random.split(jax.random.key(0), DRAWS)
        make = initializer(init, gates=1 if bias else 2)
        drawn = np.asarray(jax.jit(jax.vmap(lambda key: make(key, shape, jnp.dtype(kind))))(keys))
        z = gaussians((N,) if bias else (2, N, N))
    assert drawn.dtype == kind
    assert drawn.shape == (DRAWS, *shape)
    return drawn if bias else np.stack(np.split(drawn, 2, axis=-1), axis=1).swapaxes(-1, -2), z


@pytest.mark.parametrize("init", SPECS, ids=str)
def test_the_same_gaussian_numbers_give_the_same_weight_in_jax_and_numpy(init):
    drawn, z = jax_draws(init)
    for weight in drawn[:3]:
        assert init.certificate(weight).holds
    if init.name in OWN_CONDITION:
        return
    expected = init(z)
    assert np.abs(drawn.astype(complex) - expected).max() <= rounding(EPS["float64"]) * np.abs(expected).max()


@pytest.mark.parametrize("init", [init for init in SPECS if init.axes == 2 and not init.elementwise], ids=str)
def test_gates_of_a_fused_kernel_are_draws_of_their_own(init):
    drawn, _ = jax_draws(init)
    fixed = len(np.unique(drawn[:, 0].reshape(DRAWS, -1), axis=0)) == 1
    same = [np.array_equal(first, second) for first, second in drawn]
    assert all(same) if fixed else not any(same)
    assert fixed == (init.name in {"chain", "identity"})
