"""Initializers tried on a model, and how they are ranked."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError, UnknownNameError

AS_IT_IS = "as it is"
LEVEL = 0.95

WEIGHTS: Mapping[str, float] = {"flow": 0.23, "typical_direction": 0.28, "effective_dimension": 0.27}
"""Weight of each criterion: its mean rank correlation with the score after training in the shipped study
``prediction`` (32 initializers of 11 families, five kinds of task, tanh, ReLU and GRU of 32 units; simultaneous 95 %
intervals −.06 to .48, −.05 to .56 and −.02 to .53)."""


@dataclass(frozen=True, eq=False)
class Trial:
    """One candidate, measured on copies of the model.

    Attributes
    ----------
    name
        The specification of the candidate; :data:`AS_IT_IS` for the model itself.
    call
        The line of code that applies it; empty for the model itself.
    values
        Criterion → one value per seed, of the worst layer. ``"flow"``: decades by which the norm of the gradient
        changes over the length. ``"typical_direction"``: decades of the median singular value of ∂h_T/∂s_0.
        ``"effective_dimension"``: participation ratio of h_T.
    scores
        One weighted mean rank per seed, between 0 and 1.
    action
        Its arguments of ``initialize_``, as those of a finding; empty for the model itself.

    Examples
    --------
    >>> import numpy as np
    >>> trial = Trial("orthogonal", "initialize_(model, recurrent='orthogonal')", {"flow": np.array([1.0, 1.5, 2.0])})
    >>> trial.seeds, trial.mean("flow")
    (3, 1.5)
    """

    name: str
    call: str
    values: Mapping[str, np.ndarray]
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    action: Mapping[str, str] = field(default_factory=dict)

    @property
    def seeds(self) -> int:
        """How many draws were measured."""
        return len(next(iter(self.values.values())))

    def mean(self, criterion: str = "score", /) -> float:
        """Return the mean over the seeds of a criterion, or of the score."""
        return float(np.mean(self._values_of(criterion)))

    def interval(self, criterion: str = "score", /) -> tuple[float, float]:
        """Return the 95 % interval of the mean over the seeds (Student's t); NaN for a single draw or infinities."""
        values = self._values_of(criterion)
        if len(values) < 2 or not np.isfinite(values).all():
            return math.nan, math.nan
        from scipy.stats import t  # noqa: PLC0415  (half a second of start-up)

        half = float(t.ppf(0.5 + LEVEL / 2, len(values) - 1)) * values.std(ddof=1) / math.sqrt(len(values))
        return float(values.mean() - half), float(values.mean() + half)

    def _values_of(self, criterion: str) -> np.ndarray:
        return self.scores if criterion == "score" else self.values[criterion]

    def to_dict(self) -> dict[str, Any]:
        """Return the trial as plain values."""
        names = (*self.values, "score")
        criteria = {name: (self.mean(name), self.interval(name), self._values_of(name)) for name in names}
        return {"name": self.name, "call": self.call, "seeds": self.seeds} | {
            name: {"mean": mean, "interval": list(interval), "values": values.tolist()}
            for name, (mean, interval, values) in criteria.items()
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
    untried
        Candidates that were not measured, because the trials were interrupted.

    Examples
    --------
    >>> import numpy as np
    >>> values = {"flow": np.array([1.0])}
    >>> ranking = Trial("orthogonal", "", values, np.array([0.9])), Trial(AS_IT_IS, "", values, np.array([0.2]))
    >>> Trials(ranking, weights={"flow": 1.0}).as_it_is.mean()
    0.2
    """

    ranking: tuple[Trial, ...]
    weights: Mapping[str, float]
    untried: tuple[str, ...] = ()

    @property
    def as_it_is(self) -> Trial:
        """The model itself."""
        return next(trial for trial in self.ranking if trial.name == AS_IT_IS)

    @property
    def better(self) -> tuple[Trial, ...]:
        """The candidates whose interval of the mean score lies above the score of the model, the best first."""
        baseline = self.as_it_is.mean()
        return tuple(trial for trial in self.ranking if trial.interval()[0] > baseline)

    def to_dict(self) -> dict[str, Any]:
        """Return weights and ranking as plain values."""
        ranking = [trial.to_dict() for trial in self.ranking]
        return {"weights": dict(self.weights), "ranking": ranking, "untried": list(self.untried)}


def rank_trials(trials: Sequence[Trial], /, weights: Mapping[str, float] | None = None) -> Trials:
    """Rank candidates by their criteria."""
    # Every draw of every candidate is ranked among all draws, criterion by criterion: by −|flow| and
    # −|typical_direction| (a gradient that neither vanishes nor explodes), by effective_dimension itself.
    # Ranks r = 1..N, ties averaged, become (r − 1)/(N − 1), and the score of a draw is their weighted mean, so that it
    # depends neither on units nor on outliers.
    weights = WEIGHTS if weights is None else weights
    for name, weight in weights.items():
        if name not in WEIGHTS:
            raise UnknownNameError("criterion", name, WEIGHTS)
        if not 0 <= weight < math.inf:
            raise ArgumentError(f"the weight of {name}", "must be a number not below 0", f"{weight}")
    if not any(weights.values()):
        raise ArgumentError("weights", "must have at least one value above 0", f"{dict(weights)}")
    score = np.zeros(sum(trial.seeds for trial in trials))
    total = 0.0
    for name, weight in weights.items():
        values = np.concatenate([trial.values[name] for trial in trials])
        if np.isnan(values).all():  # the model was too large to measure this criterion
            continue
        quality = values if name == "effective_dimension" else -np.abs(values)
        from scipy.stats import rankdata  # noqa: PLC0415  (half a second of start-up)

        ranks = rankdata(np.where(np.isnan(quality), -np.inf, quality)) - 1
        score += weight * ranks / max(len(ranks) - 1, 1)
        total += weight
    score /= total or 1.0
    ends = np.cumsum([trial.seeds for trial in trials])[:-1]
    scored = [replace(trial, scores=part) for trial, part in zip(trials, np.split(score, ends), strict=True)]
    return Trials(tuple(sorted(scored, key=lambda trial: -trial.mean())), dict(weights))
