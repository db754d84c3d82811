"""Statistics of few runs against naive twins, closed forms and simulations."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from scipy import stats

from unitcircle.experiments.comparison import _statistics as statistics
from unitcircle.experiments.comparison import holm, median_interval, paired_p, rank_differences

INF = math.inf
EPS = np.finfo(float).eps


def test_holm_gives_the_values_of_the_literature():
    # R: p.adjust(c(.01, .02, .03, .04, .05), "holm"), and with the order mixed.
    assert holm([0.01, 0.02, 0.03, 0.04, 0.05]) == pytest.approx([0.05, 0.08, 0.09, 0.09, 0.09], abs=4 * EPS)
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02], abs=4 * EPS)
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_paired_p_is_that_of_all_sign_flips(seed):
    sample = np.random.default_rng(seed).standard_normal(8) + 0.5
    means = [np.mean(np.multiply(signs, sample)) for signs in product([-1, 1], repeat=8)]
    # Two means of eight numbers that are equal but for the order of the sum.
    as_extreme = np.mean(np.abs(means) >= abs(sample.mean()) - 8 * EPS * np.abs(sample).max())
    assert paired_p(sample) == as_extreme  # both are a number of 2⁸ flips


@pytest.mark.parametrize(("sample", "p"), [([0.1] * 10, 2 / 1024), ([0.1, 0.2], 0.5), ([0.3], 1), ([0, 0, 0], 1)])
def test_paired_p_at_its_ends(sample, p):
    assert paired_p(sample) == p


def test_paired_p_says_nothing_of_what_is_not_a_number():
    assert paired_p([0.1, math.nan, 0.2]) == 1


def test_cliffs_delta_counts_pairs_and_takes_the_censored_for_ties():
    x, y = [1, 2, 2, INF, INF], [2, 3, INF]
    naive = np.mean([(a > b) - (a < b) for a in x for b in y])
    assert statistics.cliffs_delta(x, y) == pytest.approx(naive, abs=4 * EPS)
    assert statistics.cliffs_delta([INF], [INF]) == 0
    assert math.isnan(statistics.cliffs_delta([], [1]))


def test_a_swap_within_a_pair_only_flips_its_rank_difference():
    x, y = [3.0, INF, 5.0, 7.0], [4.0, 2.0, INF, 7.0]
    ranks = rank_differences(x, y)
    swapped = rank_differences([4.0, *x[1:]], [3.0, *y[1:]])
    assert swapped.tolist() == [-ranks[0], *ranks[1:]]
    # Mean ranks by counting: how many are below, plus the middle of the equal ones.
    pool = x + y
    naive = [sum(b < a for b in pool) + (sum(b == a for b in pool) + 1) / 2 for a in pool]
    assert ranks.tolist() == np.subtract(naive[:4], naive[4:]).tolist()


def test_ratios_of_steps_with_what_was_never_reached():
    assert statistics.step_ratios([10, INF, 10, INF], [20, 10, INF, INF]).tolist() == [0.5, INF, 0, 1]


def test_interval_of_a_share_is_wilsons():
    k, n, z = 8, 10, stats.norm.ppf(0.975)
    middle = (k / n + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(k / n * (1 - k / n) / n + z**2 / (4 * n**2))
    found = statistics.share_interval(k, n, 0.95)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=16 * EPS)
    assert not statistics.share_interval(0, 0, 0.95).known


def test_interval_of_a_median_lies_between_order_statistics():
    values = [3.0, 1.0, 2.0, 5.0, 4.0, 7.0, 6.0, INF, INF, INF]
    # P(2 ≤ Bin(10, ½) ≤ 8) = 0.979 ≥ 0.95, and no narrower pair of ranks reaches it: x₍₂₎ to x₍₉₎.
    assert stats.binom.cdf(8, 10, 0.5) - stats.binom.cdf(1, 10, 0.5) > 0.95
    found = median_interval(values, 0.95)
    assert (found.low, found.high) == (2.0, INF)
    assert not median_interval(values[:5], 0.95).known  # 2/2⁵ > 0.05
    assert not median_interval([], 0.95).known


@pytest.mark.parametrize(("count", "confidence", "rounded"), [(5, 0.95, False), (20, 0.9, False), (30, 0.99, True)])
def test_intervals_and_p_values_are_those_of_scipy(count, confidence, rounded):
    sample = np.random.default_rng(count).standard_normal(count) + 0.3
    sample = np.round(sample, 1) if rounded else sample
    options = {"n_resamples": 9999, "rng": np.random.default_rng(0)}
    theirs = stats.bootstrap((sample,), np.mean, confidence_level=confidence, method="BCa", **options)
    ours = statistics.mean_interval(sample, confidence)
    # A level that differs by rounding moves a quantile of 9,999 sorted means by 9,999 times that share of a gap.
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=9999 * EPS)
    low, high = stats.quantile_test(sample, p=0.5).confidence_interval(confidence)
    ours = median_interval(sample, confidence)
    assert [ours.low, ours.high] == pytest.approx([low, high], abs=0, nan_ok=True)
    if count > statistics.EXACT:
        options = {"n_resamples": 9999, "rng": np.random.default_rng(0), "vectorized": True}
        theirs = stats.permutation_test(
            (sample,), lambda x, axis: np.mean(x, axis=axis), permutation_type="samples", **options
        )
        assert paired_p(sample) == pytest.approx(theirs.pvalue, abs=4 * EPS)


@pytest.mark.parametrize("values", [[0.7], [], [0.5, math.nan]])
def test_no_interval_of_a_mean_without_two_numbers(values):
    assert not statistics.mean_interval(values, 0.95).known


def test_interval_of_equal_numbers_is_a_point():
    found = statistics.mean_interval([0.1 + 0.2, 0.3, 0.3], 0.95)
    assert found.low <= found.high <= found.low + 4 * EPS


def test_interval_of_a_mean_of_many_is_that_of_the_normal_law():
    sample = np.random.default_rng(3).standard_normal(400)
    half = stats.norm.ppf(0.975) * sample.std() / 20
    found = statistics.mean_interval(sample, 0.95)
    # Quantiles of 9,999 resamples err by some 0.03 standard errors; a tenth of a half-width is five times that.
    assert found.low == pytest.approx(sample.mean() - half, abs=0.1 * half)
    assert found.high == pytest.approx(sample.mean() + half, abs=0.1 * half)
    assert statistics.mean_interval(sample, 0.95) == found


def test_coverage_of_the_interval_of_ten_runs(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 1999)
    rng = np.random.default_rng(7)
    count, covered = 300, 0
    for _ in range(count):
        found = statistics.mean_interval(rng.standard_normal(10), 0.95)
        covered += found.low <= 0 <= found.high
    # Below nominal for ten, as is known of BCa: about 0.90. Bounds: four standard deviations of 300 trials about that.
    assert 0.83 < covered / count < 0.97


def test_mean_curve_is_the_percentile_bootstrap_at_every_step():
    curves = np.random.default_rng(0).standard_normal((6, 3))
    found = statistics.mean_curve([0, 10, 20], curves, 0.9)
    assert found.mean == pytest.approx(curves.mean(0).tolist(), abs=4 * EPS)
    drawn = np.random.default_rng(0).integers(6, size=(999, 6))
    means = sorted(np.mean([curves[k, 1] for k in row]) for row in drawn)
    assert found.low[1] == pytest.approx(np.quantile(means, 0.05), abs=6 * 4 * EPS)  # means of six numbers below 4
    assert all(math.isnan(end) for end in statistics.mean_curve([0], curves[:1, :1], 0.9).low)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_a_single_factor_has_the_whole_variance(order):
    names = ("initializer", "learning rate", "seed")
    scores = np.moveaxis(np.broadcast_to(np.arange(4.0), (4, 4, 4)), 2, order[0])
    expected = dict.fromkeys(("initializer", "learning rate", "interaction", "seed"), 0.0) | {names[order[0]]: 1.0}
    assert statistics.variance_shares(scores) == pytest.approx(expected, abs=64 * EPS)  # 64 scores


def test_shares_are_sums_of_squares_over_their_total():
    scores = np.random.default_rng(5).standard_normal((3, 4, 5))
    grand = scores.mean()
    squares = dict.fromkeys(("initializer", "learning rate", "interaction", "seed"), 0.0)
    for i, j, k in np.ndindex(scores.shape):
        row, column, cell = scores[i].mean(), scores[:, j].mean(), scores[i, j].mean()
        squares["initializer"] += (row - grand) ** 2
        squares["learning rate"] += (column - grand) ** 2
        squares["interaction"] += (cell - row - column + grand) ** 2
        squares["seed"] += (scores[i, j, k] - cell) ** 2
    total = np.sum((scores - grand) ** 2)
    found = statistics.variance_shares(scores)
    assert found == pytest.approx({name: value / total for name, value in squares.items()}, abs=60 * EPS)  # 60 scores
    assert sum(found.values()) == pytest.approx(1, abs=60 * EPS)


@pytest.mark.parametrize("shape", [(1, 3, 3), (3, 1, 3), (3, 3, 1)])
def test_no_shares_without_two_of_each(shape):
    assert statistics.variance_shares(np.random.default_rng(0).standard_normal(shape)) == {}


def test_no_shares_of_what_does_not_vary():
    assert statistics.variance_shares(np.full((2, 2, 2), 0.1)) == {}
