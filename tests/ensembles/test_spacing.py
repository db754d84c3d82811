import numpy as np
import pytest
from scipy import integrate, stats
from tests.printed import half_unit

from unitcircle.ensembles import HaarSpacing
from unitcircle.errors import ShapeError

EPS = np.finfo(float).eps
LAW = HaarSpacing(100)
# Markov's inequality: what rounding does to the derivatives of a polynomial of degree 48 on [0, 6].
FIRST = 48**2 / 3 * EPS
SECOND = 48**2 * (48**2 - 1) / 3 / 9 * EPS


def test_a_density_of_unit_mean():
    moments = [integrate.quad(lambda s, k=k: s**k * float(LAW.pdf(s)), 0, 6, epsabs=0)[0] for k in range(3)]
    # The variance of the spacing at β = 2: 0.180 (Mehta, Random Matrices).
    assert moments == pytest.approx([1, 1, 1.180], abs=half_unit(3))
    assert moments[:2] == pytest.approx([1, 1], abs=SECOND)
    part = integrate.quad(lambda s: float(LAW.pdf(s)), 0, 1.3, epsabs=0)[0]
    assert part == pytest.approx(float(LAW.cdf(1.3)), abs=SECOND)


def test_small_spacings_repel():
    # P(S ≤ s) ~ π² s³/9.
    assert LAW.cdf(0.05) == pytest.approx(np.pi**2 * 0.05**3 / 9, rel=0.01)
    np.testing.assert_allclose(LAW.sf([-1.0, 0.0, 6.0, 9.0]), [1, 1, 0, 0], atol=FIRST)
    np.testing.assert_array_equal(LAW.pdf([-1.0, 7.0]), 0)


def test_gaps_of_a_haar_orthogonal_matrix():
    rng = np.random.default_rng(0)
    gaps = np.concatenate([LAW.values(LAW.draw_weight(rng)) for _ in range(20)])
    distance = stats.kstest(gaps, LAW.cdf).statistic
    # 980 gaps, weakly dependent; 1.63/√N is the 1 % point for independent ones. Independent phases are far off.
    assert distance < 1.63 / np.sqrt(gaps.size)
    assert stats.kstest(gaps, "expon").statistic > 5 * 1.63 / np.sqrt(gaps.size)


def test_gaps_of_a_unitary_matrix():
    rng = np.random.default_rng(1)
    q, r = np.linalg.qr(rng.standard_normal((400, 400)) + 1j * rng.standard_normal((400, 400)))
    gaps = LAW.values(q * (np.diagonal(r) / abs(np.diagonal(r))))
    assert gaps.size == 400
    assert gaps.mean() == pytest.approx(1)
    assert stats.kstest(gaps, LAW.cdf).statistic < 1.63 / np.sqrt(400)


def test_probability_of_a_wide_gap_against_drawn_matrices():
    law, rng = HaarSpacing(40), np.random.default_rng(2)
    pvalues = law.largest.sf([law.values(law.draw_weight(rng)).max() for _ in range(300)])
    for level in (0.1, 0.5):
        assert abs(np.mean(pvalues <= level) - level) < 0.12


@pytest.mark.parametrize("W", [np.eye(8), np.zeros((2, 8, 8)), np.array([[0.0, -1.0], [1.0, 0.0]])])
def test_no_gap_no_value(W):
    with pytest.raises(ShapeError, match="W must"):
        LAW.values(W)
