"""Rank correlation of few initializers, with bootstrap intervals that resample whole families of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from unitcircle_reproduction._claim import Verdict

RESAMPLES = 2000
FEWEST = 3
"""Different results, or families, below which there is no correlation."""
FEWEST_FAMILIES = 5
"""Families below which there is no interval: the bootstrap of fewer says little about what others would give."""
STRONG = 0.7
"""Correlation from which we would speak of prediction, not of screening: half of the variance of the ranks."""
_ALMOST = 1 - 1e-9
"""The largest correlation of which an inverse hyperbolic tangent is taken."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's ρ with its 95 % interval, NaN where there is none."""

    value: float
    low: float
    high: float
    points: int  # Number of initializers
    families: int  # Number of their families

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def multiplicities(families: Sequence[str], seed: int, /, *, resamples: int = RESAMPLES) -> dict[str, np.ndarray]:
    """Draw for each family how often every resample of the bootstrap contains it ``(resamples,)``."""
    names = sorted(set(families))
    rng = np.random.default_rng([seed, 23])
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return {name: counts[:, k].astype(float) for k, name in enumerate(names)}


def weighted_spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray, /) -> np.ndarray:
    """Return Spearman's ρ of points ``(..., m)``, each counted as often as its weight ``(..., m)`` says."""
    # The ranks are mid-ranks among the weighted points; infinities are ranked like other values.
    total = weights.sum(-1)
    a, b = (centred_ranks(values, weights) for values in (x, y))
    variance = (weights * a * a).sum(-1) * (weights * b * b).sum(-1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = (weights * a * b).sum(-1) / np.sqrt(variance)
    # Ranks that are equal but for rounding have no variance.
    return np.where(variance > (1e-9 * total**3) ** 2, np.clip(ratio, -1, 1), np.nan)


def centred_ranks(values: np.ndarray, weights: np.ndarray, /) -> np.ndarray:
    """Return mid-ranks ``(..., m)`` among weighted points, less their weighted mean."""
    below = (values[..., None, :] < values[..., :, None]) + 0.5 * (values[..., None, :] == values[..., :, None])
    ranks = (below @ weights[..., None])[..., 0]
    with np.errstate(invalid="ignore"):
        return ranks - (weights * ranks).sum(-1, keepdims=True) / weights.sum(-1, keepdims=True)


def interval(value: float, resampled: np.ndarray, families: int, /, *, bounded: bool = True) -> tuple[float, float]:
    """Return the 95 % interval of a correlation, or of another number from −1 to 1, from resamples ``(resamples,)``."""
    #     tanh(artanh ρ ± t s),   s² = F/(F − 1) · variance of artanh ρ* over the resamples ρ*
    #
    # t is Student's with F − 1 degrees of freedom for F families: with a dozen, quantiles of the resamples
    # themselves come out too narrow.
    ((low, high),) = simultaneous(np.array([value]), resampled[:, None], families, bounded=bounded)
    return float(low), float(high)


def simultaneous(values: np.ndarray, resampled: np.ndarray, families: int, /, *, bounded: bool = True) -> np.ndarray:
    """Return simultaneous 95 % intervals ``(d, 2)`` of values ``(d,)`` from resamples ``(resamples, d)``."""
    # As :func:`interval`, with t widened by the ratio of the 95 % quantile of the largest standardized deviation to
    # that of a single one: less than Bonferroni's correction, because diagnostics are correlated.
    ends = np.full((len(values), 2), np.nan)
    known = ~np.isnan(values) & (2 * (~np.isnan(resampled)).sum(0) >= len(resampled))
    if families < FEWEST_FAMILIES or not known.any():
        return ends
    middle, draws = values[known], resampled[:, known]
    if bounded:
        middle, draws = (np.arctanh(np.clip(a, -_ALMOST, _ALMOST)) for a in (middle, draws))
    spread = np.nanstd(draws, axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        off = np.abs(draws - np.nanmean(draws, axis=0)) / spread
    wider = 1.0
    if known.sum() > 1:
        largest = np.where(np.isnan(off), 0.0, off).max(-1)
        wider = max(1.0, float(np.quantile(largest, 0.95)) / float(stats.norm.ppf(0.975)))
    margin = wider * float(stats.t.ppf(0.975, families - 1)) * spread * math.sqrt(families / (families - 1))
    intervals = np.stack([middle - margin, middle + margin], -1)
    ends[known] = np.tanh(intervals) if bounded else intervals
    return ends


def rank_correlation(
    x: Sequence[float], y: Sequence[float], families: Sequence[str], /, *, seed: int = 0
) -> Correlation:
    """Return Spearman's ρ with its interval."""
    a, b, names = np.asarray(x, float), np.asarray(y, float), np.asarray(families)
    known = ~(np.isnan(a) | np.isnan(b))
    a, b, names = a[known], b[known], names[known]
    count = len(set(names.tolist()))
    nothing = float("nan")
    if len(a) < FEWEST:
        return Correlation(nothing, nothing, nothing, len(a), count)
    value = float(weighted_spearman(a, b, np.ones(len(a))))
    drawn = multiplicities(names.tolist(), seed)
    resampled = weighted_spearman(a, b, np.stack([drawn[name] for name in names.tolist()], -1))
    return Correlation(value, *interval(value, resampled, count), len(a), count)


def screening(value: float, low: float, high: float, /) -> Verdict:
    """Judge one correlation by its interval: above 0.7 it would be prediction, beyond 0 it is screening."""
    # It fails where the interval contains 0 and excludes prediction; one that excludes neither is undecided.
    if math.isnan(value) or math.isnan(low):
        return Verdict.TOO_FEW
    if low >= STRONG or high <= -STRONG:
        return Verdict.HOLDS
    if low > 0 or high < 0:
        return Verdict.CONDITIONALLY
    return Verdict.FAILS if max(-low, high) < STRONG else Verdict.TOO_FEW
