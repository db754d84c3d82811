import array_api_strict
import jax
import numpy as np
import pytest
import torch
from scipy import stats
from tests.oracles.haar import haar_by_qr, householder_qr

from unitcircle import initializers as uci

DRAWS = 2000
LEVEL = 1e-3  # significance of every test of a law here; the seeds are fixed


def phases(W):
    return np.angle(np.linalg.eigvals(W))


def test_the_same_matrix_as_stewarts_definition_in_every_library():
    z = np.random.default_rng(0).standard_normal((6, 6))
    expected = householder_qr(z)
    for convert in (np.asarray, torch.from_numpy, array_api_strict.asarray):
        np.testing.assert_allclose(np.asarray(uci.Orthogonal()(convert(z))), expected, atol=20 * 6 * 2**-52)


@pytest.mark.parametrize("shape", [(5, 5), (7, 4), (4, 7)])
@pytest.mark.parametrize("library", ["torch", "strict"])
def test_complex_and_rectangular_agree_between_lapack_and_the_compact_form(shape, library):
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2, *shape)) + 1j * rng.standard_normal((2, *shape))
    W = uci.Orthogonal()(z)
    short = min(shape)
    gram = np.swapaxes(W.conj(), -1, -2) @ W if shape[0] >= shape[1] else W @ np.swapaxes(W.conj(), -1, -2)
    assert np.abs(gram - np.eye(short)).max() <= 20 * 7 * 2**-52
    convert = {"torch": torch.from_numpy, "strict": array_api_strict.asarray}[library]
    other = np.asarray(uci.Orthogonal()(convert(z)))
    np.testing.assert_allclose(other, W, atol=20 * 7 * 2**-52)


@pytest.mark.parametrize("convert", [np.asarray, torch.from_numpy, jax.numpy.asarray, array_api_strict.asarray])
def test_zero_columns_do_no_harm(convert):
    W = np.asarray(uci.Orthogonal()(convert(np.zeros((3, 3), dtype=np.float32))))
    np.testing.assert_array_equal(W, np.eye(3))


def test_mean_trace_and_mean_square_are_haars():
    n = 8
    trace = np.trace(uci.Orthogonal().sample(n, rng=2, size=DRAWS), axis1=-2, axis2=-1)
    # E tr = 0, E tr² = 1, E tr⁴ = 3 (Diaconis & Shahshahani 1994): five standard errors.
    assert abs(trace.mean()) <= 5 / np.sqrt(DRAWS)
    assert abs((trace**2).mean() - 1) <= 5 * np.sqrt(2 / DRAWS)


def test_mean_trace_of_a_unitary():
    rng = np.random.default_rng(3)
    z = rng.standard_normal((DRAWS, 6, 6)) + 1j * rng.standard_normal((DRAWS, 6, 6))
    W = uci.Orthogonal()(z)
    trace = np.trace(W, axis1=-2, axis2=-1)
    # E tr = 0 and E|tr|² = 1; |tr|² has variance 1.
    assert abs(trace.mean()) <= 5 / np.sqrt(DRAWS)
    assert abs((np.abs(trace) ** 2).mean() - 1) <= 5 / np.sqrt(DRAWS)
    # The phases of a Haar unitary are uniform; one of each weight, for they repel each other.
    assert stats.kstest(phases(W[:, :, :])[:, 0] % (2 * np.pi) / (2 * np.pi), "uniform").pvalue > LEVEL


@pytest.mark.parametrize("n", [3, 8])
def test_law_is_that_of_qr_with_its_signs_fixed(n):
    rng = np.random.default_rng(4)
    ours = uci.Orthogonal().sample(n, rng=rng, size=DRAWS)
    theirs = haar_by_qr(rng.standard_normal((DRAWS, n, n)))
    statistics = {
        "trace": lambda W: np.trace(W, axis1=-2, axis2=-1),
        "trace of square": lambda W: np.trace(W @ W, axis1=-2, axis2=-1),
        "last entry": lambda W: W[:, -1, -1],
        "largest cosine": lambda W: np.cos(phases(W)).max(axis=-1).round(12),
        "smallest cosine": lambda W: np.cos(phases(W)).min(axis=-1).round(12),
    }
    for what, statistic in statistics.items():
        assert stats.ks_2samp(statistic(ours), statistic(theirs)).pvalue > LEVEL, what


def test_both_determinants_are_equally_likely():
    determinant = np.linalg.det(uci.Orthogonal().sample(5, rng=5, size=DRAWS))
    assert stats.binomtest(int((determinant > 0).sum()), DRAWS).pvalue > LEVEL


def test_columns_of_a_tall_weight_are_uniform_on_the_sphere():
    W = uci.Orthogonal().sample((6, 2), rng=6, size=DRAWS)
    # (1 + x)/2 ~ Beta((n − 1)/2, (n − 1)/2) for a coordinate x of a uniform unit vector.
    for entry in (W[:, 0, 0], W[:, 5, 1]):
        assert stats.kstest((1 + entry) / 2, stats.beta(2.5, 2.5).cdf).pvalue > LEVEL


def test_gain_is_every_singular_value():
    W = uci.Orthogonal(gain=1.5).sample((9, 5), rng=0)
    np.testing.assert_allclose(np.linalg.svd(W, compute_uv=False), 1.5, rtol=10 * 9 * 2**-52)


def test_svd_is_lasagnes_recipe_and_not_haar():
    z = np.random.default_rng(7).standard_normal((DRAWS, 4, 4))
    W = uci.OrthogonalSVD(gain=2)(z)
    np.testing.assert_array_equal(W, 2 * np.linalg.svd(z)[0])
    # The bias the docstring speaks of: Haar's mean trace is 0 with standard error 1/√draws.
    assert np.trace(W / 2, axis1=-2, axis2=-1).mean() < -5 / np.sqrt(DRAWS)
    wide = uci.OrthogonalSVD().sample((3, 5), rng=0)
    assert uci.OrthogonalSVD().certificate(wide).holds
