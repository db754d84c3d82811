"""The tangent share of a change against its definition, with every array library."""

import jax.numpy as jnp
import numpy as np
import pytest
import torch

from unitcircle.errors import ShapeError
from unitcircle.spectra import polar_factor, tangent_share

N = 12
LIBRARIES = {"numpy": np.asarray, "torch": torch.from_numpy, "jax": jnp.asarray}


def _haar(rng, shape=(), *, field="real"):
    z = rng.standard_normal((*shape, N, N))
    return np.linalg.qr(z if field == "real" else z + 1j * rng.standard_normal(z.shape))[0]


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("field", ["real", "complex"])
def test_it_is_the_projection_on_the_tangent_space(library, field):
    rng = np.random.default_rng(0)
    Q, change = _haar(rng, (3,), field=field), _haar(rng, (3,), field=field)
    # The tangent space at Q is {Q A: A skew}; its projection of Δ is (Δ − Q Δ* Q) / 2.
    projected = (change - Q @ change.conj().swapaxes(-1, -2) @ Q) / 2
    expected = (np.abs(projected) ** 2).sum((-1, -2)) / (np.abs(change) ** 2).sum((-1, -2))
    found = tangent_share(LIBRARIES[library](change), LIBRARIES[library](Q))
    # JAX computes in single precision.
    eps = float(np.finfo(np.float32 if library == "jax" else np.float64).eps)
    assert np.asarray(found) == pytest.approx(expected, rel=8 * N * eps)


def test_no_change_has_no_share_and_does_not_spoil_the_others():
    rng = np.random.default_rng(0)
    Q = _haar(rng, (2,))
    A = rng.standard_normal((N, N))
    found = tangent_share(Q @ np.stack([np.zeros((N, N)), A - A.T]), Q)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(1.0, rel=8 * N * np.finfo(float).eps)


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("field", ["real", "complex"])
def test_the_polar_factor_is_orthogonal_and_leaves_a_positive_factor(library, field):
    rng = np.random.default_rng(0)
    A = _haar(rng, (3,), field=field)
    W = A @ np.diag(np.linspace(0.1, 2.0, N)) @ _haar(rng, (3,), field=field)
    Q = np.asarray(polar_factor(LIBRARIES[library](W)))
    adjoint = Q.conj().swapaxes(-1, -2)
    P = adjoint @ W
    # The smallest singular value is 20 times smaller than the largest: so much worse is the factor determined.
    tolerance = 32 * 20 * N * float(np.finfo(np.float32 if library == "jax" else np.float64).eps)
    assert np.abs(adjoint @ Q - np.eye(N)).max() < tolerance
    assert np.abs(P - P.conj().swapaxes(-1, -2)).max() < tolerance
    assert np.linalg.eigvalsh((P + P.conj().swapaxes(-1, -2)) / 2).min() > 0.1 - tolerance


def test_a_tall_weight_gets_orthonormal_columns():
    W = np.random.default_rng(0).standard_normal((N, 5))
    Q = polar_factor(W)
    assert Q.shape == (N, 5)
    assert np.abs(Q.T @ Q - np.eye(5)).max() < 8 * N * np.finfo(float).eps


def test_misuse():
    with pytest.raises(ShapeError, match=r"change must be (a matrix|matrices)"):
        tangent_share(np.ones((2, 3, 3)), np.eye(4))
    with pytest.raises(ShapeError, match=r"change must be (a matrix|matrices)"):
        tangent_share(np.ones(3), np.ones(3))
    with pytest.raises(ShapeError, match="W must be a matrix"):
        polar_factor(np.ones(3))
