"""Each diagnostic against the result, in every setting; and whether what holds in some tasks holds in another."""

from __future__ import annotations

__all__ = ["Screen", "Setting", "screen", "settings"]

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from unitcircle.experiments.reproduce.prediction._correlation import (
    FEWEST,
    FEWEST_FAMILIES,
    interval,
    multiplicities,
    weighted_spearman,
)
from unitcircle.experiments.reproduce.prediction._points import DIAGNOSTICS, Point
from unitcircle.experiments.tasks import Task

ENOUGH = 4
"""Initializers in a setting, and different results among them, below which nothing is correlated."""
RIDGE = 1.0
"""Weight of the penalty, per diagnostic: a prior that none matters much. Not tuned."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Initializers that are compared with each other.

    Attributes
    ----------
    name, task
        Of the setting.
    points
        Its initializers.
    """

    name: str
    task: str
    points: tuple[Point, ...]

    @property
    def families(self) -> list[str]:
        """The family of each point."""
        return [point.family for point in self.points]

    def diagnosis(self, name: str, /) -> np.ndarray:
        """Return one diagnostic of each point."""
        return np.array([point.diagnosis(name) for point in self.points])

    @property
    def all_solve(self) -> bool:
        """Whether the mean score of every initializer reaches the task's threshold."""
        task = Task.parse(self.task)
        sign = 1 if task.higher_is_better else -1
        return all(task.solved(sign * point.score) for point in self.points)

    def results(self, outcome: str, /) -> np.ndarray:
        """Return ``"score"`` or ``"speed"`` of each point."""
        return np.array([getattr(point, outcome) for point in self.points])


def settings(points: Sequence[Point], /) -> list[Setting]:
    """Return the settings with enough initializers, of enough families, to be ranked.

    Parameters
    ----------
    points
        Of all studies.

    Returns
    -------
    list of Setting
        In the order of the points.
    """
    names = list(dict.fromkeys(point.setting for point in points))
    grouped = [tuple(point for point in points if point.setting == name) for name in names]
    return [
        Setting(name.rpartition(" #")[0], own[0].task, own)
        for name, own in zip(names, grouped, strict=True)
        if len(own) >= ENOUGH and len({point.family for point in own}) >= FEWEST
    ]


