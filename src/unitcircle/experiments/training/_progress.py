"""The progress of each run of a stack: its curve, its best parameters, whether it continues."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training._evaluation import Evaluation
from unitcircle.experiments.training._run import Run

_CURVES = ("step", "train_loss", "validation_loss", "validation_score")


class TrainingProgress:
    """The curves of R runs, and the parameters of each at its best validation score and at its end."""

    def __init__(self, runs: Sequence[Run], task: Task, parameters: Mapping[str, Tensor]) -> None:
        count = len(runs)
        self.rows = np.arange(count)
        self.running, self.diverged = np.ones(count, bool), np.zeros(count, bool)
        self.best, self.last = ({name: value.detach().clone() for name, value in parameters.items()} for _ in range(2))
        self._task, self._patience, self._end = task, runs[0].patience, runs[0].steps
        self._curves: list[dict[str, list[float]]] = [{name: [] for name in _CURVES} for _ in runs]
        self._score = np.full(count, -math.inf if task.higher_is_better else math.inf)
        self._evaluations_solved = np.zeros(count, int)
        self._steps = np.zeros(count, int)
        self._solved_at = np.full(count, math.inf)
        self._messages = [""] * count

    def lose(self, step: int, lost: np.ndarray, messages: Sequence[str], /) -> None:
        """End the runs whose loss was not finite before or at a step: ``lost`` ``(K,)``, with what overflowed."""
        for k in np.flatnonzero(lost & self.running[self.rows]).tolist():
            r = self.rows[k]
            self.running[r], self.diverged[r], self._steps[r] = False, True, step
            self._messages[r] = messages[k]

    def add(
        self,
        step: int,
        train_loss: np.ndarray,
        evaluation: Evaluation,
        weights: Sequence[Mapping[str, float]],
        parameters: Mapping[str, Tensor],
        /,
        *,
        messages: Sequence[str],
    ) -> None:
        """Add a point to the curve of every running run, keep the parameters of those that improved, end some."""
        # A run ends with its last step, or once it has held the threshold for its patience. The arguments hold
        # one value for each of the K rows; messages say what overflowed where a loss is not finite.
        self.lose(step, ~np.isfinite(evaluation.loss), messages)
        before = self._score[self.rows]
        ahead = evaluation.score > before if self._task.higher_is_better else evaluation.score < before
        better = ahead & self.running[self.rows]
        self._score[self.rows] = np.where(better, evaluation.score, before)
        _copy(parameters, better, into=self.best, at=self.rows)
        for k, r in enumerate(self.rows.tolist()):
            if not self.running[r]:
                continue
            point = {"step": float(step), "train_loss": float(train_loss[k])}
            point |= {"validation_loss": float(evaluation.loss[k]), "validation_score": float(evaluation.score[k])}
            for name, value in (point | dict(weights[k])).items():
                self._curves[r].setdefault(name, []).append(value)
            self._steps[r] = step
            solved = self._task.solved(float(evaluation.score[k]))
            self._solved_at[r] = min(self._solved_at[r], step if solved else math.inf)
            self._evaluations_solved[r] = self._evaluations_solved[r] + 1 if solved else 0
            stops = self._patience is not None and self._evaluations_solved[r] >= self._patience
            self.running[r] = not stops and step < self._end

    def leave(self, parameters: Mapping[str, Tensor], /) -> np.ndarray:
        """Keep the last parameters of the runs that have ended, and return the rows ``(K,)`` that remain."""
        stays = self.running[self.rows]
        _copy(parameters, ~stays, into=self.last, at=self.rows)
        self.rows = self.rows[stays]
        return np.flatnonzero(stays)

    @property
    def fell_back(self) -> np.ndarray:
        """Which runs ended with other parameters than their best ``(R,)``."""
        pairs = [(value, self.last[name]) for name, value in self.best.items()]
        return torch.stack([(best != last).flatten(1).any(1) for best, last in pairs]).any(0).cpu().numpy()

    def curves(self, r: int, /) -> dict[str, list[float]]:
        """Return the curves of one run."""
        return self._curves[r]

    def message(self, r: int, /) -> str:
        """Return why a run diverged, or nothing."""
        return self._messages[r]

    def summary(self, r: int, best: Evaluation, final: Evaluation, /) -> dict[str, float]:
        """Return the numbers of one run."""
        curves, test = self._curves[r], float(best.score[r])
        return {
            "validation_score": float(self._score[r]),
            "test_score": test,
            "test_loss": float(best.loss[r]),
            "final_test_score": math.nan if self.diverged[r] else float(final.score[r]),
            "final_train_loss": math.nan if self.diverged[r] else curves["train_loss"][-1],
            "steps": float(self._steps[r]),
            "steps_to_threshold": float(self._solved_at[r]),
            "solved": float(self._task.solved(test)),
        }


def _copy(parameters: Mapping[str, Tensor], chosen: np.ndarray, *, into: Mapping[str, Tensor], at: np.ndarray) -> None:
    """Copy the chosen rows ``(K,)`` to the places of their runs, ``at`` ``(K,)``."""
    for name, target in into.items():
        source_rows = torch.from_numpy(np.flatnonzero(chosen)).to(target.device)
        target_rows = torch.from_numpy(at[chosen]).to(target.device)
        target[target_rows] = parameters[name].detach()[source_rows]
