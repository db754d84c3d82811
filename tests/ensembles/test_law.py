"""One interface for the seven laws, and for the laws of the largest value: that of a frozen SciPy distribution."""

import numpy as np
import pytest
from scipy import stats

from unitcircle.ensembles import (
    Circular,
    Elliptic,
    HaarSpacing,
    Law,
    MarchenkoPastur,
    QuarterCircle,
    SpectralRadius,
    TruncatedHaar,
    WeightLaw,
    compare,
)

EPS = np.finfo(float).eps
# Probability that a sampling test fails for a right law.
SIGNIFICANCE = 1e-3
# One unit of the last digit that Bornemann (2010) prints of the mean and variance.
PUBLISHED = 1e-12
# Integrals of 256 nodes, relative to the standard deviation of the law: the bound that the docstring states.
INTEGRAL = 1e-10
WEIGHT_LAWS = [
    Circular(40, 0.7),
    Elliptic(60, 2.0, 0.5),
    TruncatedHaar(20, 80),
    MarchenkoPastur(30, 80, 0.5),
    MarchenkoPastur(80, 30, 2.0),
    MarchenkoPastur(9, 9, 1.0),
    QuarterCircle(9, 2.0),
    HaarSpacing(40),
]
LIMITS = [*WEIGHT_LAWS, SpectralRadius(10, 2.0)]
LARGEST = [
    law.largest
    for law in (
        Circular(40, 0.7),
        Elliptic(60, 2.0, 0.5),
        TruncatedHaar(20, 80),
        TruncatedHaar(12, 13),
        MarchenkoPastur(30, 80, 0.5),
        QuarterCircle(40, 2.0),
        HaarSpacing(40),
    )
]
Q = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.9999])


@pytest.mark.parametrize("law", [*LIMITS, *LARGEST], ids=repr)
def test_quantiles_invert_both_tails(law):
    assert isinstance(law, Law)
    # A quantile is right to rounding; the law multiplies that by the logarithmic slope x f(x).
    slope = 1 + abs(law.ppf(Q) * law.pdf(law.ppf(Q)))
    assert (abs(law.cdf(law.ppf(Q)) - Q) <= 100 * EPS * slope).all()
    slope = 1 + abs(law.isf(Q) * law.pdf(law.isf(Q)))
    assert (abs(law.sf(law.isf(Q)) - Q) <= 100 * EPS * slope).all()
    x = law.ppf(Q)[1:-1]
    np.testing.assert_allclose(law.ppf(law.cdf(x)), x, rtol=1e4 * EPS)
    assert (np.diff(law.ppf(Q)) > 0).all()
    np.testing.assert_allclose(law.cdf(x) + law.sf(x), 1, rtol=100 * EPS)
    np.testing.assert_array_equal(law.interval(0.9), (law.ppf((1 - 0.9) / 2), law.isf((1 - 0.9) / 2)))
    assert law.median() == law.ppf(0.5)


@pytest.mark.parametrize("law", [*LIMITS, *LARGEST], ids=repr)
def test_edges_of_the_arguments(law):
    low, high = law.support()
    np.testing.assert_array_equal(law.ppf([-0.1, 0.0, 1.0, 1.1, np.nan]), [np.nan, low, high, np.nan, np.nan])
    np.testing.assert_array_equal(law.isf([-0.1, 0.0, 1.0, 1.1, np.nan]), [np.nan, high, low, np.nan, np.nan])
    np.testing.assert_allclose(law.cdf([-1.0, low, high, high + 1]), [0, 0, 1, 1], atol=100 * EPS)
    np.testing.assert_array_equal(law.pdf([-1.0, high + 1]), 0)
    for method in (law.cdf, law.sf, law.ppf, law.isf):
        assert np.isnan(method(np.nan))
        assert np.ndim(method(0.3)) == 0
        assert method(np.full((2, 3), 0.3)).shape == (2, 3)
        assert method([]).shape == (0,)


@pytest.mark.parametrize("law", [*LIMITS, *LARGEST], ids=repr)
def test_density_is_the_derivative_and_logarithms_are_logarithms(law):
    x = law.ppf([0.1, 0.4, 0.8])
    h = 1e-3 * np.minimum(law.ppf(0.75) - law.ppf(0.25), x - law.support()[0])
    slope = (law.cdf(x - 2 * h) - 8 * law.cdf(x - h) + 8 * law.cdf(x + h) - law.cdf(x + 2 * h)) / (12 * h)
    # The formula's own error is of order h⁴ of the width, its rounding 1e3·eps of the density.
    np.testing.assert_allclose(law.pdf(x), slope, rtol=1e6 * EPS + 1e3 * 1e-3**4)
    for name in ("cdf", "sf", "pdf"):
        np.testing.assert_allclose(getattr(law, "log" + name)(x), np.log(getattr(law, name)(x)), rtol=1e4 * EPS)


