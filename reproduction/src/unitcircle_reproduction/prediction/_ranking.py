"""Initializers that are ranked against each other: the same task, cell, size and training."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task
from unitcircle_reproduction._correlation import FEWEST_FAMILIES
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS

ENOUGH = 8
"""Initializers in a setting below which nothing is correlated: the ranks of fewer are noise."""
BEGUN = 0.1
"""Share of the way from the baseline to the threshold behind which a run has not begun to learn."""
_KINDS = {"delayed_digits": "digits"}
"""Tasks that are others with something done to their data."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The initializers of one setting."""

    name: str  # Task, cell and input scale
    runs: pd.DataFrame  # Rows of the table of runs, those of an initializer together

    @cached_property
    def points(self) -> pd.DataFrame:
        """Initializer → family, diagnostics, score and speed, each of its runs."""
        # Diagnostics: the mean, NaN where a run has none. Speed: minus the median of the steps to the threshold,
        # −inf where half of the runs never reach it.
        groups = self.runs.groupby("initializer", sort=False)
        with np.errstate(invalid="ignore"):
            means = {key: group[list(DIAGNOSTICS)].to_numpy(float).mean(0) for key, group in groups}
        points = pd.DataFrame.from_dict(means, orient="index", columns=list(DIAGNOSTICS))
        return points.assign(
            family=groups["family"].first(), score=groups["score"].mean(), speed=-groups["steps"].median()
        )

    @cached_property
    def task(self) -> Task:
        """The task."""
        return Task.parse(self.runs["task"].iloc[0])

    @property
    def kind(self) -> str:
        """The task without its parameters: what is left out as a whole, for grammars 3 and 4 are not independent."""
        return _KINDS.get(self.task.name, self.task.name)

    @cached_property
    def cell(self) -> str:
        """The cell without its size."""
        return TrainableCell.parse(self.runs["cell"].iloc[0]).name

    @cached_property
    def families(self) -> list[str]:
        """The family of each point."""
        return self.points["family"].tolist()

    @property
    def members(self) -> dict[str, str]:
        """Initializer → family."""
        return {str(name): family for name, family in self.points["family"].items()}

    @property
    def all_solve(self) -> bool:
        """Whether the mean score of every initializer reaches the task's threshold."""
        sign = 1 if self.task.higher_is_better else -1
        return all(self.task.solved(sign * score) for score in self.points["score"])

    @property
    def begun(self) -> float:
        """The score, higher is better, a tenth of the way from the baseline to the threshold; NaN without either."""
        sign = 1 if self.task.higher_is_better else -1
        return sign * (self.task.baseline + BEGUN * (self.task.threshold - self.task.baseline))

    @property
    def none_begins(self) -> bool:
        """Whether the mean score of no initializer gets there."""
        return bool((self.points["score"] < self.begun).all())

    @property
    def is_informative(self) -> bool:
        """Whether its scores are worth a ranking: not all initializers solve the task, and one begins to learn it."""
        return not self.all_solve and not self.none_begins

    def agreement(self) -> tuple[float, int]:
        """Return how alike two seeds rank the initializers, the mean Spearman of all pairs, and the number of seeds."""
        scores = self.runs.pivot(index="initializer", columns="seed", values="score").dropna(axis=1)
        pairs = np.triu_indices(scores.shape[1], 1)
        correlations = scores.corr("spearman").to_numpy()[pairs]
        return (float(correlations.mean()) if correlations.size else float("nan")), scores.shape[1]


def rankings(runs: pd.DataFrame, /) -> list[Ranking]:
    """Return the settings with enough initializers, of enough families, to be ranked."""
    groups = [Ranking(str(name).rpartition(" #")[0], group) for name, group in runs.groupby("setting", sort=False)]
    return [r for r in groups if len(r.points) >= ENOUGH and r.points["family"].nunique() >= FEWEST_FAMILIES]
