"""How far each run of a stack has come: its curve, its best parameters, whether it goes on."""

from __future__ import annotations

__all__ = ["Progress"]

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training._evaluation import Evaluation
from unitcircle.experiments.training._run import Run

_CURVES = ("step", "train_loss", "validation_loss", "validation_score")


class Progress:
    """The curves of R runs, and the parameters at each one's best validation score.

    Attributes
    ----------
    running
        Which runs are still recorded ``(R,)``.
    diverged
        Which ended with a loss that is not finite.
    best
        Parameters of every run at its best validation score.
    """

    def __init__(self, runs: Sequence[Run], task: Task, parameters: Mapping[str, Tensor]) -> None:
        count = len(runs)
        self.running, self.diverged = np.ones(count, bool), np.zeros(count, bool)
        self.best = {name: value.detach().clone() for name, value in parameters.items()}
        self._task, self._patience = task, runs[0].patience
        self._curves: list[dict[str, list[float]]] = [{name: [] for name in _CURVES} for _ in runs]
        self._score = np.full(count, -math.inf if task.higher_is_better else math.inf)
        self._held = np.zeros(count, int)
        self._steps = np.zeros(count, int)
        self._solved_at = np.full(count, math.inf)
        self._messages = [""] * count

    def lose(self, step: int, lost: np.ndarray, /) -> None:
        """End the runs whose loss was not finite in the steps before this one."""
        for r in map(int, np.flatnonzero(lost & self.running)):
            self.running[r], self.diverged[r], self._steps[r] = False, True, step
            self._messages[r] = f"the loss was not finite within the steps before step {step}"

    def evaluated(
        self,
        step: int,
        train_loss: np.ndarray,
        found: Evaluation,
        weights: Sequence[Mapping[str, float]],
        parameters: Mapping[str, Tensor],
        /,
    ) -> None:
        """Add a point to the curve of every run that goes on, and keep the parameters of those that got better.

        Parameters
        ----------
        step
            Optimizer steps done.
        train_loss
            Mean since the last point ``(R,)``.
        found
            On validation data.
        weights
            What was measured of each run's weights: more curves.
        parameters
            At this step.
        """
        self.lose(step, ~np.isfinite(found.loss))
        ahead = found.score > self._score if self._task.higher_is_better else found.score < self._score
        better = ahead & self.running
        self._score = np.where(better, found.score, self._score)
        chosen = torch.from_numpy(better)
        for name, kept in self.best.items():
            shape = (-1, *[1] * (kept.ndim - 1))
            kept.copy_(torch.where(chosen.to(kept.device).reshape(shape), parameters[name].detach(), kept))
        for r in map(int, np.flatnonzero(self.running)):
            point = {"step": float(step), "train_loss": float(train_loss[r])}
            point |= {"validation_loss": float(found.loss[r]), "validation_score": float(found.score[r])}
            for name, value in (point | dict(weights[r])).items():
                self._curves[r].setdefault(name, []).append(value)
            self._steps[r] = step
            solved = self._task.solved(float(found.score[r]))
            self._solved_at[r] = min(self._solved_at[r], step if solved else math.inf)
            self._held[r] = self._held[r] + 1 if solved else 0
            if self._patience is not None and self._held[r] >= self._patience:
                self.running[r] = False

    def curves(self, r: int, /) -> dict[str, list[float]]:
        """Return the curves of one run."""
        return self._curves[r]

    def message(self, r: int, /) -> str:
        """Return why a run diverged, or nothing."""
        return self._messages[r]

    def summary(self, r: int, best: Evaluation, final: Evaluation, /) -> dict[str, float]:
        """Return the numbers of one run.

        Parameters
        ----------
        r
            Which.
        best, final
            On test data: with the parameters of its best validation score, and with the last ones.

        Returns
        -------
        dict
            As :attr:`Record.summary` lists them.
        """
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