@pytest.mark.parametrize("law", [*LIMITS, *LARGEST], ids=repr)
def test_moments_are_integrals_over_the_density(law):
    width = law.std()
    assert law.expect(np.ones_like) == pytest.approx(1, abs=INTEGRAL)
    assert law.mean() == pytest.approx(law.expect(lambda x: x), abs=INTEGRAL * max(width, law.mean()))
    # The table of SpectralRadius and the polynomial of the spacings are right to 1e-11 of a second moment.
    assert law.var() == pytest.approx(law.expect(lambda x: (x - law.mean()) ** 2), rel=INTEGRAL)
    mean, var, skewness, kurtosis = law.stats("mvsk")
    assert (mean, var) == (law.mean(), law.var())
    assert law.stats("s") == skewness
    assert skewness == pytest.approx(law.expect(lambda x: ((x - mean) / width) ** 3), abs=100 * INTEGRAL)
    assert kurtosis + 3 == pytest.approx(law.expect(lambda x: ((x - mean) / width) ** 4), abs=1000 * INTEGRAL)


@pytest.mark.parametrize("law", [*LIMITS, *LARGEST], ids=repr)
def test_draws_follow_the_law(law):
    draws = law.rvs(2000, random_state=7)
    assert stats.kstest(law.cdf(draws), "uniform").pvalue > SIGNIFICANCE
    assert abs(draws.mean() - law.mean()) < 4 * law.std() / np.sqrt(2000)
    np.testing.assert_array_equal(law.rvs(9, random_state=7), law.rvs(9, random_state=np.random.default_rng(7)))
    assert law.rvs(size=(2, 3), random_state=1).shape == (2, 3)
    assert np.ndim(law.rvs(random_state=1)) == 0


@pytest.mark.parametrize("law", [law for law in LARGEST[1:] if law.law != TruncatedHaar(12, 13)], ids=repr)
def test_draws_of_the_largest_value_have_the_stated_accuracy(law):
    draws = law.rvs(20, random_state=3)
    exact = law.ppf(1 / (1 + np.exp(-np.random.default_rng(3).logistic(size=20))))
    assert abs(draws - exact).max() < 1e-6 * law.std()


X = np.linspace(0.01, 1.2, 25)


@pytest.mark.parametrize(
    ("law", "expected"),
    [
        (Circular(100, 0.1), stats.powerlaw(2)),
        (Elliptic(100, 0.1, -0.4), stats.powerlaw(2)),
        (QuarterCircle(100, 0.05), stats.beta(1.5, 1.5, loc=-1, scale=2)),
        (SpectralRadius(1), stats.halfnorm()),
        (SpectralRadius(1, field="complex"), stats.rayleigh(scale=np.sqrt(0.5))),
    ],
    ids=["circular", "elliptic", "quarter circle", "one real", "one complex"],
)
def test_laws_that_scipy_has(law, expected):
    if isinstance(law, QuarterCircle):  # half of a semicircle, which is a beta law
        np.testing.assert_allclose(law.cdf(X), 2 * expected.cdf(X) - 1, atol=100 * EPS)
        np.testing.assert_allclose(law.pdf(X), 2 * expected.pdf(X), rtol=100 * EPS, atol=100 * EPS)
        return
    for method in ("cdf", "sf", "pdf"):
        # Next to the end of the support SciPy's pdf and ours may fall on either side of it.
        np.testing.assert_allclose(getattr(law, method)(X), getattr(expected, method)(X), rtol=256 * EPS, atol=4 * EPS)
    # SciPy's own quantile of the half-normal law loses its digits near 0.
    np.testing.assert_allclose(law.ppf(Q[1:]), expected.ppf(Q[1:]), rtol=256 * EPS)
    for name in ("mean", "std", "median"):
        assert getattr(law, name)() == pytest.approx(getattr(expected, name)(), rel=256 * EPS)


def test_a_block_of_two_uniform_transforms():
    # 1/(1 - r²) is uniform between 1 and m/(m - n).
    law, r = TruncatedHaar(20, 80), np.linspace(0.05, 0.49, 9)
    expected = stats.uniform(1, 80 / 60 - 1)
    np.testing.assert_allclose(law.cdf(r), expected.cdf(1 / (1 - r * r)), rtol=1e3 * EPS)
    np.testing.assert_allclose(law.pdf(r), expected.pdf(1 / (1 - r * r)) * 2 * r / (1 - r * r) ** 2, rtol=1e3 * EPS)


