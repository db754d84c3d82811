"""One seed against another: whether the diagnosis tells the runs of one initializer apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unitcircle_reproduction._correlation import (
    RESAMPLES,
    centred_ranks,
    multiplicities,
    simultaneous,
)
from unitcircle_reproduction.prediction._chance import chance
from unitcircle_reproduction.prediction._points import DIAGNOSTICS
from unitcircle_reproduction.prediction._setting import Setting


@dataclass(frozen=True, eq=False)
class Within:
    """Rank correlations among the seeds of one initializer, pooled over initializers and settings."""

    values: np.ndarray  # (diagnostics,); NaN for none
    bounds: np.ndarray  # (diagnostics, 2): intervals that hold all together
    p: np.ndarray  # (diagnostics,): corrected for the choice among them
    runs: int  # Runs that they rest on


def within(found: Sequence[Setting], /, *, seed: int = 0) -> Within:
    """Correlate diagnosis and score among the seeds of each initializer."""
    # Mid-ranks among the seeds of an initializer, their mean taken off; the correlation of all of them. Seeds of
    # one number share their data, and their weights' random numbers, with those of other initializers, and in
    # other cells: chance is what results give that go to other seeds, to the same ones for all initializers of a
    # task.
    rng = np.random.default_rng([seed, 31])
    keys: dict[tuple[str, int], np.ndarray] = {}
    families: list[str] = []
    sums: list[np.ndarray] = []
    shuffled = np.zeros((RESAMPLES, len(DIAGNOSTICS)))
    runs = 0
    for setting in found:
        for point in setting.points:
            scores = np.array([own.score for own in point.seeds])
            if len(set(scores.tolist())) < 2:
                continue
            for own in point.seeds:
                if (setting.task, own.number) not in keys:
                    keys[setting.task, own.number] = rng.random(RESAMPLES)
            runs += len(scores)
            order = np.argsort(np.stack([keys[setting.task, own.number] for own in point.seeds], -1), axis=-1)
            x = np.array([[own.diagnosis.get(name, np.nan) for own in point.seeds] for name in DIAGNOSTICS])
            ones = np.ones(len(scores))
            a, b = centred_ranks(x, ones), centred_ranks(scores, ones)
            a[np.isnan(x).any(-1)] = 0.0
            told = (a != 0).any(-1)
            families.append(point.family)
            # Σab, Σaa and Σbb of every diagnostic.
            sums.append(np.stack([a @ b, (a * a).sum(-1), told * (b @ b)]))
            shuffled += b[order] @ a.T
    count = len(DIAGNOSTICS)
    if not sums:
        nothing = np.full(count, np.nan)
        return Within(nothing, np.full((count, 2), np.nan), nothing, 0)
    parts = np.stack(sums)
    pooled = parts.sum(0)
    drawn = multiplicities(families, seed)
    weights = np.stack([drawn[family] for family in families], -1)
    resampled = _ratio(np.einsum("rk,ksd->srd", weights, parts))
    shuffled = _ratio(np.stack(np.broadcast_arrays(shuffled, *pooled[1:])))
    values = _ratio(pooled)
    return Within(values, simultaneous(values, resampled, len(drawn)), chance(values, shuffled), runs)


def _ratio(sums: np.ndarray) -> np.ndarray:
    """Return Σab / √(Σaa Σbb) of ``(3, ...)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        found = sums[0] / np.sqrt(sums[1] * sums[2])
    return np.where(sums[1] * sums[2] > 0, found, np.nan)
