import numpy as np
import pytest
from scipy import integrate, stats

from unitcircle.ensembles import MarchenkoPastur, QuarterCircle
from unitcircle.errors import NotFiniteError, ShapeError

EPS = np.finfo(float).eps


@pytest.mark.parametrize(
    "law", [MarchenkoPastur(30, 80, 0.5), MarchenkoPastur(80, 30, 2.0), MarchenkoPastur(9, 9, 1.0)]
)
def test_distribution_function_is_the_integral_of_the_density(law):
    low, high = law.edges
    for x in np.linspace(low, high, 5)[1:]:
        # The substitution x = low + s² takes out the root, or the pole where low = 0.
        value, error = integrate.quad(lambda s: 2 * s * float(law.pdf(low + s * s)), 0, np.sqrt(x - low))
        assert law.cdf(x) == pytest.approx(value, abs=error + 1e3 * EPS)
    np.testing.assert_allclose(law.cdf([low - 1, low, high, high + 1]), [0, 0, 1, 1], atol=8 * EPS)
    np.testing.assert_array_equal(law.pdf([-1.0, low / 2, high, high + 1]), 0)


def test_quarter_circle_is_the_square_case():
    law = QuarterCircle(9, 2.0)
    s = np.linspace(0, law.edge, 7)
    np.testing.assert_allclose(law.cdf(s), MarchenkoPastur(9, 9, 2.0).cdf(s * s), atol=100 * EPS)
    value, error = integrate.quad(lambda x: float(law.pdf(x)), 0, 3.0)
    assert law.cdf(3.0) == pytest.approx(value, abs=error + 100 * EPS)
    assert law.pdf(-0.1) == law.pdf(law.edge + 1) == 0


@pytest.mark.parametrize("law", [MarchenkoPastur(100, 300, 0.1), QuarterCircle(200, 0.1)])
def test_the_spectrum_fills_the_limit(law):
    x = np.sort(law.values(law.draw_weight(0)))
    assert abs(law.cdf(x) - (np.arange(x.size) + 0.5) / x.size).max() < 3 / x.size


@pytest.mark.parametrize("law", [MarchenkoPastur(40, 100, 2.0), QuarterCircle(60, 0.3)])
def test_the_edge_follows_tracy_and_widom(law):
    rng = np.random.default_rng(4)
    pvalues = law.largest.sf([law.values(law.draw_weight(rng)).max() for _ in range(300)])
    assert stats.kstest(pvalues, "uniform").pvalue > 1e-3


def test_fitted_laws_have_the_scale_of_the_weight():
    W = MarchenkoPastur(40, 60, 0.3).draw_weight(0)
    law = MarchenkoPastur.fitted(W)
    assert (law.rows, law.columns) == (40, 60)
    assert law.entry_std == pytest.approx(0.3, abs=4 * 0.3 / np.sqrt(2 * W.size))
    assert QuarterCircle.fitted(W[:, :40]).n == 40


def test_misuse():
    with pytest.raises(ShapeError, match="Use MarchenkoPastur"):
        QuarterCircle.fitted(np.ones((2, 3)))
    with pytest.raises(ShapeError, match=r"one weight|at least 2 axes"):
        QuarterCircle.values(np.ones(3))
    with pytest.raises(NotFiniteError, match="must be finite"):
        MarchenkoPastur.values(np.full((2, 3), np.nan))
