import numpy as np
import pytest
from scipy import integrate, special

from unitcircle.ensembles._tracy_widom import tracy_widom_sf

EPS = np.finfo(float).eps


def test_quantiles_of_the_published_tables():
    # Upper quantiles of F₁: Johnstone, Ann. Statist. 29 (2001).
    np.testing.assert_allclose(tracy_widom_sf([-1.27, 0.45, 0.98, 2.02]), [0.5, 0.1, 0.05, 0.01], atol=6e-4)


def test_mean_and_variance():
    low, high = -11.0, 19.0
    x, w = np.polynomial.legendre.leggauss(100)
    s, w = low + (high - low) * (x + 1) / 2, (high - low) * w / 2
    sf = tracy_widom_sf(s)
    mean = low + w @ sf
    second = low**2 + w @ (2 * s * sf)
    # Published values (Bornemann 2010).
    assert mean == pytest.approx(-1.206533574582, abs=1e-11)
    assert second - mean**2 == pytest.approx(1.607781034581, abs=1e-10)


def test_tails():
    far = tracy_widom_sf(np.array([-40.0, -8.0, 10.0, 30.0]))
    np.testing.assert_allclose(far[:2], 1, atol=1e-11)
    # 1 - F₁(s) ~ ½ ∫_s^∞ Ai(x) dx · (1 + o(1)) = trace of the kernel.
    trace = integrate.quad(lambda x: special.airy(2 * x + 10.0)[0], 0, 10)[0]
    assert far[2] == pytest.approx(trace, rel=1e-9)
    assert 0 < far[3] < 1e-40
