import numpy as np
import pytest

from unitcircle.ensembles import Circular, Elliptic, HaarSpacing, QuarterCircle, TruncatedHaar, compare
from unitcircle.errors import ArgumentError
from unitcircle.initializers import parse

N = 60


@pytest.fixture
def rng():
    return np.random.default_rng(8)


@pytest.mark.parametrize(
    "law", [Circular(N, 0.5), Elliptic(N, 0.5, 0.3), QuarterCircle(N, 0.5), TruncatedHaar(N, 4 * N)]
)
def test_a_drawn_weight_looks_random(law, rng):
    result = compare(law.draw_weight(rng), law, draws=99)
    assert result.looks_random
    assert result.outliers == ()
    assert "looks random: " in str(result)


def test_level_of_both_tests_together():
    rng = np.random.default_rng(0)
    law = Circular(12, 1.0)
    rejected = sum(
        not compare(law.draw_weight(rng), law, level=0.1, draws=19, rng=rng).looks_random for _ in range(200)
    )
    # Two tests of level 0.1: at most 0.2, and three standard errors.
    assert rejected / 200 < 0.2 + 3 * np.sqrt(0.2 * 0.8 / 200)
    assert rejected > 0


def test_a_planted_eigenvalue_is_listed_alone(rng):
    u = rng.standard_normal(N)
    u /= np.linalg.norm(u)
    W = rng.standard_normal((N, N)) / np.sqrt(N) + 3 * np.outer(u, u)
    result = compare(W, Circular(N, 1 / np.sqrt(N)), draws=99)
    assert not result.looks_random
    (outlier,) = result.outliers
    # A rank-one spike of size θ > 1 moves one eigenvalue to θ, within O(n^-1/2).
    assert outlier.value == pytest.approx(3, abs=4 / np.sqrt(N))
    assert outlier.pvalue < 1e-10
    assert "1 outlier(s)" in str(result)
    assert f"{outlier.value:.6g}" in str(result)


def test_a_planted_singular_value_is_listed_alone(rng):
    u, v = (x / np.linalg.norm(x) for x in rng.standard_normal((2, N)))
    W = rng.standard_normal((N, N)) / np.sqrt(N) + 3 * np.outer(u, v)
    (outlier,) = compare(W, QuarterCircle(N, 1 / np.sqrt(N)), draws=99).outliers
    # Beyond the threshold of one, a spike θ appears at θ + 1/θ.
    assert outlier.value == pytest.approx(3 + 1 / 3, abs=4 / np.sqrt(N))


def test_the_eigen_initializer_is_not_random(rng):
    W = parse("eigen(modulus=0.95)").sample(N, rng=rng)
    result = compare(W, Circular.fitted(W), draws=99)
    assert not result.looks_random
    assert result.pvalue == 0.01


def test_uniform_rotation_angles_are_not_haar(rng):
    # Phases drawn independently of each other: gaps are exponential, not those of the sine kernel.
    W = np.zeros((N, N))
    for k, angle in enumerate(rng.uniform(0, np.pi, N // 2)):
        c, s = np.cos(angle), np.sin(angle)
        W[2 * k : 2 * k + 2, 2 * k : 2 * k + 2] = [[c, -s], [s, c]]
    assert not compare(W, HaarSpacing(N), draws=99).looks_random


def test_every_value_may_be_an_outlier():
    result = compare(5 * np.eye(4), Circular(4, 0.1), draws=99)
    assert [outlier.value for outlier in result.outliers] == [5.0] * 4


@pytest.mark.parametrize(("level", "draws"), [(0.0, 99), (1.0, 99), (0.001, 99)])
def test_level_must_be_reachable(level, draws):
    with pytest.raises(ArgumentError, match="level must be"):
        compare(np.eye(2), Circular(2, 1.0), level=level, draws=draws)


def test_what_is_compared_by_default(rng):
    W = Circular(20, 1.0).draw_weight(rng)
    result, again = compare(W, Circular(20, 1.0)), compare(W, Circular(20, 1.0), level=0.01, draws=199, rng=0)
    assert (result.level, result.pvalue) == (again.level, again.pvalue) == (0.01, compare(W, again.law).pvalue)
    # As far from the law as no random weight: the least p-value that 199 draws can give.
    assert compare(np.eye(20), Circular(20, 1.0)).pvalue == 1 / 200


def test_draws_and_rng_are_those_of_the_random_weights():
    # A weight that is farther from the law than any drawn one has the least p-value of so many draws.
    assert compare(np.eye(20), Circular(20, 1.0), draws=99).pvalue == 1 / 100
    law = Circular(20, 1.0)
    W = law.draw_weight(np.random.default_rng(1))
    assert len({compare(W, law, draws=99, rng=seed).pvalue for seed in range(4)}) > 1
