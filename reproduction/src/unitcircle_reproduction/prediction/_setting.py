"""Initializers that are compared with each other: the same task, cell, size and training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task
from unitcircle_reproduction._correlation import FEWEST_FAMILIES, weighted_spearman
from unitcircle_reproduction.prediction._points import Point

ENOUGH = 8
"""Initializers in a setting below which nothing is correlated: the ranks of fewer are noise."""
BEGUN = 0.1
"""Share of the way from the baseline to the threshold behind which a run has not begun to learn."""
_KINDS = {"delayed_digits": "digits"}
"""Tasks that are others with something done to their data."""


@dataclass(frozen=True, eq=False)
class Setting:
    """Initializers that are compared with each other."""

    name: str  # name, task: Of the setting
    task: str
    points: tuple[Point, ...]  # Its initializers

    @property
    def kind(self) -> str:
        """The task without its parameters: what is left out as a whole, for grammars 3 and 4 are not independent."""
        name = Task.parse(self.task).name
        return _KINDS.get(name, name)

    @property
    def cell(self) -> str:
        """The cell without its size."""
        return TrainableCell.parse(self.points[0].cell).name

    @property
    def families(self) -> list[str]:
        """The family of each point."""
        return [point.family for point in self.points]

    @property
    def members(self) -> dict[str, str]:
        """Initializer → family."""
        return {point.initializer: point.family for point in self.points}

    def diagnosis(self, name: str, /) -> np.ndarray:
        """Return one diagnostic of each point."""
        return np.array([point.diagnosis(name) for point in self.points])

    @property
    def all_solve(self) -> bool:
        """Whether the mean score of every initializer reaches the task's threshold."""
        task = Task.parse(self.task)
        sign = 1 if task.higher_is_better else -1
        return all(task.solved(sign * point.score) for point in self.points)

    @property
    def begun(self) -> float:
        """The score, higher is better, a tenth of the way from the baseline to the threshold; NaN without either."""
        task = Task.parse(self.task)
        sign = 1 if task.higher_is_better else -1
        return sign * (task.baseline + BEGUN * (task.threshold - task.baseline))

    @property
    def none_begins(self) -> bool:
        """Whether the mean score of no initializer gets there."""
        return all(point.score < self.begun for point in self.points)

    def results(self, outcome: str, /) -> np.ndarray:
        """Return ``"score"`` or ``"speed"`` of each point."""
        return np.array([getattr(point, outcome) for point in self.points])

    def agreement(self) -> tuple[float, int]:
        """Return how alike two seeds rank the initializers: the mean Spearman of the scores of all pairs of seeds."""
        numbers = set.intersection(*({seed.number for seed in point.seeds} for point in self.points))
        scores = {
            number: np.array([next(s.score for s in p.seeds if s.number == number) for p in self.points])
            for number in sorted(numbers)
        }
        ones = np.ones(len(self.points))
        found = [float(weighted_spearman(scores[a], scores[b], ones)) for a, b in combinations(scores, 2)]
        return (float(np.mean(found)) if found else float("nan")), len(scores)


def settings(points: Sequence[Point], /) -> list[Setting]:
    """Return the settings with enough initializers, of enough families, to be ranked."""
    names = list(dict.fromkeys(point.setting for point in points))
    grouped = [tuple(point for point in points if point.setting == name) for name in names]
    return [
        Setting(name.rpartition(" #")[0], own[0].task, own)
        for name, own in zip(names, grouped, strict=True)
        if len(own) >= ENOUGH and len({point.family for point in own}) >= FEWEST_FAMILIES
    ]
