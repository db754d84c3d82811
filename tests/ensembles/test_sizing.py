import numpy as np
import pytest
from tests.printed import half_unit

from unitcircle.ensembles import SpectralRadius, std_for_radius
from unitcircle.errors import ArgumentError

EPS = np.finfo(float).eps


@pytest.mark.parametrize("field", ["real", "complex"])
@pytest.mark.parametrize("n", [1, 10, 257])
def test_the_radius_is_where_it_was_asked(n, field):
    by_mean = std_for_radius(n, radius=0.9, field=field)
    assert SpectralRadius(n, by_mean, field).mean() == pytest.approx(0.9, rel=16 * EPS)
    by_median = std_for_radius(n, at="median", field=field)
    assert SpectralRadius(n, by_median, field).cdf(1.0) == pytest.approx(0.5, abs=2000 * EPS)
    for probability in (0.01, 0.99):
        std = std_for_radius(n, radius=2.0, at=probability, field=field)
        assert SpectralRadius(n, std, field).cdf(2.0) == pytest.approx(probability, rel=2000 * EPS)


def test_a_small_weight_needs_less_than_the_limit_says():
    # The mean of ρ/√n at n = 10, to half a unit of its last digit.
    assert std_for_radius(10) * np.sqrt(10) == pytest.approx(1 / 1.063544, rel=half_unit(6))


@pytest.mark.parametrize("at", [0.0, 1.0, -1, "mode", float("nan")])
def test_place_must_be_known(at):
    with pytest.raises(ArgumentError, match="at must be"):
        std_for_radius(3, at=at)


@pytest.mark.parametrize("radius", [0.0, -1.0, float("inf"), float("nan")])
def test_radius_must_be_positive_and_finite(radius):
    with pytest.raises(ArgumentError, match="radius must be"):
        std_for_radius(3, radius=radius)


def test_the_mean_of_a_real_weight_is_at_one_by_default():
    assert std_for_radius(10) == std_for_radius(10, radius=1.0, at="mean", field="real")
    assert len({std_for_radius(10), std_for_radius(10, at="median"), std_for_radius(10, field="complex")}) == 3


@pytest.mark.parametrize(("n", "draws"), [(8, 20_000), (32, 4_000)])
def test_powers_of_a_linear_recurrence_stay_below_their_bound_as_often_as_asked(n, draws):
    steps, bound, level = 1000, 10.0, 0.95
    std = std_for_radius(n, radius=bound, at=level, steps=steps)
    W = std * np.random.default_rng(0).standard_normal((draws, n, n))
    log_power = steps * np.log(np.abs(np.linalg.eigvals(W)).max(-1))
    share = np.mean(log_power <= np.log(bound))
    assert abs(share - level) < 3 * np.sqrt(level * (1 - level) / draws)


def test_the_limit_law_of_large_weights_is_too_wide():
    # The 99 % quantile of Rider and Sinclair's limit for real entries of std 1/√n.
    def gumbel(n):
        gamma = np.log(n) - 2 * np.log(np.log(n)) - np.log(2 * np.pi)
        return (
            1 + np.sqrt(gamma / (4 * n)) - np.log(-2 * np.log(0.99)) / np.sqrt(4 * n * gamma) if gamma > 0 else np.nan
        )

    exact = [1 / (std_for_radius(n, at=0.99) * np.sqrt(n)) for n in (64, 256, 1024)]
    assert exact == pytest.approx([1.2084, 1.1047, 1.0528], abs=half_unit(4))
    assert np.isnan(gumbel(64))
    assert [gumbel(256), gumbel(1024)] == pytest.approx([1.2467, 1.0725], abs=half_unit(4))
    assert SpectralRadius(1024, 1 / 32).cdf(gumbel(1024)) > 0.999


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"steps": 0}, "steps must be"), ({"steps": 2.5}, "steps must be"), ({"steps": 9, "at": "mean"}, "at must be")],
)
def test_steps_must_be_positive_and_have_a_probability(arguments, message):
    with pytest.raises(ArgumentError, match=message):
        std_for_radius(8, **({"at": 0.9} | arguments))


def test_one_step_is_the_radius_itself():
    assert std_for_radius(8, radius=0.9, at=0.9, steps=1) == std_for_radius(8, radius=0.9, at=0.9)
