"""Initializers tried on a model, and how they are ranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError, UnknownNameError

AS_IT_IS = "as it is"
LEVEL = 0.95

WEIGHTS: Mapping[str, float] = {"flow": 0.23, "typical_direction": 0.28, "effective_dimension": 0.27}
"""What each criterion counts: its mean rank correlation with the score after training in the shipped study
``prediction`` (32 initializers of 11 families, five kinds of task, tanh, ReLU and GRU of 32 units; simultaneous 95 %
intervals −.06 to .48, −.05 to .56 and −.02 to .53)."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One candidate, measured on copies of the model.

    Attributes
    ----------
    name
        The candidate as it was asked for; :data:`AS_IT_IS` for the model itself.
    call
        The line of code that applies it; empty for the model itself.
    values
        Criterion → one value a seed. ``"flow"``: decades by which the gradient's norm changes over the length, of the
        layer where it changes most. ``"typical_direction"``: decades by which the median singular value of ∂h_T/∂s_0
        does. ``"effective_dimension"``: participation ratio of h_T. The worst layer counts.
    scores
        One a seed, between 0 and 1; see :func:`ranked`.
    """

    name: str
    call: str
    values: Mapping[str, np.ndarray]
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def seeds(self) -> int:
        """How many draws were measured."""
        return len(next(iter(self.values.values())))

    def mean(self, criterion: str = "score", /) -> float:
        """Return the mean over the seeds of a criterion, or of the score."""
        return float(np.mean(self._of(criterion)))

    def interval(self, criterion: str = "score", /) -> tuple[float, float]:
        """Return the 95 % interval of the mean over the seeds (Student's t); NaN for a single draw or infinities."""
        values = self._of(criterion)
        if len(values) < 2 or not np.isfinite(values).all():
            return math.nan, math.nan
        from scipy.stats import t  # noqa: PLC0415  (half a second of start-up)

        half = float(t.ppf(0.5 + LEVEL / 2, len(values) - 1)) * values.std(ddof=1) / math.sqrt(len(values))
        return float(values.mean() - half), float(values.mean() + half)

    def _of(self, criterion: str) -> np.ndarray:
        return self.scores if criterion == "score" else self.values[criterion]

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain values."""
        measured = {name: (self.mean(name), self.interval(name), self._of(name)) for name in (*self.values, "score")}
        return {"name": self.name, "call": self.call, "seeds": self.seeds} | {
            name: {"mean": mean, "interval": list(interval), "values": values.tolist()}
            for name, (mean, interval, values) in measured.items()
        }


@dataclass(frozen=True, eq=False)
class Trials:
    """Every candidate and the model as it is, the best first.

    Attributes
    ----------
    ranking
        By mean score, descending.
    weights
        The weights of the ranking.
    """

    ranking: tuple[Trial, ...]
    weights: Mapping[str, float]

    @property
    def as_it_is(self) -> Trial:
        """The model itself."""
        return next(trial for trial in self.ranking if trial.name == AS_IT_IS)

    @property
    def better(self) -> tuple[Trial, ...]:
        """The candidates whose score is above the model's own by more than its interval, the best first."""
        own = self.as_it_is.mean()
        return tuple(trial for trial in self.ranking if trial.interval()[0] > own)

    def to_dict(self) -> dict[str, Any]:
        """Return weights and ranking as plain values."""
        return {"weights": dict(self.weights), "ranking": [trial.to_dict() for trial in self.ranking]}


def ranked(trials: Sequence[Trial], /, weights: Mapping[str, float] | None = None) -> Trials:
    """Rank candidates by what was measured."""
    # Every draw of every candidate is ranked among all draws, criterion by criterion: by −|flow| and
    # −|typical_direction| (a gradient that neither vanishes nor explodes), by effective_dimension itself.
    # Ranks r = 1..N, ties averaged, become (r − 1)/(N − 1), and a draw's score is their weighted mean, so
    # that no unit and no outlier decides.
    weights = WEIGHTS if weights is None else weights
    for name, weight in weights.items():
        if name not in WEIGHTS:
            raise UnknownNameError("criterion", name, WEIGHTS)
        if not 0 <= weight < math.inf:
            raise ArgumentError(f"the weight of {name}", "must be a number not below 0", f"{weight}")
    if not any(weights.values()):
        raise ArgumentError("weights", "must hold one above 0", f"{dict(weights)}")
    score = np.zeros(sum(trial.seeds for trial in trials))
    total = 0.0
    for name, weight in weights.items():
        values = np.concatenate([trial.values[name] for trial in trials])
        if np.isnan(values).all():  # it was too large to measure
            continue
        good = values if name == "effective_dimension" else -np.abs(values)
        from scipy.stats import rankdata  # noqa: PLC0415  (half a second of start-up)

        ranks = rankdata(np.where(np.isnan(good), -np.inf, good)) - 1
        score += weight * ranks / max(len(ranks) - 1, 1)
        total += weight
    score /= total or 1.0
    ends = np.cumsum([trial.seeds for trial in trials])[:-1]
    scored = [
        Trial(trial.name, trial.call, trial.values, part)
        for trial, part in zip(trials, np.split(score, ends), strict=True)
    ]
    return Trials(tuple(sorted(scored, key=lambda trial: -trial.mean())), dict(weights))
