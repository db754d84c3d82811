"""Initializers of a kind of law that was not looked at, in a kind of task that was not looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitcircle_reproduction._correlation import centred_ranks, interval, weighted_spearman
from unitcircle_reproduction.prediction._chance import above
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS
from unitcircle_reproduction.prediction._screen import Screen, mean

RIDGE = 1.0
"""Weight of the penalty, per diagnostic: a prior that none matters much. Not tuned."""
_AT_ONCE = 250
"""Resamples held in memory together."""


@dataclass(frozen=True, eq=False)
class Newcomers:
    """How well a linear predictor ranks initializers whose family and task it was not fitted on."""

    values: np.ndarray  # (kinds,): Spearman's ρ of prediction and result in each kind of task left out
    # (kinds,): the same of the mean rank that the initializer itself reached in the other kinds of task. Not a
    # prediction for newcomers, but what a diagnosis competes with where earlier results exist.
    memory: np.ndarray
    low: float  # low, high: Interval of the mean of the values
    high: float
    p: float  # Share of shuffles whose mean is as large


def newcomers(screened: Screen, /) -> Newcomers:
    """Predict the rank of every initializer from other kinds of task and other families."""
    # Ridge regression of the ranks of the results on the ranks of all diagnostics (both scaled to mean 0 and
    # variance 1 within a setting). The members of one family in one kind of task are predicted from all other
    # families in all other kinds of task; then the predictions within a setting are correlated with its results.
    # All of it is done anew for every resample and every shuffle.
    rankings = screened.rankings
    x = [r.points[list(DIAGNOSTICS)].to_numpy().T for r in rankings]
    y = [r.points[screened.outcome].to_numpy() for r in rankings]
    ones = [np.ones((1, len(results))) for results in y]
    values = _correlations(screened, x, [results[None] for results in y], ones)[0]
    resampled, shuffled = [], []
    for start in range(0, len(screened.shuffled), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        weights = [np.stack([screened.drawn[family][part] for family in r.families], -1) for r in rankings]
        resampled.append(_correlations(screened, x, [results[None] for results in y], weights))
        exchanged = [results[order[part]] for results, order in zip(y, screened.order, strict=True)]
        shuffled.append(_correlations(screened, x, exchanged, ones))
    total = float(mean(values, -1))
    low, high = interval(total, mean(np.concatenate(resampled), -1), screened.families)
    p = above(total, mean(np.concatenate(shuffled), -1))
    return Newcomers(values, _memory(screened, y), low, high, p)


def _correlations(
    screened: Screen, x: Sequence[np.ndarray], y: Sequence[np.ndarray], weights: Sequence[np.ndarray]
) -> np.ndarray:
    """Return the correlation in each kind of task ``(batch, kinds)`` for results and weights ``(batch, points)``."""
    columns = [_standard(a, w) for a, w in zip(x, weights, strict=True)]
    targets = [_standard(b[:, None], w)[..., 0] for b, w in zip(y, weights, strict=True)]
    names = sorted({family for r in screened.rankings for family in r.families})
    # What each kind of task and family adds to the normal equations.
    sums: dict[tuple[str, str], list[np.ndarray]] = {}
    for r, X, t, w in zip(screened.rankings, columns, targets, weights, strict=True):
        for family in set(r.families):
            members = np.array([f == family for f in r.families])
            weighted = X[:, members] * w[:, members, None]
            added = [weighted.mT @ X[:, members], weighted.mT @ t[:, members, None]]
            before = sums.get((r.kind, family))
            sums[r.kind, family] = added if before is None else [a + b for a, b in zip(before, added, strict=True)]
    penalty = RIDGE * len(DIAGNOSTICS) * np.eye(len(DIAGNOSTICS))
    correlations: list[np.ndarray] = []
    for kind in screened.kinds:
        coefficients: dict[str, np.ndarray] = {}
        for family in names:
            others = [parts for (k, f), parts in sums.items() if k != kind and f != family]
            gram, moment = (sum((parts[j] for parts in others), start=np.zeros(1)) for j in (0, 1))
            coefficients[family] = np.linalg.solve(gram + penalty, moment)
        of_kind = []
        for r, X, b, w in zip(screened.rankings, columns, y, weights, strict=True):
            if r.kind == kind:
                fitted = np.stack([coefficients[family] for family in r.families], 1)
                # Equal to rounding is equal.
                predicted = np.round((X * fitted[..., 0]).sum(-1), 9)
                of_kind.append(weighted_spearman(predicted, np.broadcast_to(b, predicted.shape), w))
        correlations.append(mean(np.stack(of_kind, -1), -1))
    return np.stack(correlations, -1)


def _standard(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return mid-ranks of mean 0 and variance 1 ``(batch, points, columns)`` of ``(..., columns, points)``."""
    there = ~np.isnan(values)
    counted = weights[:, None] * there
    ranks = centred_ranks(np.where(there, values, 0.0), counted)
    total = counted.sum(-1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = np.sqrt((counted * ranks**2).sum(-1, keepdims=True) / total)
        scaled = ranks / spread
    # What says nothing, or is not there, is of middle rank.
    return np.where(there & (spread > 1e-9 * total), scaled, 0.0).mT


def _memory(screened: Screen, y: Sequence[np.ndarray]) -> np.ndarray:
    """Return the correlation of each kind of task with the mean rank in the others ``(kinds,)``."""
    ranks = pd.DataFrame(
        {
            k: pd.Series(_standard(results[None], np.ones((1, len(results))))[0, :, 0], r.points.index)
            for k, (r, results) in enumerate(zip(screened.rankings, y, strict=True))
        }
    )
    correlations = np.full((len(screened.rankings), 1), np.nan)
    for k, ranking in enumerate(screened.rankings):
        others = [j for j, other in enumerate(screened.rankings) if other.kind != ranking.kind]
        memory = ranks.loc[ranking.points.index, others].mean(axis=1)
        known = memory.notna()
        if known.any():
            correlations[k] = weighted_spearman(memory.fillna(0.0).to_numpy(), y[k], known.to_numpy(float))
    return screened.by_kind(correlations)[:, 0]
