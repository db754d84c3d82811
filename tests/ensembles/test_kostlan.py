import numpy as np
import pytest
from scipy import special, stats

from unitcircle.ensembles._kostlan import kostlan_log_density, kostlan_log_laws

EPS = np.finfo(float).eps


@pytest.mark.parametrize("n", [1, 4, 50, 900])
def test_law_is_the_product_of_gamma_laws(n):
    r = np.sqrt(n) * np.array([0.7, 0.95, 1.0, 1.1])
    expected = special.gammainc(np.arange(1, n + 1), (r * r)[:, None])
    tails = special.gammaincc(np.arange(1, n + 1), (r * r)[:, None])
    log_cdf, log_sf = kostlan_log_laws(n, r)
    with np.errstate(divide="ignore"):
        log_complement = np.log1p(-tails)
    np.testing.assert_allclose(log_cdf, np.log(expected).sum(1), rtol=0, atol=200 * n * EPS)
    # log1p keeps the tail's digits: 1 - Π(1 - q).
    np.testing.assert_allclose(np.exp(log_sf), -np.expm1(log_complement.sum(1)), rtol=1000 * EPS)


def test_one_entry_is_rayleigh_far_into_both_tails():
    r = np.array([1e-8, 0.3, 2.0, 40.0])
    law = stats.rayleigh(scale=np.sqrt(0.5))
    log_cdf, log_sf = kostlan_log_laws(1, r)
    np.testing.assert_allclose(log_cdf[:3], law.logcdf(r[:3]), rtol=16 * EPS)
    np.testing.assert_allclose(log_sf[1:], law.logsf(r[1:]), rtol=16 * EPS)
    np.testing.assert_allclose(kostlan_log_density(1, r), law.logpdf(r), rtol=16 * EPS)


@pytest.mark.parametrize("n", [5, 200])
def test_density_is_the_derivative(n):
    r = np.sqrt(n) * np.array([0.9, 1.0, 1.1])
    h = 1e-3
    laws = [kostlan_log_laws(n, r + k * h)[0] for k in (-2, -1, 1, 2)]
    slope = (laws[0] - 8 * laws[1] + 8 * laws[2] - laws[3]) / (12 * h)
    expected = kostlan_log_laws(n, r)[0] + np.log(slope)
    np.testing.assert_allclose(kostlan_log_density(n, r), expected, rtol=0, atol=h**3)
