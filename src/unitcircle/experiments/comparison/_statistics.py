"""Statistics of few repeated runs: intervals, paired tests, effect sizes, shares of variance.

Every function is deterministic: resampling uses a generator of fixed seed, so that samples of one size have the same
resamples, which are drawn once. Intervals and p-values are those of scipy.stats, which takes longer to import than all
of them to compute.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from unitcircle.experiments.comparison._result import Curve, Interval

RESAMPLES = 9999
"""Of bootstrap and permutation test; all 2ⁿ sign flips of up to 13 pairs are taken, so that test is exact."""
EXACT = 13
"""Most pairs of which all signs are taken."""
CURVE_RESAMPLES = 999
KEPT = 8
"""Sizes of samples whose resamples are kept, 80 kB for each run of a sample."""
UNKNOWN = Interval(math.nan, math.nan)


def mean_interval(values: Sequence[float], confidence: float, /) -> Interval:
    """Return the bootstrap interval of a mean, bias-corrected and accelerated (BCa)."""
    # B. Efron, "Better bootstrap confidence intervals", J. Am. Stat. Assoc. 82 (1987).
    sample = np.asarray(values, dtype=float)
    if sample.size < 2 or not np.isfinite(sample).all():
        return UNKNOWN
    # A spread of a few ulps is rounding error, and BCa divides by it.
    if np.ptp(sample) <= 8 * np.finfo(float).eps * np.abs(sample).max():
        return Interval(float(sample.min()), float(sample.max()))
    tail = (1 - confidence) / 2
    means = sample[_resamples(sample.size, RESAMPLES)].mean(-1)
    levels = _bca_levels(sample, means, tail)
    # Of a degenerate bootstrap distribution there are no corrected levels.
    low, high = np.quantile(means, (tail, 1 - tail) if levels is None else levels)
    return Interval(float(low), float(high))


@lru_cache(KEPT)
def _resamples(size: int, count: int) -> np.ndarray:
    """Return the places that each resample takes, ``(count, size)``."""
    return np.random.default_rng(0).integers(0, size, (count, size))


def _bca_levels(sample: np.ndarray, means: np.ndarray, tail: float) -> tuple[float, float] | None:
    """Return the bias-corrected and accelerated levels of an interval of the mean; None where they do not exist."""
    normal, count = NormalDist(), len(means)
    below = (np.count_nonzero(means < sample.mean()) + np.count_nonzero(means <= sample.mean())) / (2 * count)
    if not 0 < below < 1:
        return None
    bias, n = normal.inv_cdf(below), sample.size
    # The means without one value each, from which the acceleration follows: U_k = (n − 1)(their mean − θ_k).
    without = np.broadcast_to(sample, (n, n))[~np.eye(n, dtype=bool)].reshape(n, n - 1).mean(-1)
    U = (n - 1) * (without.mean() - without)
    acceleration = float((U**3).sum() / n**3 / (6 * ((U**2).sum() / n**2) ** 1.5))
    ends = [bias + z / (1 - acceleration * z) for z in (bias + normal.inv_cdf(tail), bias - normal.inv_cdf(tail))]
    return normal.cdf(ends[0]), normal.cdf(ends[1])


def median_interval(values: Sequence[float], confidence: float, /) -> Interval:
    """Return the distribution-free interval of a median, between order statistics; infinities are censored values.

    Parameters
    ----------
    values
        Sample; may contain infinities.
    confidence
        Lower bound on the coverage.

    Returns
    -------
    Interval
        NaN if there are too few values for that coverage: fewer than 6 for 95 %.

    References
    ----------
    W. J. Conover, "Practical Nonparametric Statistics", 3rd edition (1999), section 3.2.

    Examples
    --------
    >>> interval = median_interval([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.95)
    >>> interval.low, interval.high
    (1.0, 6.0)
    """
    if not len(values):
        return UNKNOWN
    ordered, below = np.sort(np.asarray(values, dtype=float)), _ranks_outside(len(values), confidence)
    return Interval(float(ordered[below - 1]), float(ordered[-below])) if below else UNKNOWN


@lru_cache(256)
def _ranks_outside(count: int, confidence: float) -> int:
    """Return the smallest k with P(Bin(n, ½) ≤ k) ≥ (1 − confidence) / 2: the ranks k and n + 1 − k are the ends."""
    tail, total = Fraction((1 - confidence) / 2) * 2**count, 0
    for k in range(count + 1):
        total += math.comb(count, k)
        if total >= tail:
            return k
    return count


def share_interval(successes: int, count: int, confidence: float, /) -> Interval:
    """Return Wilson's interval of a proportion; NaN without a run."""
    if not count:
        return UNKNOWN
    # E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927).
    z, p = NormalDist().inv_cdf(0.5 + 0.5 * confidence), successes / count
    whole = 2 * (count + z**2)
    middle = (2 * count * p + z**2) / whole
    half = z / whole * math.sqrt(4 * count * p * (1 - p) + z**2)
    return Interval(middle - half if successes else 0.0, middle + half if successes < count else 1.0)


def paired_p(differences: Sequence[float], /) -> float:
    """Return the two-sided p-value of the paired permutation test: under the null either sign has probability ½.

    Parameters
    ----------
    differences
        Differences of the pairs.

    Returns
    -------
    float
        Exact for up to 13 pairs, at least 2/2ⁿ; 1 for fewer than two pairs, or if a difference is NaN.

    References
    ----------
    R. A. Fisher, "The Design of Experiments" (1935), section 21.

    Examples
    --------
    >>> paired_p([1.0, 2.0, 3.0, 4.0, 5.0])
    0.0625
    """
    sample = np.asarray(differences, dtype=float)
    if sample.size < 2 or not np.any(sample) or np.isnan(sample).any():
        return 1.0
    if sample.size <= EXACT:
        return _exact_paired_p(sample)
    with np.errstate(invalid="ignore"):
        means = (_signs(sample.size, RESAMPLES) * sample).mean(-1)
    tails = _tails(sample, means)
    # The sample itself is one of the arrangements: no p-value of resamples is 0.
    return min(2 * (min(tails) * RESAMPLES + 1) / (RESAMPLES + 1), 1.0)


@lru_cache(KEPT)
def _signs(size: int, count: int) -> np.ndarray:
    """Return the signs of each resample, ``(count, size)``."""
    pairs = np.tile(np.arange(2), (count, size, 1))
    return 1.0 - 2.0 * np.random.default_rng(0).permuted(pairs, axis=-1)[..., 0]


def _tails(sample: np.ndarray, means: np.ndarray) -> tuple[float, float]:
    """Return the shares of means that are at least, and at most, that of the sample."""
    observed = float(sample.mean())
    tie = 100 * np.finfo(float).eps * abs(observed)  # means that differ by rounding are equal
    return float(np.mean(means >= observed - tie)), float(np.mean(means <= observed + tie))


def _exact_paired_p(sample: np.ndarray) -> float:
    """Return the p-value over all signs, in one product."""
    signs = 1.0 - 2.0 * (np.arange(2**sample.size)[:, None] >> np.arange(sample.size) & 1)
    with np.errstate(invalid="ignore"):
        means = signs @ sample / sample.size
    return min(2 * min(_tails(sample, means)), 1.0)


def holm(p_values: Sequence[float], /) -> list[float]:
    """Return p-values corrected for their number by Holm's step-down method.

    Rejecting those below α keeps the probability of any false rejection at most α.

    Parameters
    ----------
    p_values
        p-values of one family of tests.

    Returns
    -------
    list of float
        In the same order.

    References
    ----------
    S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Stat. 6 (1979).

    Examples
    --------
    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    scaled = np.asarray(p_values, dtype=float)[order] * np.arange(len(order), 0, -1)
    corrected = np.empty(len(order))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected.tolist()


def cliffs_delta(values: Sequence[float], others: Sequence[float], /) -> float:
    """Return Cliff's delta, P(x > y) − P(x < y) over all pairs of one value of each; equal infinities are ties."""
    # N. Cliff, "Dominance statistics", Psychol. Bull. 114 (1993).
    if not len(values) or not len(others):
        return math.nan
    x, y = np.asarray(values, dtype=float)[:, None], np.asarray(others, dtype=float)
    return float(np.mean((x > y).astype(float) - (x < y)))


def rank_differences(values: Sequence[float], others: Sequence[float], /) -> np.ndarray:
    """Return the differences of paired values in their ranks among all values; equal values share a rank.

    Censored values (infinities) are equal. A swap within a pair does not change the ranks, so that under the null
    hypothesis either sign of each difference has probability ½.

    Parameters
    ----------
    values, others
        Two paired samples of the same length.

    Returns
    -------
    ndarray
        One difference per pair.

    Examples
    --------
    >>> rank_differences([1.0, 5.0], [2.0, 3.0])
    array([-1.,  1.])
    """
    pool = np.concatenate([values, others])
    if np.isnan(pool).any():
        return np.full(len(values), math.nan)
    _, places, counts = np.unique(pool, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks[: len(values)] - ranks[len(values) :]


def step_ratios(steps: Sequence[float], others: Sequence[float], /) -> np.ndarray:
    """Return ratios of paired numbers of steps: inf or 0 if one is censored, 1 if both are."""
    pairs = zip(steps, others, strict=True)
    return np.array([1.0 if a == b else math.inf if not b else a / b for a, b in pairs])


def mean_curve(steps: Sequence[float], curves: np.ndarray, confidence: float, /) -> Curve:
    """Return the mean of curves (runs, S) with the percentile bootstrap interval at every step."""
    mean = curves.mean(0)
    low = high = np.full(len(mean), math.nan)
    if len(curves) > 1:
        drawn = np.random.default_rng(0).integers(len(curves), size=(CURVE_RESAMPLES, len(curves)))
        tail = (1 - confidence) / 2
        low, high = np.quantile(curves[drawn].mean(1), [tail, 1 - tail], axis=0)
    return Curve(tuple(map(float, steps)), *(tuple(part.tolist()) for part in (mean, low, high)))


def variance_shares(scores: np.ndarray, /) -> dict[str, float]:
    """Return the shares of the variance of scores (initializers, learning rates, seeds) by source."""
    # Two-way analysis of variance with repetitions: each sum of squares over the total. The share of the seed is the
    # variance within one cell of the table.
    if min(scores.shape) < 2 or not np.isfinite(scores).all():
        return {}
    total = float(np.square(scores - scores.mean()).mean())
    if total <= np.square(8 * np.finfo(float).eps * np.abs(scores).max()):
        return {}
    cells = scores.mean(2)
    first, second = cells.mean(1), cells.mean(0)
    parts = {
        "initializer": first.var(),
        "learning rate": second.var(),
        "interaction": np.square(cells - first[:, None] - second + cells.mean()).mean(),
        "seed": np.square(scores - cells[..., None]).mean(),
    }
    return {name: float(part / total) for name, part in parts.items()}
