"""Statistics of few repeated runs: intervals, paired tests, effect sizes, shares of variance.

Every function is deterministic: resampling uses a generator of fixed seed.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from unitcircle.experiments.comparison._result import Curve, Interval

RESAMPLES = 9999
"""Of bootstrap and permutation test; all 2ⁿ sign flips of up to 13 pairs are taken, so that test is exact."""
EXACT = 13
"""Most pairs of which all signs are taken."""
CURVE_RESAMPLES = 999
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
    options: Any = {"confidence_level": confidence, "n_resamples": RESAMPLES}
    interval = UNKNOWN
    for method in ("BCa", "percentile"):
        with warnings.catch_warnings():
            # BCa of a degenerate bootstrap distribution is NaN with a warning; its percentiles exist.
            warnings.simplefilter("ignore")
            result = scipy.stats.bootstrap((sample,), np.mean, method=method, rng=np.random.default_rng(0), **options)
        interval = Interval(float(result.confidence_interval.low), float(result.confidence_interval.high))
        if interval.known:
            break
    return interval


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
    ends = scipy.stats.quantile_test(np.asarray(values, dtype=float), p=0.5).confidence_interval(confidence)
    return Interval(float(ends.low), float(ends.high))


def share_interval(successes: int, count: int, confidence: float, /) -> Interval:
    """Return Wilson's interval of a proportion; NaN without a run."""
    if not count:
        return UNKNOWN
    ends = scipy.stats.binomtest(successes, count).proportion_ci(confidence, method="wilson")
    return Interval(float(ends.low), float(ends.high))


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
    result = scipy.stats.permutation_test(
        (sample,),
        _mean,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return float(result.pvalue)


def _exact_paired_p(sample: np.ndarray) -> float:
    """Return the p-value over all signs, in one product: SciPy's ten times slower test gives the same."""
    observed = float(sample.mean())
    signs = 1.0 - 2.0 * (np.arange(2**sample.size)[:, None] >> np.arange(sample.size) & 1)
    with np.errstate(invalid="ignore"):
        means = signs @ sample / sample.size
    tie = 100 * np.finfo(float).eps * abs(observed)  # means that differ by rounding are equal
    tails = np.mean(means >= observed - tie), np.mean(means <= observed + tie)
    return float(min(2 * min(tails), 1.0))


def _mean(sample: np.ndarray, axis: int) -> np.ndarray:
    return np.mean(sample, axis=axis)


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
    ranks = scipy.stats.rankdata(np.concatenate([values, others]))
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
