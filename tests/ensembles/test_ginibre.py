import json
from pathlib import Path

import numpy as np
import pytest
from scipy import integrate, special
from tests.oracles.ginibre import spectral_radius_cdf, spectral_radius_log_cdf

from unitcircle.ensembles import SpectralRadius, _ginibre

EPS = np.finfo(float).eps
# Of a fourth-order difference.
STEP = 1e-3
REFERENCES = Path(__file__).parents[3] / "shared" / "oracles" / "ginibre.json"


def log_laws(n, r):
    law = SpectralRadius(n)
    return law.logcdf(r), law.logsf(r)


def log_density(n, r):
    return SpectralRadius(n).logpdf(r)


@pytest.mark.parametrize("n", range(1, 7))
def test_law_against_pfaffians_of_the_skew_product(n):
    r = np.array([0.7, 1.3, 2.0, 3.0])
    expected = [spectral_radius_cdf(n, x) for x in r]
    np.testing.assert_allclose(np.exp(log_laws(n, r)[0]), expected, rtol=2000 * EPS)


@pytest.mark.parametrize(("n", "r"), [(7, 0.1), (11, 0.5), (10, 1.0), (6, 4.0), (5, 6.5), (10, 8.0)])
def test_both_tails_against_multi_precision(n, r):
    pytest.importorskip("mpmath")
    log_cdf, log_sf = spectral_radius_log_cdf(n, r)
    ours = log_laws(n, np.array([r]))
    # Absolute in the logarithm: relative in the probability.
    assert ours[0][0] == pytest.approx(log_cdf, abs=100 * n * EPS + 4 * EPS * abs(log_cdf))
    assert ours[1][0] == pytest.approx(log_sf, abs=100 * n * EPS + 4 * EPS * abs(log_sf))


def test_two_by_two_in_closed_form():
    r = np.array([0.5, 1.5, 3.0])
    t0 = [_toeplitz_zero(x) for x in r]
    expected = 1 - np.exp(-r * r) - np.exp(-r * r / 2) * special.erf(r / np.sqrt(2))
    expected += r / np.sqrt(2 * np.pi) * np.exp(-r * r) * t0
    np.testing.assert_allclose(np.exp(log_laws(2, r)[0]), expected, rtol=200 * EPS)


def _toeplitz_zero(r):
    return integrate.quad(lambda t: 2 * np.sin(t) * special.erfcx(np.sqrt(2) * r * np.sin(t)), 0, np.pi / 2)[0]


@pytest.mark.skipif(not REFERENCES.exists(), reason="the reference values of ../shared are not here")
def test_reference_values_of_sixty_digits():
    for size, row in json.loads(REFERENCES.read_text())["cdf"]["real"].items():
        n, scaled = int(size), np.array([float(x) for x in row])
        expected = np.array([float(value) for value in row.values()])
        log_cdf, log_sf = log_laws(n, np.sqrt(n) * scaled)
        np.testing.assert_allclose(np.exp(log_cdf), expected, rtol=500 * EPS)
        # The complement of a reference value carries its own rounding.
        np.testing.assert_allclose(np.exp(log_sf), 1 - expected, rtol=200 * EPS / (1 - expected).min())


@pytest.mark.parametrize("n", [1, 2, 3, 10, 11])
def test_the_far_right_tail_is_one_real_eigenvalue(n):
    # E #(real eigenvalues beyond r) ~ 2^{1-n/2}/Γ(n/2) ∫_r^∞ x^{n-1} e^{-x²/2} dx, times 1 + O(r^-2).
    r = 100.0
    leading = special.gammaln(n / 2)
    log_tail = (n - 2) * np.log(r) - r * r / 2 - (n / 2 - 1) * np.log(2) - leading
    assert log_laws(n, np.array([r]))[1][0] == pytest.approx(log_tail, abs=2 * n * n / r**2 + 2e-3 / n)


def test_the_left_tail_of_one_number_is_its_density():
    r = np.array([1e-100, 1e-6])
    np.testing.assert_allclose(log_laws(1, r)[0], np.log(r * np.sqrt(2 / np.pi)), rtol=8 * EPS, atol=r[-1] ** 2)


@pytest.mark.parametrize("n", [3, 12, 60])
def test_both_formulas_of_the_left_tail_agree(n, monkeypatch):
    r = np.sqrt(n) * np.linspace(0.75, 1.1, 5)
    green, slope = log_laws(n, r)[0], log_density(n, r)
    monkeypatch.setattr(_ginibre, "_far_left", lambda n, log_cdf: np.full(log_cdf.shape, True))
    np.testing.assert_allclose(log_laws(n, r)[0], green, rtol=0, atol=4e4 * EPS)
    np.testing.assert_allclose(log_density(n, r), slope, rtol=0, atol=1e5 * EPS)


def test_the_window_drops_nothing_that_counts(monkeypatch):
    n = 600
    r = np.sqrt(n) + np.array([0.0, 0.5, 2.0, 6.0])
    windowed = log_laws(n, r)
    assert _ginibre._window(n, r[0]) > 50
    monkeypatch.setattr(_ginibre, "_window", lambda n, r: 0)
    for ours, full in zip(windowed, log_laws(n, r), strict=True):
        np.testing.assert_allclose(ours, full, rtol=0, atol=n * 20 * EPS)


@pytest.mark.parametrize("n", [1, 2, 9, 10, 101])
def test_density_is_the_derivative(n):
    r = np.sqrt(n) * np.array([0.6, 0.9, 1.0, 1.2, 2.5])
    step = STEP * np.minimum(r, 1)
    # Fourth-order differences of the logarithm of whichever of F and 1 - F is small.
    side = (log_laws(n, r)[0] > np.log(0.5)).astype(int)

    def log_tail(points):
        return np.choose(side, log_laws(n, points))

    slope = sum(c * log_tail(r + k * step) for k, c in ((-2, 1), (-1, -8), (1, 8), (2, -1))) / (12 * step)
    # The fifth derivative of the logarithm is below 1e3 here, and rounding below eps / STEP times its value.
    np.testing.assert_allclose(log_density(n, r), log_tail(r) + np.log(abs(slope)), rtol=0, atol=1e3 * STEP**4)
