"""Each diagnostic against the result, in every setting; and whether what holds in some tasks holds in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unitcircle_reproduction._correlation import (
    FEWEST,
    centred_ranks,
    interval,
    multiplicities,
    simultaneous,
    weighted_spearman,
)
from unitcircle_reproduction.prediction._chance import above, chance, orders
from unitcircle_reproduction.prediction._ranking import Ranking
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS


@dataclass(frozen=True, eq=False)
class Screen:
    """Rank correlations of every diagnostic with one outcome, in every setting: measured, resampled and shuffled."""

    # Every statistic of the correlations (a mean, the choice of the best, a sign learned elsewhere) is computed
    # anew from those of every resample and every shuffle, so that its interval and p-value include the choice.

    outcome: str  # "score" or "speed"
    rankings: tuple[Ranking, ...]  # Those whose initializers the outcome can rank
    values: np.ndarray  # (settings, diagnostics): Spearman's ρ; NaN where there is none
    # (resamples, settings, diagnostics): after whole families were drawn anew, for all settings alike.
    resampled: np.ndarray
    # (shuffles, settings, diagnostics): after families got each other's results, in all settings alike.
    shuffled: np.ndarray
    drawn: dict[str, np.ndarray]  # Family → how often each resample contains it
    order: tuple[np.ndarray, ...]  # For each setting, (shuffles, points): whose result each point gets

    @cached_property
    def kinds(self) -> list[str]:
        """The kinds of task, each once: what a correlation is averaged over, and what is left out."""
        return list(dict.fromkeys(ranking.kind for ranking in self.rankings))

    @cached_property
    def families(self) -> int:
        """Number of families of initializers in the settings."""
        return len({family for ranking in self.rankings for family in ranking.families})

    def by_kind(self, values: np.ndarray, /) -> np.ndarray:
        """Return means over the settings of each kind of task: ``(..., settings, d)`` to ``(..., kinds, d)``."""
        masks = [[ranking.kind == kind for ranking in self.rankings] for kind in self.kinds]
        return np.stack([mean(values[..., np.array(mask), :], -2) for mask in masks], -2)

    def means(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return for every diagnostic its mean over the kinds of task, the interval and the p-value."""
        means, resampled, shuffled = (mean(self.by_kind(a), -2) for a in (self.values, self.resampled, self.shuffled))
        return means, simultaneous(means, resampled, self.families), chance(means, shuffled)

    def parts(self) -> dict[str, np.ndarray]:
        """Return the mean over the settings of each cell, and of each kind of task: name → ``(diagnostics,)``."""
        cells = list(dict.fromkeys(r.cell for r in self.rankings))
        by_cell = {cell: mean(self.values[[r.cell == cell for r in self.rankings]], 0) for cell in cells}
        return by_cell | dict(zip(self.kinds, self.by_kind(self.values), strict=True))

    def bounds(self) -> np.ndarray:
        """Return the interval of every correlation by itself ``(settings, diagnostics, 2)``."""
        width = range(len(DIAGNOSTICS))
        return np.array(
            [
                [interval(self.values[k, d], self.resampled[:, k, d], len(set(r.families))) for d in width]
                for k, r in enumerate(self.rankings)
            ]
        )

    def transferred(self) -> tuple[np.ndarray, np.ndarray]:
        """Return ρ ``(kinds, diagnostics)`` in each kind of task with the sign learned from the others."""
        values = _align_with_others(self.by_kind(self.values))
        resampled = mean(_align_with_others(self.by_kind(self.resampled)), -2)
        pooled = mean(values, -2)
        return values, np.array([interval(pooled[d], resampled[:, d], self.families) for d in range(len(DIAGNOSTICS))])

    def chosen(self) -> tuple[list[str], np.ndarray, tuple[float, float], float, float]:
        """Return name and ρ ``(kinds,)`` of the best diagnostic of the others, its interval, p and mean by chance."""
        which, worth = _best_of_others(self.by_kind(self.values))
        resampled, shuffled = (mean(_best_of_others(self.by_kind(a))[1], -1) for a in (self.resampled, self.shuffled))
        names = list(DIAGNOSTICS)
        value = float(mean(worth, -1))
        ends = interval(value, resampled, self.families)
        return [names[int(k)] for k in which], worth, ends, above(value, shuffled), float(mean(shuffled, 0))


def screen(rankings: Sequence[Ranking], outcome: str, /, *, seed: int = 0) -> Screen:
    """Correlate every diagnostic with one outcome."""
    usable = tuple(
        ranking
        for ranking in rankings
        if ranking.points[outcome].nunique() >= FEWEST and (outcome != "score" or ranking.is_informative)
    )
    drawn = multiplicities([family for ranking in usable for family in ranking.families] or [""], seed)
    order = orders([ranking.members for ranking in usable], seed) if usable else []
    shape = (len(usable), len(DIAGNOSTICS))
    values = np.full(shape, np.nan)
    resampled, shuffled = (np.full((len(next(iter(drawn.values()))), *shape), np.nan) for _ in range(2))
    for k, ranking in enumerate(usable):
        y = ranking.points[outcome].to_numpy()
        weights = np.stack([drawn[family] for family in ranking.families], -1)
        for d, name in enumerate(DIAGNOSTICS):
            x = ranking.points[name].to_numpy()
            known = ~np.isnan(x)
            # A diagnostic that few initializers have says nothing of the others.
            if 2 * known.sum() < len(x):
                continue
            x = np.where(known, x, 0.0)
            values[k, d] = weighted_spearman(x, y, known.astype(float))
            resampled[:, k, d] = weighted_spearman(x, y, weights * known)
            shuffled[:, k, d] = _shuffled_spearman(x, y, known, order[k])
    return Screen(outcome, usable, values, resampled, shuffled, drawn, tuple(order))


def _shuffled_spearman(x: np.ndarray, y: np.ndarray, known: np.ndarray, order: np.ndarray) -> np.ndarray:
    if not known.all():
        return weighted_spearman(x, y[order], known.astype(float))
    # The ranks of shuffled results are the shuffled ranks.
    a, b = (centred_ranks(values, np.ones(len(x))) for values in (x, y))
    size = np.sqrt((a * a).sum() * (b * b).sum())
    return (a * b[order]).sum(-1) / size if size > 0 else np.full(len(order), np.nan)


def mean(values: np.ndarray, axis: int, /) -> np.ndarray:
    """Return the mean of the values that are not NaN; NaN where all are."""
    known = ~np.isnan(values)
    count = known.sum(axis)
    total = np.where(known, values, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _align_with_others(by_kind: np.ndarray) -> np.ndarray:
    return np.sign(_others(by_kind)) * by_kind


def _others(by_kind: np.ndarray) -> np.ndarray:
    """Return for each kind of task the mean over the others, ``(..., kinds, diagnostics)``."""
    return np.stack([mean(np.delete(by_kind, t, axis=-2), -2) for t in range(by_kind.shape[-2])], -2)


def _best_of_others(by_kind: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    others = _others(by_kind)
    size = np.where(np.isnan(others), -1.0, np.abs(others))
    which = size.argmax(-1)
    taken = np.take_along_axis(_align_with_others(by_kind), which[..., None], -1)[..., 0]
    return which, taken
