import numpy as np
import pytest
from scipy import integrate, special
from tests.printed import half_unit

from unitcircle.ensembles._tracy_widom import tracy_widom_sf

EPS = np.finfo(float).eps
NODES = 32
# One unit of the last digit that Bornemann (2010) prints.
PUBLISHED = 1e-12


def test_quantiles_of_the_published_tables():
    # Upper quantiles of F₁: Johnstone, Ann. Statist. 29 (2001).
    quantiles, probabilities = np.array([-1.27, 0.45, 0.98, 2.02]), [0.5, 0.1, 0.05, 0.01]
    assert np.all(tracy_widom_sf(quantiles + half_unit(2)) <= probabilities)
    assert np.all(probabilities <= tracy_widom_sf(quantiles - half_unit(2)))


def test_mean_and_variance():
    low, high = -11.0, 19.0
    x, w = np.polynomial.legendre.leggauss(100)
    s, w = low + (high - low) * (x + 1) / 2, (high - low) * w / 2
    sf = tracy_widom_sf(s)
    mean = low + w @ sf
    second = low**2 + w @ (2 * s * sf)
    assert mean == pytest.approx(-1.206533574582, abs=PUBLISHED)
    # The second moment loses what cancels of low², summed over the nodes: 15 eps of it measured with SciPy 1.15.
    assert second - mean**2 == pytest.approx(1.607781034581, abs=PUBLISHED + len(x) * low**2 * EPS)


def test_tails():
    far = tracy_widom_sf(np.array([-40.0, -8.0, 10.0, 30.0]))
    assert far[0] == pytest.approx(1, abs=NODES * EPS)
    # F₁(s) ~ 2^{-11/48} e^{ζ'(-1)/2} |s|^{-1/16} e^{-|s|³/24 - |s|^{3/2}/(3√2)} (1 + O(|s|^{-3/2})):
    # Baik, Buckingham and DiFranco (2008).
    constant = 2 ** (-11 / 48) * np.exp(-0.1654211437 / 2)
    left = constant * 8 ** (-1 / 16) * np.exp(-(8**3) / 24 - 8**1.5 / (3 * 2**0.5))
    assert 1 - far[1] == pytest.approx(left, rel=8**-1.5, abs=NODES * EPS)
    # 1 - F₁(s) ~ ½ ∫_s^∞ Ai(x) dx · (1 + o(1)) = trace of the kernel.
    trace = integrate.quad(lambda x: special.airy(2 * x + 10.0)[0], 0, 10, epsabs=0)[0]
    # The relative condition of Ai(s) is s^{3/2}.
    assert far[2] == pytest.approx(trace, rel=NODES * 10**1.5 * EPS)
    assert 0 < far[3] < 1e-40
