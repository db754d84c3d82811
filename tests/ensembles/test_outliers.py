import numpy as np
import pytest
from scipy import integrate, special

from unitcircle.ensembles._ginibre import ginibre_log_laws
from unitcircle.ensembles._kostlan import kostlan_log_laws
from unitcircle.ensembles._outliers import (
    complex_outliers,
    outlier_error,
    outlier_log_density,
    outlier_log_laws,
    real_outliers,
)

EPS = np.finfo(float).eps


@pytest.mark.parametrize("field", ["real", "complex"])
def test_stated_error_is_the_measured_one_at_ten_thousand(field):
    n = 10_000
    r = np.sqrt(n) + np.linspace(0.4, 1.2, 9)
    exact = ginibre_log_laws(n, r) if field == "real" else kostlan_log_laws(n, r)
    distance = abs(np.exp(exact[0]) - np.exp(outlier_log_laws(n, r, field)[0])).max()
    assert 0.9 * outlier_error(n, field) <= distance <= outlier_error(n, field)


def test_stated_error_falls_as_fast_as_the_measured_one():
    n = 100_000
    r = np.sqrt(n) + np.linspace(1.0, 1.4, 5)
    distance = abs(np.exp(kostlan_log_laws(n, r)[0]) - np.exp(outlier_log_laws(n, r, "complex")[0])).max()
    assert 0.8 * outlier_error(n, "complex") <= distance <= 1.05 * outlier_error(n, "complex")


@pytest.mark.parametrize("x", [-0.5, 0.0, 1.0, 3.0])
def test_counts_are_integrals_of_the_edge_densities(x):
    # Complex: density erfc(√2 t)/2π per unit area along a boundary of length 2π√n. Real: Forrester and Nagao's edge.
    complex_count = integrate.quad(lambda t: np.sqrt(50) * special.erfc(np.sqrt(2) * t), x, np.inf)[0]
    assert complex_outliers(50, x) == pytest.approx(complex_count, rel=1e6 * EPS, abs=1e5 * EPS)

    def density(t):
        inner = special.erfc(np.sqrt(2) * t) / 2 + np.exp(-t * t) * special.erfc(-t) / (2 * np.sqrt(2))
        return 2 * inner / np.sqrt(2 * np.pi)

    assert real_outliers(x) == pytest.approx(integrate.quad(density, x, np.inf)[0], rel=1e6 * EPS, abs=1e5 * EPS)


@pytest.mark.parametrize("field", ["real", "complex"])
def test_density_is_the_derivative(field):
    n, h = 50_000, 1e-3
    r = np.sqrt(n) + np.array([0.2, 0.9, 2.0])
    laws = [outlier_log_laws(n, r + k * h, field)[0] for k in (-2, -1, 1, 2)]
    slope = (laws[0] - 8 * laws[1] + 8 * laws[2] - laws[3]) / (12 * h)
    expected = outlier_log_laws(n, r, field)[0] + np.log(slope)
    np.testing.assert_allclose(outlier_log_density(n, r, field), expected, rtol=0, atol=h**3)
