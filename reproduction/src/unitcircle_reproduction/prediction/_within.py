"""One seed against another: whether the diagnosis tells the runs of one initializer apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unitcircle_reproduction._correlation import RESAMPLES, multiplicities, simultaneous
from unitcircle_reproduction.prediction._chance import chance
from unitcircle_reproduction.prediction._ranking import Ranking
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS


@dataclass(frozen=True, eq=False)
class Within:
    """Rank correlations among the seeds of one initializer, pooled over initializers and settings."""

    values: np.ndarray  # (diagnostics,); NaN for none
    bounds: np.ndarray  # (diagnostics, 2): intervals that hold all together
    p: np.ndarray  # (diagnostics,): corrected for the choice among them
    runs: int  # Runs that they rest on


def within(rankings: Sequence[Ranking], /, *, seed: int = 0) -> Within:
    """Correlate diagnosis and score among the seeds of each initializer."""
    # Mid-ranks among the seeds of an initializer, their mean taken off; the correlation of all of them. Seeds of
    # one number share their data, and their weights' random numbers, with those of other initializers, and in
    # other cells: chance is what results give that go to other seeds, to the same ones for all initializers of a
    # task.
    runs = pd.concat([r.runs for r in rankings]) if rankings else pd.DataFrame(columns=["setting", "initializer"])
    point = ["setting", "initializer"]
    if len(runs):
        runs = runs[runs.groupby(point)["score"].transform("nunique") >= 2]
    count = len(DIAGNOSTICS)
    if not len(runs):
        nothing = np.full(count, np.nan)
        return Within(nothing, np.full((count, 2), np.nan), nothing, 0)
    rng = np.random.default_rng([seed, 31])
    keys = {pair: rng.random(RESAMPLES) for pair in dict.fromkeys(zip(runs["task"], runs["seed"], strict=True))}
    families: list[str] = []
    sums: list[np.ndarray] = []
    shuffled = np.zeros((RESAMPLES, count))
    for _, group in runs.groupby(point, sort=False):
        ranks = group[[*DIAGNOSTICS, "score"]].rank()
        a, b = np.split((ranks - ranks.mean()).to_numpy(), [count], axis=1)
        # A diagnostic that a run lacks says nothing of the initializer's others.
        a = np.where(ranks.isna().any().to_numpy()[:count], 0.0, a)
        has_ranks = (a != 0).any(0)
        families.append(group["family"].iloc[0])
        # Σab, Σaa and Σbb of every diagnostic.
        sums.append(np.stack([(a * b).sum(0), (a * a).sum(0), has_ranks * (b * b).sum()]))
        drawn = [keys[pair] for pair in zip(group["task"], group["seed"], strict=True)]
        shuffled += b[np.argsort(np.stack(drawn, -1), axis=-1), 0] @ a
    parts = np.stack(sums)
    pooled = parts.sum(0)
    drawn = multiplicities(families, seed)
    weights = np.stack([drawn[family] for family in families], -1)
    resampled = _ratio(np.einsum("rk,ksd->srd", weights, parts))
    shuffled = _ratio(np.stack(np.broadcast_arrays(shuffled, *pooled[1:])))
    values = _ratio(pooled)
    return Within(values, simultaneous(values, resampled, len(drawn)), chance(values, shuffled), len(runs))


def _ratio(sums: np.ndarray) -> np.ndarray:
    """Return Σab / √(Σaa Σbb) of ``(3, ...)``."""
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = sums[0] / np.sqrt(sums[1] * sums[2])
    return np.where(sums[1] * sums[2] > 0, ratio, np.nan)
