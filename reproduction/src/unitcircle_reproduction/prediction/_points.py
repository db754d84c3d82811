"""What there is to predict: initializers with their diagnosis before training and their result after it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.studies import FIRST_TUNING_SEED, Store
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status
from unitcircle.initializers import Initializer

DIAGNOSTICS = {
    "radius": "spectral radius ρ",
    "norm": "spectral norm σ₁",
    "departure": "departure from normality",
    "growth_rate": "growth rate of the gradient",
    "horizon": "horizon",
    "kept": "−|log of the gradient's ratio|",
    "leading": "leading exponent",
    "median": "median log σ of ∂h_T/∂h_0",
    "dimension": "effective dimension of h_T",
    "input_share": "input's share of the variance",
    "distance": "distance ‖h_T‖/√n",
    "saturation": "saturated share of h_T",
}
"""Short name → what is measured at step 0."""
_MEASURED = {
    "growth_rate": "gradient.growth_rate",
    "horizon": "gradient.horizon",
    "leading": "lyapunov.leading",
    "median": "jacobian.median",
    "dimension": "hidden.effective_dimension",
    "input_share": "hidden.input_share",
    "distance": "hidden.distance",
    "saturation": "hidden.saturation",
    "log_ratio": "gradient.log_ratio",
}
_INDEPENDENT = "independent entries"
_LAWS = {
    **dict.fromkeys(("gaussian", "uniform", "lecun_normal", "lecun_uniform"), _INDEPENDENT),
    **dict.fromkeys(("xavier_normal", "xavier_uniform", "kaiming_normal", "kaiming_uniform"), _INDEPENDENT),
    "orthogonal_svd": "orthogonal",
    "zeros": "constant",
}
"""Initializers that are one law up to its scale, or become so with the number of units; others are their own."""
_CANDIDATES = ("h", "n", "g")
"""The gate block that stands for a cell's recurrent weight: that of the candidate state."""


@dataclass(frozen=True, eq=False)
class Seed:
    """One run."""

    number: int  # Seed of everything random in it
    diagnosis: Mapping[str, float]  # At step 0
    score: float  # Higher is better; never worse than the task's baseline, which needs no training
    steps: float  # To the threshold; inf: never


@dataclass(frozen=True, eq=False)
class Point:
    """One initializer in one setting."""

    task: str  # task, cell: Specifications
    cell: str
    setting: str  # Everything that its rivals share: what it is compared within
    initializer: str  # Specification of the recurrent weight, with that of the bias where it has one
    family: str  # The kind of law: what is drawn, or shuffled, as a whole
    seeds: Sequence[Seed]  # Its runs, at the best of the learning rates that there are

    def diagnosis(self, name: str, /) -> float:
        """Return the mean over the seeds of one diagnostic; NaN where a seed has none."""
        with np.errstate(invalid="ignore"):
            return float(np.mean([seed.diagnosis.get(name, math.nan) for seed in self.seeds]))

    @property
    def score(self) -> float:
        """Mean over the seeds, higher is better."""
        return float(np.mean([seed.score for seed in self.seeds]))

    @property
    def speed(self) -> float:
        """Minus the median of the steps to the threshold; −inf where half of the runs never reach it."""
        return -float(np.median([seed.steps for seed in self.seeds]))


def records(folders: Iterable[Path], /) -> Iterator[Record]:
    """Yield every record of a study below some folders."""
    seen: set[str] = set()
    for runs in sorted({runs for folder in folders for runs in folder.rglob("runs")}):
        for record in Store(runs.parent).records():
            if record.run.key not in seen:
                seen.add(record.run.key)
                yield record


def points(found: Iterable[Record], /) -> list[Point]:
    """Gather reported runs that were diagnosed at step 0 into points."""
    # A run that diverged, or ended behind the task's baseline, counts as the baseline; where there is none, one
    # that diverged as the worst score of its setting. A run that diverged never reached the threshold. Runs that
    # failed are left out, as are those that chose a learning rate.
    grouped: dict[tuple[str, str, str], dict[float, list[Record]]] = {}
    for record in found:
        run = record.run
        if _is_used(record):
            place = (_setting(run), run.recurrent, run.bias)
            grouped.setdefault(place, {}).setdefault(run.learning_rate, []).append(record)
    worst = _worst(record for rates in grouped.values() for of in rates.values() for record in of)
    made: list[Point] = []
    for (setting, recurrent, bias), rates in sorted(grouped.items()):
        each = [[_seed(r, worst[setting]) for r in sorted(of, key=lambda r: r.run.seed)] for of in rates.values()]
        best = max(each, key=lambda seeds: np.mean([seed.score for seed in seeds]))
        run = next(iter(rates.values()))[0].run
        law, shift = Initializer.parse(recurrent).name, Initializer.parse(bias).name
        law = _LAWS.get(law, law)
        plain = shift == "zeros"
        named, family = (recurrent, law) if plain else (f"{recurrent} + {bias}", f"{law} + {shift}")
        made.append(Point(run.task, run.cell, setting, named, family, best))
    return made


def _is_used(record: Record) -> bool:
    reported = record.run.seed < FIRST_TUNING_SEED and record.status is not Status.FAILED
    return reported and bool(record.diagnostics) and record.diagnostics[0]["step"] == 0


def _setting(run: Run) -> str:
    shared = replace(run, recurrent="zeros", bias="zeros", seed=0, twin=0, learning_rate=1.0)
    # A longer look at the same training is the same training.
    shared = replace(shared, measure_at=(), evaluate_every=1, patience=None)
    scale = "" if run.input_scale == 1 else f", input × {run.input_scale:g}"
    return f"{run.task}, {run.cell}{scale} #{shared.key[:4]}"


def _sign(record: Record) -> int:
    return 1 if Task.parse(record.run.task).higher_is_better else -1


def _score(record: Record) -> float:
    value = record.summary.get("test_score", math.nan)
    return _sign(record) * value if record.status is Status.FINISHED and math.isfinite(value) else math.nan


def _worst(found: Iterable[Record]) -> dict[str, float]:
    scores: dict[str, list[float]] = {}
    baselines: dict[str, float] = {}
    for record in found:
        setting = _setting(record.run)
        scores.setdefault(setting, []).append(_score(record))
        if setting not in baselines:
            baselines[setting] = _sign(record) * Task.parse(record.run.task).baseline
    return {
        setting: min((value for value in values if not math.isnan(value)), default=math.nan)
        if math.isnan(baselines[setting])
        else baselines[setting]
        for setting, values in scores.items()
    }


def _seed(record: Record, worst: float) -> Seed:
    measured, curves = record.diagnostics[0], record.curves
    found = {name: float(measured[key]) for name, key in _MEASURED.items() if key in measured}
    cell = TrainableCell.parse(record.run.cell)
    for gate in _CANDIDATES if cell.recurrent else ():
        if f"radius[{gate}]" in curves:
            found["radius"], found["norm"] = curves[f"radius[{gate}]"][0], curves[f"norm[{gate}]"][0]
            found["departure"] = float(measured[f"departure[{gate}]"])
            break
    if "log_ratio" in found:
        found["kept"] = -abs(found["log_ratio"])
    score = _score(record)
    done = record.status is Status.FINISHED
    steps = record.summary["steps_to_threshold"] if done else math.inf
    return Seed(record.run.seed, found, worst if math.isnan(score) else max(score, worst), steps)
