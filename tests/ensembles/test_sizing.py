import numpy as np
import pytest

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
    assert std_for_radius(10) * np.sqrt(10) == pytest.approx(1 / 1.063544, rel=0.5e-6)


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
