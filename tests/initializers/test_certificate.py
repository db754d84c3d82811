import numpy as np
import pytest

from unitcircle import initializers as uci
from unitcircle.errors import CertificateError, NotFiniteError, ShapeError
from unitcircle.initializers import Certificate
from unitcircle.initializers._certificate import random_law
from unitcircle.initializers._eigen import _largest_below


def test_a_certificate_says_whether_it_holds():
    kept, broken = Certificate("W = 0", 1.0, 2.0), Certificate("W = 0", 3.0, 2.0)
    assert kept.require() is kept
    assert str(kept) == "W = 0: holds (residual 1.00e+00, tolerance 2.00e+00)"
    assert not broken.holds
    assert not Certificate("W = 0", float("nan"), 2.0).holds
    with pytest.raises(CertificateError, match="DOES NOT HOLD"):
        broken.require()


def test_the_worst_of_a_batch_counts():
    W = uci.Orthogonal().sample(8, rng=0, size=3)
    W[1] *= 2
    certificate = uci.Orthogonal().certificate(W)
    assert not certificate.holds
    assert certificate.residual == pytest.approx(3.0, rel=16 * 2**-52, abs=0)


def test_kolmogorov_smirnov_distance_agrees_with_scipy():
    from scipy import stats

    sample = np.random.default_rng(0).uniform(size=(3, 50))
    certificate = random_law("", sample, lambda x: x, 0.0)
    assert certificate.residual == pytest.approx(max(stats.kstest(x, "uniform").statistic for x in sample))
    # The tolerance bounds the exact probability at five standard errors from above, not wildly.
    assert 1e-9 < stats.kstwo.sf(certificate.tolerance, 50) <= 5.733e-7


@pytest.mark.parametrize("init", [uci.Gaussian(std=0.1), uci.Uniform(std=0.1)], ids=str)
def test_random_laws_are_told_apart_by_scale_and_by_shape(init):
    W = init.sample(256, rng=0)
    assert init.certificate(W).holds
    assert not init.certificate(1.06 * W).holds
    assert not init.certificate(W + 0.01).holds
    other = uci.Uniform(std=0.1) if isinstance(init, uci.Gaussian) else uci.Gaussian(std=0.1)
    assert not other.certificate(W).holds


def test_a_weight_of_the_wrong_kind_is_refused():
    with pytest.raises(NotFiniteError, match="W must be finite"):
        uci.Eigen().certificate([[np.nan]])
    with pytest.raises(ShapeError, match="W must be square"):
        uci.Eigen().certificate(np.ones((2, 3)))
    with pytest.raises(ShapeError, match="W must have at least 2 axes"):
        uci.Orthogonal().certificate(np.ones(3))
    with pytest.raises(ShapeError, match="W must have at least 1 axes"):
        uci.Chrono().certificate(np.ones(()))


def _defects(n, rng):
    """Errors of an isometry, from the hardest to see in random directions to the easiest, of norm 1."""
    u = rng.standard_normal(n)
    G = rng.standard_normal((n, n))
    dense = G + G.T
    few = np.zeros((n, n))
    few[3, 5] = few[5, 3] = 1.0
    return {"one direction": np.outer(u, u), "one entry": few, "dense": dense, "scale": np.eye(n)}


@pytest.mark.parametrize("kind", ["one direction", "one entry", "dense", "scale"])
@pytest.mark.parametrize("size", [1e-7, 3e-4, 3e-2])
def test_a_large_isometry_is_judged_as_by_its_gram_matrix(kind, size):
    n, rng = 300, np.random.default_rng(7)
    Q = uci.Orthogonal().sample(n, rng=1).astype(np.float32).astype(float)
    error = _defects(n, rng)[kind]
    W = (Q @ (np.eye(n) + size / 2 * error * n**0.5 / np.linalg.norm(error))).astype(np.float32)
    V = W.astype(float)
    exact = np.linalg.norm(V.T @ V - np.eye(n)) / n**0.5
    certificate = uci.Orthogonal().certificate(W)
    assert certificate.residual >= exact * (1 - n * 2.0**-52)
    assert certificate.holds == (exact <= certificate.tolerance) == (size < 1e-5)


def test_the_bound_by_probes_is_wrong_less_often_than_stated():
    # Of one direction, the worst case, a mean over 16 squares of normal numbers is compared with .065.
    from scipy import stats

    assert stats.chi2.cdf(16 * 0.065, 16) <= 5.733e-7
    assert (0.065 * np.exp(1 - 0.065)) ** 8 <= 5.733e-7


@pytest.mark.parametrize("n", [3, 127, 130, 260])
def test_an_entry_below_the_subdiagonal_is_found_wherever_it_is(n):
    rng = np.random.default_rng(n)
    for _ in range(20):
        i, j = rng.integers(n, size=2)
        W = np.zeros((2, n, n))
        W[1, i, j] = -3.0
        for each in (W, 1j * W):
            assert _largest_below(each) == np.abs(np.tril(each, -2)).max()
