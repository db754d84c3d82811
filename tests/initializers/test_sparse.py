from math import sqrt

import array_api_strict
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from scipy import sparse, stats
from tests.oracles.conditional_normal import thinned

from unitcircle import initializers as uci
from unitcircle import spectra
from unitcircle.errors import ArgumentError, ShapeError

LEVEL = 1e-3


@pytest.mark.parametrize("density", [0.2, 1.0])
def test_a_dense_draw_is_thinned_and_rescaled(density):
    z = np.random.default_rng(0).standard_normal((20, 20))
    W = uci.Sparse(density=density, radius=1.1)(z)
    A = thinned(z, density)
    np.testing.assert_array_equal(W != 0, A != 0)
    # Φ(z) near 1 has lost digits of z: φ(z)⁻¹ of them, 2e3 at z = 4.
    np.testing.assert_allclose(W / 1.1, A / np.abs(np.linalg.eigvals(A)).max(), atol=2e3 * 20 * 2**-52)
    assert np.abs(np.linalg.eigvals(W)).max() == pytest.approx(1.1, rel=100 * 20 * 2**-52)


def test_the_values_kept_are_normal_and_their_number_binomial():
    z = np.random.default_rng(1).standard_normal((300, 300))
    W = uci.Sparse(density=0.1)(z)
    values = W[W != 0]
    assert stats.binomtest(len(values), 300 * 300, 0.1).pvalue > LEVEL
    assert stats.kstest(values / values.std(), "norm").pvalue > LEVEL
    # Where the entries are says nothing of what they are.
    rows = np.nonzero(W)[0]
    assert stats.spearmanr(rows, values).pvalue > LEVEL


@pytest.mark.parametrize(("n", "density"), [(1, 1.0), (2, 0.5), (40, 0.05), (200, 0.3), (1500, 0.01)])
def test_a_sample_is_sparse_and_has_the_radius(n, density):
    W = uci.Sparse(density=density, radius=0.95).sample(n, rng=3)
    assert isinstance(W, sparse.csr_array)
    assert W.shape == (n, n)
    assert W.has_canonical_format
    # Up to n = 256 the radius is exact to rounding, above to the accuracy that `sample` states.
    accuracy = 20 * n * 2**-52 + (1e-6 if n > 256 else 0.0)
    assert np.abs(np.linalg.eigvals(W.toarray())).max() == pytest.approx(0.95, rel=accuracy, abs=0)
    assert uci.Sparse(density=density, radius=0.95).certificate(W).holds
    if n >= 40:
        assert stats.binomtest(W.nnz, n * n, density).pvalue > LEVEL
        assert stats.kstest(W.data / sqrt((W.data**2).mean()), "norm").pvalue > LEVEL


def test_places_are_independent():
    # The gaps between entries, read row by row, cross the rows: every column is as likely as any other.
    W = uci.Sparse(density=0.02).sample(500, rng=4)
    assert stats.chisquare(np.bincount(W.indices, minlength=500)).pvalue > LEVEL
    assert stats.chisquare(np.diff(W.indptr)).pvalue > LEVEL


def test_the_seed_decides():
    first, second = (uci.Sparse().sample(50, rng=seed) for seed in (5, np.random.default_rng(5)))
    np.testing.assert_array_equal(first.toarray(), second.toarray())


def test_a_large_weight_is_never_dense(monkeypatch):
    monkeypatch.setattr(sparse.csr_array, "toarray", None)
    W = uci.Sparse(density=2e-3).sample(3000, rng=0)
    assert abs(W.nnz - 18000) <= 5 * sqrt(18000)
    assert uci.Sparse(density=2e-3).certificate(W).holds


def test_a_draw_without_a_cycle_is_drawn_again_but_not_for_ever():
    # At two entries of 100 most draws are acyclic: the result has a cycle all the same.
    init = uci.Sparse(density=0.02, radius=0.5)
    for seed in range(5):
        assert np.abs(np.linalg.eigvals(init.sample(10, rng=seed).toarray())).max() == pytest.approx(0.5)
    for density in (1e-12, 1e-300):
        with pytest.raises(ArgumentError, match=r"density must give a cycle among n = 3 units.*Raise the density"):
            uci.Sparse(density=density).sample(3, rng=0)


def nilpotent(n):
    """Normal numbers that keep the entries above the diagonal only, in an order that hides it."""
    z = np.where(np.triu(np.ones((n, n)), 1) > 0, -3.0, 3.0)
    order = np.random.default_rng(0).permutation(n)
    return z[order][:, order].astype(np.float32)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, jnp.asarray, array_api_strict.asarray])
def test_a_nilpotent_dense_draw_is_refused(convert):
    with pytest.raises(ArgumentError, match=r"z must leave a cycle among the entries kept; got a nilpotent weight"):
        uci.Sparse()(convert(nilpotent(6)))


def test_a_nilpotent_draw_inside_jit_is_not_a_number():
    assert jnp.isnan(jax.jit(uci.Sparse())(nilpotent(6))).any()


def test_extreme_normal_numbers_stay_finite():
    z = np.full((4, 4), -40.0)
    z[0, 0] = -1.2815515655446004  # Φ⁻¹(0.1), at the very threshold
    z[1, 1] = np.nextafter(z[0, 0], -2)
    assert np.isfinite(uci.Sparse(density=0.1)(z)).all()
    assert np.isfinite(uci.Sparse(density=1.0)(np.diag([9.0, -9.0]))).all()


def test_an_uncertain_radius_is_told(monkeypatch):
    measure = spectra.spectral_radius
    monkeypatch.setattr(spectra, "spectral_radius", lambda W, **options: measure(W, max_cost=8, **options))
    init = uci.Sparse(density=0.01)
    with pytest.warns(RuntimeWarning, match="scaled by an uncertain radius: ρ not converged"):
        W = init.sample(600, rng=0)
    assert not init.certificate(W).holds


@pytest.mark.parametrize("n", [0, -3, 2.5, (4, 4)])
def test_sizes(n):
    with pytest.raises(ShapeError, match="n must be a whole number, at least 1"):
        uci.Sparse().sample(n)
