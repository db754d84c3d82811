import numpy as np
import pytest
from scipy import stats

from unitcircle.ensembles import SpectralRadius, fit_radius_law
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError


@pytest.fixture(scope="module")
def fits():
    return {f.name: f for f in fit_radius_law(SpectralRadius(10, std=2.0).rvs(4000, random_state=1), n=10)}


def test_the_exact_law_wins_and_poisson_comes_last(fits):
    assert next(iter(fits)) == "exact"
    assert list(fits)[-1] == "poisson"
    assert fits["exact"].pvalue > 0.001
    # Distances at infinitely many samples: lognormal .0134, gamma and Gumbel .0236, Poisson .31.
    assert fits["poisson"].distance == pytest.approx(0.31, abs=0.02)
    assert fits["poisson"].pvalue < 1e-50
    assert fits["poisson"].aic == np.inf
    assert fits["gumbel"].distance == pytest.approx(0.0236, abs=0.015)
    assert fits["shifted lognormal"].distance < 1.63 / np.sqrt(4000)
    assert fits["generalized extreme value"].distance < 1.63 / np.sqrt(4000) + 0.0039


def test_parameters_are_recovered(fits):
    law = SpectralRadius(10)
    # The scale is estimated to about the relative std of ρ over √draws.
    error = law.std() / law.mean() / np.sqrt(4000)
    assert fits["exact"].parameters["std"] == pytest.approx(2.0, rel=4 * error)
    assert fits["exact"].law == SpectralRadius(10, fits["exact"].parameters["std"])
    # Maximum-likelihood values of the infinite sample, for std = 2.
    assert fits["shifted lognormal"].parameters == pytest.approx({"s": 0.2044, "loc": 1.716, "scale": 4.907}, rel=0.25)
    assert fits["generalized extreme value"].parameters["c"] == pytest.approx(0.1055, abs=0.05)


def test_the_likelihood_of_the_exact_law_is_at_its_maximum(fits):
    samples = SpectralRadius(10, std=2.0).rvs(4000, random_state=1)
    best = fits["exact"]
    for factor in (0.995, 1.005):
        other = SpectralRadius(10, factor * best.parameters["std"]).logpdf(samples).sum()
        assert other < best.log_likelihood
    assert best.law.logpdf(samples).sum() == pytest.approx(best.log_likelihood, abs=4000 * 1e-6)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("gumbel", stats.gumbel_r(6.0, 1.0)),
        ("gamma", stats.gamma(40.0, scale=0.2)),
        ("lognormal", stats.lognorm(0.4, scale=3.0)),
        ("poisson", stats.poisson(30.0)),
    ],
)
def test_each_law_fits_its_own_samples(name, law):
    samples = law.rvs(2000, random_state=3)
    fitted = {fit.name: fit for fit in fit_radius_law(samples)}
    assert "exact" not in fitted
    # Conservative for a law on the integers, exact for the others: significance 0.1 %.
    assert fitted[name].pvalue > 1e-3
    assert fitted[name].distance < 2 / np.sqrt(2000)
    if name != "poisson":
        assert fitted["poisson"].pvalue < 1e-6


def test_a_sample_next_to_an_integer_or_to_zero_is_no_trouble():
    samples = np.concatenate((SpectralRadius(1).rvs(60, random_state=0), [0.004]))
    assert {fit.name for fit in fit_radius_law(samples, n=1)} >= {"exact"}


def test_misuse():
    with pytest.raises(ShapeError, match="at least 20"):
        fit_radius_law(np.ones(19))
    with pytest.raises(ShapeError, match="one axis"):
        fit_radius_law(np.ones((30, 2)))
    with pytest.raises(NotFiniteError, match="finite"):
        fit_radius_law(np.full(30, np.nan))
    with pytest.raises(ArgumentError, match="positive and not all equal"):
        fit_radius_law(np.ones(30))
    with pytest.raises(ArgumentError, match="positive"):
        fit_radius_law(np.linspace(-1, 1, 30))


def test_the_exact_law_is_that_of_the_field():
    samples = SpectralRadius(10, field="complex").rvs(400, random_state=2)
    laws = {
        field: {fit.name: fit for fit in fit_radius_law(samples, n=10, field=field)} for field in ("real", "complex")
    }
    assert laws["complex"]["exact"].law.field == "complex"
    assert laws["complex"]["exact"].log_likelihood > laws["real"]["exact"].log_likelihood