@dataclass(frozen=True, eq=False)
class Screen:
    """Rank correlations of every diagnostic with one outcome, in every setting, and in every resample of the bootstrap.

    Attributes
    ----------
    outcome
        ``"score"`` or ``"speed"``.
    settings
        Those where the outcome has enough different values.
    values
        ``(settings, diagnostics)``: Spearman's ρ; NaN where there is none.
    resampled
        ``(resamples, settings, diagnostics)``: the same after whole families were drawn anew, for all settings alike.
    seed
        Of the bootstrap.
    """

    outcome: str
    settings: tuple[Setting, ...]
    values: np.ndarray
    resampled: np.ndarray
    seed: int

    @cached_property
    def tasks(self) -> list[str]:
        """The tasks, each once."""
        return list(dict.fromkeys(setting.task for setting in self.settings))

    def _by_task(self, values: np.ndarray) -> np.ndarray:
        """Return means over the settings of each task ``(..., tasks, diagnostics)``: each task counts once."""
        of = [[setting.task == task for setting in self.settings] for task in self.tasks]
        return np.stack([_mean(values[..., np.array(mask), :], -2) for mask in of], -2)

    @cached_property
    def families(self) -> set[str]:
        """All families of initializers in the settings."""
        return {family for setting in self.settings for family in setting.families}

    def mean(self, *, among: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Return the mean over the tasks of every diagnostic, and its interval ``(diagnostics, 2)``."""
        pooled = _mean(self._by_task(self.values), -2)
        resampled = _mean(self._by_task(self.resampled), -2)
        return pooled, np.array([self._interval(column, self.families, among) for column in resampled.T])

    def _interval(self, resampled: np.ndarray, families: set[str], among: int = 1) -> tuple[float, float]:
        return interval(resampled, among=among) if len(families) >= FEWEST_FAMILIES else (np.nan, np.nan)

    def bounds(self) -> np.ndarray:
        """Return the interval of every correlation ``(settings, diagnostics, 2)``."""
        own = [set(setting.families) for setting in self.settings]
        width = range(len(DIAGNOSTICS))
        return np.array([[self._interval(self.resampled[:, s, d], f) for d in width] for s, f in enumerate(own)])

    def transferred(self) -> tuple[np.ndarray, np.ndarray]:
        """Return what each diagnostic is worth in a task if its sign is learned from the other tasks.

        Returns
        -------
        tuple
            ``(tasks, diagnostics)`` and the interval of its mean over tasks ``(diagnostics, 2)``, the sign learned anew
            in every resample.
        """
        values = _signed_by_others(self._by_task(self.values))
        resampled = _mean(_signed_by_others(self._by_task(self.resampled)), -2)
        return values, np.array([self._interval(column, self.families) for column in resampled.T])

    def chosen(self) -> tuple[list[str], np.ndarray, tuple[float, float]]:
        """Return what the best diagnostic of the other tasks is worth in each task.

        Returns
        -------
        tuple
            Names and correlations ``(tasks,)``, and the interval of the mean, chosen anew in every resample.
        """
        by_task = self._by_task(self.values)
        which, worth = _best_of_others(by_task)
        _, resampled = _best_of_others(self._by_task(self.resampled))
        names = list(DIAGNOSTICS)
        return [names[int(k)] for k in which], worth, self._interval(_mean(resampled, -1), self.families)

    def predictions(self) -> list[np.ndarray]:
        """Predict the rank of every point from other tasks and other families.

        Ridge regression of the ranks of the results on the ranks of all diagnostics (both scaled to mean 0 and variance
        1 within a setting). The points of one family in one task are predicted from all other families in all other
        tasks.

        Returns
        -------
        list of numpy.ndarray
            One value a point, setting by setting; NaN where nothing is left to fit.
        """
        columns = [_standard(np.stack([s.diagnosis(d) for d in DIAGNOSTICS], -1)) for s in self.settings]
        targets = [_standard(s.results(self.outcome)[:, None])[:, 0] for s in self.settings]
        families = [np.array(setting.families) for setting in self.settings]
        found: list[np.ndarray] = []
        for k, setting in enumerate(self.settings):
            predicted = np.full(len(families[k]), np.nan)
            for family in set(setting.families):
                others = [j for j, other in enumerate(self.settings) if other.task != setting.task]
                if not others:
                    continue
                X = np.concatenate([columns[j][families[j] != family] for j in others])
                y = np.concatenate([targets[j][families[j] != family] for j in others])
                weights = np.linalg.solve(X.T @ X + RIDGE * X.shape[1] * np.eye(X.shape[1]), X.T @ y)
                predicted[families[k] == family] = columns[k][families[k] == family] @ weights
            found.append(predicted)
        return found

    def combined(self) -> np.ndarray:
        """Return the correlation of :meth:`predictions` with the results in every setting ``(settings,)``."""
        nothing = float("nan")
        return np.array(
            [
                nothing if np.isnan(p).any() else float(weighted_spearman(p, s.results(self.outcome), np.ones(len(p))))
                for s, p in zip(self.settings, self.predictions(), strict=True)
            ]
        )


def screen(found: Sequence[Setting], outcome: str, /, *, seed: int = 0) -> Screen:
    """Correlate every diagnostic with one outcome.

    Parameters
    ----------
    found
        Settings.
    outcome
        ``"score"`` or ``"speed"``.
    seed
        Of the bootstrap.

    Returns
    -------
    Screen
        Of the settings where at least three results differ, and, for the score, some initializer does not solve the
        task: among those that all do the order is noise.
    """
    usable = tuple(
        s for s in found if len(np.unique(s.results(outcome))) >= FEWEST and not (outcome == "score" and s.all_solve)
    )
    drawn = multiplicities([family for setting in usable for family in setting.families] or [""], seed)
    resamples = len(next(iter(drawn.values())))
    values = np.full((len(usable), len(DIAGNOSTICS)), np.nan)
    resampled = np.full((resamples, *values.shape), np.nan)
    for k, setting in enumerate(usable):
        y = setting.results(outcome)
        weights = np.stack([drawn[family] for family in setting.families], -1)
        for d, name in enumerate(DIAGNOSTICS):
            x = setting.diagnosis(name)
            if not np.isnan(x).any():
                values[k, d] = weighted_spearman(x, y, np.ones(len(x)))
                resampled[:, k, d] = weighted_spearman(x, y, weights)
    return Screen(outcome, usable, values, resampled, seed)


def _mean(values: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean of what is there, NaN where nothing is."""
    there = ~np.isnan(values)
    count = there.sum(axis)
    total = np.where(there, values, 0.0).sum(axis)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _others(by_task: np.ndarray) -> np.ndarray:
    """Return for each task the mean over the other tasks, ``(..., tasks, diagnostics)``."""
    tasks = by_task.shape[-2]
    return np.stack([_mean(np.delete(by_task, t, axis=-2), -2) for t in range(tasks)], -2)


def _signed_by_others(by_task: np.ndarray) -> np.ndarray:
    return np.sign(_others(by_task)) * by_task


def _best_of_others(by_task: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    others = _others(by_task)
    size = np.where(np.isnan(others), -1.0, np.abs(others))
    which = size.argmax(-1)
    taken = np.take_along_axis(_signed_by_others(by_task), which[..., None], -1)[..., 0]
    return which, taken


def _standard(values: np.ndarray) -> np.ndarray:
    """Return mid-ranks of each column, scaled to mean 0 and variance 1; 0 for a column that says nothing."""
    ranks = np.zeros_like(values, dtype=float)
    for j, column in enumerate(values.T):
        if np.isnan(column).any():
            continue
        below = (column[None, :] < column[:, None]).sum(1) + 0.5 * (column[None, :] == column[:, None]).sum(1)
        centred = below - below.mean()
        spread = centred.std()
        ranks[:, j] = centred / spread if spread > 0 else 0.0
    return ranks
