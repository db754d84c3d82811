import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats
from tests.printed import half_unit

from unitcircle.ensembles import SpectralRadius
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError

EPS = np.finfo(float).eps
REFERENCES = Path(__file__).parents[3] / "shared" / "oracles" / "ginibre.json"
SIGNIFICANCE = 1e-3
LAWS = [SpectralRadius(1), SpectralRadius(7), SpectralRadius(10, std=2.0), SpectralRadius(60, 0.1, "complex")]


@pytest.mark.skipif(not REFERENCES.exists(), reason="the reference values of ../shared are not here")
@pytest.mark.parametrize("field", ["real", "complex"])
def test_moments_and_quantiles_are_the_reference_values(field):
    for size, reference in json.loads(REFERENCES.read_text())["moments"][field].items():
        if int(size) > 1000:
            continue
        law = SpectralRadius(int(size), field=field)
        # The references state their own error, about 1e-13.
        error = 10 * reference["err"]
        mean, var, skewness, kurtosis = law.stats("mvsk")
        assert mean == pytest.approx(reference["mean"], rel=error)
        assert (np.sqrt(var), law.std()) == pytest.approx((reference["std"],) * 2, rel=error)
        assert (skewness, kurtosis) == pytest.approx((reference["skew"], reference["exkurt"]), abs=1e3 * error)
        probabilities = [float(p) for p in reference["quantiles"]]
        np.testing.assert_allclose(law.ppf(probabilities), list(reference["quantiles"].values()), rtol=error)


def test_one_real_entry_is_half_normal():
    law, expected = SpectralRadius(1, std=3.0), stats.halfnorm(scale=3.0)
    r = np.array([0.01, 1.0, 5.0, 20.0])
    for method in ("cdf", "sf", "pdf", "logcdf", "logsf", "logpdf"):
        np.testing.assert_allclose(getattr(law, method)(r), getattr(expected, method)(r), rtol=256 * EPS)
    q = np.array([0.3, 0.999])
    np.testing.assert_allclose(law.ppf(q), expected.ppf(q), rtol=256 * EPS)
    # SciPy's own quantile loses its digits near 0, where the density is constant.
    np.testing.assert_allclose(
        law.ppf([1e-200, 1e-12]), np.array([1e-200, 1e-12]) * 3 * np.sqrt(np.pi / 2), rtol=256 * EPS
    )
    assert law.mean() == pytest.approx(expected.mean(), rel=256 * EPS)
    assert law.stats("s") == pytest.approx(float(expected.stats("s")), rel=1e4 * EPS)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_quantiles_invert_both_tails(law):
    q = np.array([1e-200, 1e-30, 1e-10, 0.02, 0.5, 0.9, 1 - 1e-12])
    np.testing.assert_allclose(law.cdf(law.ppf(q)), q, rtol=1e4 * EPS)
    np.testing.assert_allclose(law.sf(law.isf(q)), q, rtol=1e4 * EPS)
    np.testing.assert_allclose(law.interval(0.9), (law.ppf(0.05), law.isf(0.05)), rtol=16 * EPS)
    assert law.median() == law.ppf(0.5)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_edges_of_the_arguments(law):
    assert law.support() == (0.0, np.inf)
    r = np.array([[-1.0, 0.0], [np.inf, np.nan]])
    np.testing.assert_array_equal(law.cdf(r), [[0, 0], [1, np.nan]])
    np.testing.assert_array_equal(law.sf(r), [[1, 1], [0, np.nan]])
    np.testing.assert_array_equal(law.pdf(r), [[0, 0], [0, np.nan]])
    q = np.array([-0.1, 0.0, 1.0, 1.1, np.nan])
    np.testing.assert_array_equal(law.ppf(q), [np.nan, 0, np.inf, np.nan, np.nan])
    np.testing.assert_array_equal(law.isf(q), [np.nan, np.inf, 0, np.nan, np.nan])
    assert np.ndim(law.cdf(1.0)) == np.ndim(law.ppf(0.3)) == 0
    assert law.cdf(np.ones((2, 3))).shape == law.ppf(np.full((2, 3), 0.3)).shape == (2, 3)
    assert law.cdf([]).shape == (0,)


@given(
    n=st.integers(1, 40),
    std=st.floats(1e-150, 1e150),
    field=st.sampled_from(["real", "complex"]),
    r=st.lists(st.floats(0.01, 20.0), min_size=2, max_size=6),
)
@settings(max_examples=40, deadline=None, derandomize=True)
def test_scaling_monotony_and_complement(n, std, field, r):
    r = np.sort(r)
    unit, scaled = SpectralRadius(n, field=field), SpectralRadius(n, std, field)
    cdf = unit.cdf(r)
    assert (np.diff(cdf) >= -200 * n * EPS).all()
    np.testing.assert_allclose(cdf + unit.sf(r), 1, rtol=0, atol=8 * EPS)
    # r·std/std rounds once more; the law amplifies a relative change of r by at most about n² in the left tail.
    np.testing.assert_allclose(scaled.logcdf(std * r), unit.logcdf(r), rtol=1e4 * n * EPS, atol=1e4 * EPS)


