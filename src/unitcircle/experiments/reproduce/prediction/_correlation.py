"""Rank correlation of few initializers, with bootstrap intervals that resample whole families of them."""

from __future__ import annotations

__all__ = [
    "FEWEST",
    "FEWEST_FAMILIES",
    "Correlation",
    "interval",
    "multiplicities",
    "rank_correlation",
    "screening",
    "weighted_spearman",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitcircle.experiments.reproduce._claim import Verdict

RESAMPLES = 2000
STRONG = 0.7
"""Lower end of an interval from which we would speak of prediction, not of screening: half of the variance of ranks."""
FEWEST = 3
"""Points below which there is no correlation."""
FEWEST_FAMILIES = 5
"""Families below which there is no interval: the bootstrap of fewer says little about what others would give."""


@dataclass(frozen=True)
class Correlation:
    """Spearman's ρ with its 95 % interval, NaN where there is none.

    Attributes
    ----------
    value, low, high
        The correlation and the ends of its interval.
    points, families
        What it rests on.
    """

    value: float
    low: float
    high: float
    points: int
    families: int

    def __str__(self) -> str:
        return f"{self.value:+.2f} [{self.low:+.2f}, {self.high:+.2f}]"


def multiplicities(families: Sequence[str], seed: int, /, *, resamples: int = RESAMPLES) -> dict[str, np.ndarray]:
    """Draw how often each family is taken in every resample of the bootstrap.

    Parameters
    ----------
    families
        Of all points; each counts once.
    seed
        Of the draws.
    resamples
        How many.

    Returns
    -------
    dict
        Family → ``(resamples,)``.
    """
    names = sorted(set(families))
    rng = np.random.default_rng([seed, 23])
    counts = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return {name: counts[:, k].astype(float) for k, name in enumerate(names)}


def weighted_spearman(x: np.ndarray, y: np.ndarray, weights: np.ndarray, /) -> np.ndarray:
    """Return Spearman's ρ of points of which each is there as often as its weight says.

    The ranks are mid-ranks among the points with their weights; infinities are ranked as what they are.

    Parameters
    ----------
    x, y
        ``(m,)``, without NaN.
    weights
        ``(..., m)``, not negative.

    Returns
    -------
    numpy.ndarray
        ``(...)``; NaN where either has no variance.
    """
    total = weights.sum(-1, keepdims=True)
    centred = []
    for values in (x, y):
        below = (values[None, :] < values[:, None]) + 0.5 * (values[None, :] == values[:, None])
        ranks = weights @ below.T
        with np.errstate(invalid="ignore"):
            centred.append(ranks - (weights * ranks).sum(-1, keepdims=True) / total)
    a, b = centred
    with np.errstate(invalid="ignore", divide="ignore"):
        variance = (weights * a * a).sum(-1) * (weights * b * b).sum(-1)
        found = (weights * a * b).sum(-1) / np.sqrt(variance)
    # What is left of equal ranks by rounding is no variance.
    return np.where(variance > (1e-9 * total[..., 0] ** 3) ** 2, np.clip(found, -1, 1), np.nan)


def rank_correlation(
    x: Sequence[float], y: Sequence[float], families: Sequence[str], /, *, seed: int = 0, among: int = 1
) -> Correlation:
    """Return Spearman's ρ with a percentile bootstrap interval, clustered by family.

    Parameters
    ----------
    x, y
        Points; those with a NaN are left out.
    families
        Of each point: what is resampled as a whole.
    seed
        Of the bootstrap.
    among
        As of :func:`interval`.

    Returns
    -------
    Correlation
        NaN for fewer than three points; without an interval for fewer than five families.
    """
    a, b, names = np.asarray(x, float), np.asarray(y, float), np.asarray(families)
    kept = ~(np.isnan(a) | np.isnan(b))
    a, b, names = a[kept], b[kept], names[kept]
    count = len(set(names.tolist()))
    nothing = float("nan")
    if len(a) < FEWEST:
        return Correlation(nothing, nothing, nothing, len(a), count)
    value = float(weighted_spearman(a, b, np.ones(len(a))))
    low = high = nothing
    if count >= FEWEST_FAMILIES:
        drawn = multiplicities(names.tolist(), seed)
        low, high = interval(
            weighted_spearman(a, b, np.stack([drawn[name] for name in names.tolist()], -1)), among=among
        )
    return Correlation(value, low, high, len(a), count)


def interval(resampled: np.ndarray, /, *, among: int = 1) -> tuple[float, float]:
    """Return the 2.5 % and 97.5 % quantiles of what resamples gave, those without a value left out.

    Parameters
    ----------
    resampled
        ``(resamples,)``.
    among
        How many such intervals are looked at before one is chosen (Bonferroni).

    Returns
    -------
    tuple of float
        NaN where fewer than half of the resamples have a value.
    """
    found = resampled[~np.isnan(resampled)]
    if 2 * len(found) < len(resampled):
        return float("nan"), float("nan")
    low, high = np.quantile(found, [0.025 / among, 1 - 0.025 / among])
    return float(low), float(high)


def screening(value: float, low: float, high: float, /) -> Verdict:
    """Judge a correlation with its interval: above 0.7 it would be prediction, beyond 0 it is screening.

    It fails where the interval holds 0 and excludes prediction; an interval that excludes neither decides nothing.

    Parameters
    ----------
    value, low, high
        The correlation and the ends of its interval.

    Returns
    -------
    Verdict
        HOLDS, CONDITIONALLY or FAILS; UNDECIDED without an interval, or with one that is too wide.
    """
    if math.isnan(value) or math.isnan(low):
        return Verdict.UNDECIDED
    if low >= STRONG or high <= -STRONG:
        return Verdict.HOLDS
    if low > 0 or high < 0:
        return Verdict.CONDITIONALLY
    return Verdict.FAILS if max(-low, high) < STRONG else Verdict.UNDECIDED