def test_marchenko_pastur_of_one_row_is_a_point_and_its_square_case_is_a_quarter_circle():
    low, high = MarchenkoPastur(1, 10**6, 1e-3).edges
    assert (low, high) == pytest.approx((1, 1), abs=0.01)
    s = np.concatenate((np.geomspace(1e-12, 1, 9), [3.0, 5.999]))
    # Accurate relative to itself down to the hard edge.
    np.testing.assert_allclose(MarchenkoPastur(9, 9, 1.0).cdf(s * s), QuarterCircle(9, 1.0).cdf(s), rtol=1e3 * EPS)


def test_the_largest_singular_value_has_the_moments_of_tracy_and_widom():
    # Bornemann, On the numerical evaluation of Fredholm determinants (2010), table 4.
    law = MarchenkoPastur(50, 50, 2.0).largest
    root = np.sqrt(49.5)
    scale = 4 * 2 * root * (2 / root) ** (1 / 3)
    mean, var, skewness, kurtosis = law.stats("mvsk")
    assert (mean - 4 * (2 * root) ** 2) / scale == pytest.approx(-1.206533574582, abs=PUBLISHED)
    assert var / scale**2 == pytest.approx(1.607781034581, abs=PUBLISHED)
    # One unit of the last digit too: 0.6 of it measured, for both.
    assert skewness == pytest.approx(0.29346452408, abs=10 * PUBLISHED)
    assert kurtosis == pytest.approx(0.1652429384, abs=100 * PUBLISHED)


def test_the_spectral_radius_of_the_circle_is_the_exact_law():
    assert Circular(40, 0.7).largest == SpectralRadius(40, 0.7)


@pytest.mark.parametrize("law", WEIGHT_LAWS, ids=repr)
def test_the_values_of_a_release_ago(law):
    low, high = law.interval(0.98)
    x = np.linspace(low, high, 4)
    with pytest.warns(DeprecationWarning, match=r"beyond\(x\) is now largest.sf\(x\)"):
        np.testing.assert_array_equal(law.beyond(x), law.largest.sf(x))
    with pytest.warns(DeprecationWarning, match=r"sample\(rng\) is now draw_weight\(rng\)"):
        weight = law.sample(np.random.default_rng(3))
    np.testing.assert_array_equal(weight, law.draw_weight(3))


def test_marchenko_pastur_keeps_the_values_of_a_release_ago():
    law = MarchenkoPastur(30, 80, 0.5)
    x = np.linspace(*law.edges, 9)[1:-1]
    c, d, gap = 110, 2 * np.sqrt(2400), 50
    theta = np.arccos((x / 0.25 - c) / d)
    angle = np.arctan2(gap * np.sin(theta / 2), (c + d) * np.cos(theta / 2))
    old = 1 - (c * theta - d * np.sin(theta) - 2 * gap * angle) / (60 * np.pi)
    np.testing.assert_allclose(law.cdf(x), old, rtol=1e3 * EPS)


def test_the_argument_std_is_the_field_entry_std():
    law = Elliptic(n=6, std=0.5, correlation=0.2)
    assert law.entry_std == 0.5
    assert repr(law) == "Elliptic(n=6, std=0.5, correlation=0.2)"
    assert repr(law.largest) == "Elliptic(n=6, std=0.5, correlation=0.2).largest"
    assert eval(repr(law)) == law
    assert law.largest == Elliptic(6, 0.5, 0.2).largest != Elliptic(6, 0.5, 0.3).largest
    assert law.std() == pytest.approx(law.edge / np.sqrt(18), rel=4 * EPS)


def test_a_law_of_ones_own_with_the_methods_of_a_release_ago_still_compares():
    class Old:
        quantity = "moduli"

        def __init__(self):
            self.law = Circular(12, 1.0)
            self.values, self.coordinate, self.cdf = self.law.values, self.law.coordinate, self.law.cdf

        def beyond(self, x):
            return self.law.largest.sf(x)

        def sample(self, rng):
            return self.law.draw_weight(rng)

    W = Circular(12, 1.0).draw_weight(5)
    with pytest.warns(DeprecationWarning, match="derives from WeightLaw"):
        result = compare(W, Old(), draws=99)
    assert result.pvalue == compare(W, Circular(12, 1.0), draws=99).pvalue


def test_a_law_needs_three_methods_only():
    class Triangle(Law):
        def support(self):
            return 0.0, 2.0

        def cdf(self, x):
            x = np.clip(np.asarray(x, float), 0, 2)
            return np.where(x < 1, x * x / 2, 1 - (2 - x) ** 2 / 2)

        def pdf(self, x):
            return np.maximum(1 - abs(np.asarray(x, float) - 1), 0)

    law, expected = Triangle(), stats.triang(0.5, scale=2)
    np.testing.assert_allclose(law.ppf(Q), expected.ppf(Q), rtol=1e4 * EPS)
    # A kink at 1, where a sum of 256 nodes is of second order.
    assert (law.mean(), law.std()) == pytest.approx((expected.mean(), expected.std()), rel=4 / 256**2)
    assert not isinstance(law, WeightLaw)