@pytest.mark.parametrize(
    "law", [SpectralRadius(3), SpectralRadius(30, 0.2, "complex"), SpectralRadius(100_000)], ids=repr
)
def test_density_integrates_to_one_and_to_the_mean(law):
    tail = 1e-15
    low, high = law.ppf(tail), law.isf(tail)
    total = integrate.quad(law.pdf, low, high, points=[law.median()], limit=200)
    mean = integrate.quad(lambda r: r * law.pdf(r), low, high, points=[law.median()], limit=200)
    assert total[0] == pytest.approx(1, abs=total[1] + 2 * tail)
    assert mean[0] == pytest.approx(law.mean(), abs=mean[1] + 4 * tail * high)
    assert law.expect(lambda r: r) == pytest.approx(law.mean(), rel=2 * law.sampling_error)
    assert law.expect(lambda r: (r - law.mean()) ** 2) == pytest.approx(law.var(), rel=100 * law.sampling_error)


@pytest.mark.parametrize(("n", "field"), [(2, "real"), (3, "real"), (10, "real"), (50, "real"), (10, "complex")])
def test_law_against_eigenvalues_of_drawn_matrices(n, field):
    rng = np.random.default_rng(20_240_501 + n)
    z = rng.standard_normal((20_000 // n, n, n))
    if field == "complex":
        z = (z + 1j * rng.standard_normal(z.shape)) / np.sqrt(2)
    radii = abs(np.linalg.eigvals(1.5 * z)).max(-1)
    assert stats.kstest(radii, SpectralRadius(n, 1.5, field).cdf).pvalue > SIGNIFICANCE


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_draws_follow_the_law(law):
    draws = law.rvs(20_000, random_state=7)
    assert stats.kstest(law.cdf(draws), "uniform").pvalue > SIGNIFICANCE
    np.testing.assert_array_equal(draws, law.rvs(20_000, random_state=np.random.default_rng(7)))
    assert law.rvs(size=(2, 3), random_state=1).shape == (2, 3)
    assert np.ndim(law.rvs(random_state=1)) == 0


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_stated_sampling_error_holds(law):
    q = np.random.default_rng(0).uniform(size=200)
    tabulated = law.entry_std * law.table.quantile(np.log(q) - np.log1p(-q))
    np.testing.assert_allclose(tabulated, law.ppf(q), rtol=2 * law.sampling_error)
    assert law.sampling_error < 1e-7
    radii = law.ppf(q)
    # The points were doubled until the logit changed by 1e-4, and doubling squares the error; the derivative multiplies
    # it by up to the square of the number of points.
    settled = 1e-4**2
    np.testing.assert_allclose(law.table.cdf(radii / law.entry_std), q, rtol=settled)
    np.testing.assert_allclose(
        law.table.logpdf(radii / law.entry_std),
        law.logpdf(radii) + np.log(law.entry_std),
        rtol=0,
        atol=min(32**2 * settled, 1e-5),
    )


def test_large_matrices_say_how_inexact_they_are():
    exact, closed = SpectralRadius(10_000), SpectralRadius(10_001)
    assert exact.exact
    assert exact.error < 1e-12
    assert not closed.exact
    assert 1e-3 < closed.error < 3e-3
    r = 100 + np.array([0.4, 0.7, 1.5])
    assert abs(exact.cdf(r) - closed.cdf(r)).max() < 1.5 * closed.error
    # One unit of the last digit: 0.6 of it measured.
    assert SpectralRadius(10**6).mean() / 1000 == pytest.approx(1.0014, abs=2 * half_unit(4))
    assert SpectralRadius(10**6, field="complex").ppf(0.5) > 1000


def test_a_law_is_a_value():
    law = SpectralRadius(np.int64(10), std=2, field="real")
    assert law == SpectralRadius(10, 2.0)
    assert hash(law) == hash(SpectralRadius(10, 2.0))
    assert law != SpectralRadius(10, 2.0, "complex")
    assert repr(law) == "SpectralRadius(n=10, std=2.0, field='real')"
    assert eval(repr(law)) == law
    with pytest.raises(AttributeError):
        law.n = 3


@pytest.mark.parametrize("n", [0, -3, 2.5])
def test_size_must_be_a_positive_integer(n):
    with pytest.raises(ShapeError, match="n must be a whole number, at least 1"):
        SpectralRadius(n)


@pytest.mark.parametrize("std", [0.0, -1.0, np.inf, np.nan, [1.0, 2.0]])
def test_std_must_be_positive_and_finite(std):
    with pytest.raises(ArgumentError, match="std must be"):
        SpectralRadius(3, std)


def test_field_must_exist():
    with pytest.raises(UnknownNameError, match="Did you mean 'complex'"):
        SpectralRadius(3, field="complx")
