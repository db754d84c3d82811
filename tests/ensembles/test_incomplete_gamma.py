import numpy as np
import pytest
from scipy import special, stats

from unitcircle.ensembles._incomplete_gamma import log_gammainc, log_gammaincc, log_poisson

mpmath = pytest.importorskip("mpmath")

EPS = np.finfo(float).eps
LOWER = [(201, 1.0), (1001, 100.0), (10001, 8000.0), (10001, 9900.0), (11, 0.01), (3, 1e-200), (0.5, 3.0)]
UPPER = [(1, 900.0), (0.5, 2000.0), (5.5, 800.0), (51, 1500.0), (1001, 3500.0), (20.3, 0.001), (7, 30.0)]


@pytest.mark.parametrize(("a", "x"), LOWER)
def test_log_lower_incomplete_gamma_against_multi_precision(a, x):
    with mpmath.workdps(40):
        log_mass = a * mpmath.log(x) - x - mpmath.loggamma(mpmath.mpf(a) + 1)
        expected = float(log_mass + mpmath.log(mpmath.hyp1f1(1, mpmath.mpf(a) + 1, x)))
    assert log_gammainc(a, x) == pytest.approx(expected, rel=64 * EPS, abs=64 * EPS)


@pytest.mark.parametrize(("a", "x"), UPPER)
def test_log_upper_incomplete_gamma_against_multi_precision(a, x):
    with mpmath.workdps(40):
        expected = float(mpmath.log(mpmath.gammainc(a, x, regularized=True)))
    assert log_gammaincc(a, x) == pytest.approx(expected, rel=64 * EPS, abs=64 * EPS)


def test_log_poisson_is_the_poisson_mass():
    k = np.arange(0, 40)
    for mean in (0.3, 7.0, 25.0):
        np.testing.assert_allclose(
            np.exp(log_poisson(k, mean)), stats.poisson.pmf(k, mean), rtol=2 * 40 * np.log(40) * 40 * EPS
        )


def test_log_poisson_keeps_its_digits_at_large_means():
    with mpmath.workdps(40):
        expected = float(10_200 * mpmath.log(10_000) - 10_000 - mpmath.loggamma(10_201))
    naive = special.xlogy(10_200, 10_000) - 10_000 - special.gammaln(10_201)
    ours = abs(log_poisson(10_200, 10_000) - expected)
    assert ours <= 4 * 200 * EPS
    assert ours < abs(naive - expected) / 10
