"""The long table of what there is to predict: a run in a row, with its diagnosis before training and its result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

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
"""Column → what is measured at step 0."""
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
COLUMNS = ("task", "cell", "setting", "initializer", "family", "seed", "score", "steps", *DIAGNOSTICS, "log_ratio")
"""Of the table. Scores: higher is better; steps to the threshold: inf where a run never reached it."""
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


def records(folders: Iterable[Path], /) -> Iterator[Record]:
    """Yield every record of a study below some folders, each run once."""
    seen: set[str] = set()
    for runs in sorted({runs for folder in folders for runs in folder.rglob("runs")}):
        for record in Store(runs.parent).records():
            if record.run.key not in seen:
                seen.add(record.run.key)
                yield record


def table(records: Iterable[Record], /) -> pd.DataFrame:
    """Return the reported runs that were diagnosed at step 0, those of each initializer at its best learning rate."""
    rows = [_row(record) for record in records if _is_used(record)]
    if not rows:
        return pd.DataFrame(columns=list(COLUMNS))
    runs = pd.DataFrame(rows)
    # A run that diverged, or ended behind the task's baseline, counts as the baseline; where there is none, one
    # that diverged counts as the worst score of its setting.
    worst = runs["baseline"].fillna(runs.groupby("setting")["score"].transform("min"))
    runs["score"] = np.fmax(runs["score"], worst)
    point = ["setting", "recurrent", "bias"]
    means = runs.groupby([*point, "learning_rate"], sort=False)["score"].mean().fillna(-math.inf)
    best = means.groupby(point, sort=False).idxmax()
    runs = runs[pd.MultiIndex.from_frame(runs[[*point, "learning_rate"]]).isin(best)]
    return runs.sort_values([*point, "seed"], ignore_index=True).reindex(columns=list(COLUMNS))


def _is_used(record: Record) -> bool:
    """Return whether a run was reported, not one that chose a learning rate, and diagnosed before training."""
    reported = record.run.seed < FIRST_TUNING_SEED and record.status is not Status.FAILED
    return reported and bool(record.diagnostics) and record.diagnostics[0]["step"] == 0


def _row(record: Record) -> dict[str, Any]:
    run, task = record.run, Task.parse(record.run.task)
    sign = 1 if task.higher_is_better else -1
    finished = record.status is Status.FINISHED
    score = record.summary.get("test_score", math.nan) if finished else math.nan
    law, shift = Initializer.parse(run.recurrent).name, Initializer.parse(run.bias).name
    law = _LAWS.get(law, law)
    suffixes = ("", "") if shift == "zeros" else (f" + {run.bias}", f" + {shift}")
    return {
        "task": run.task,
        "cell": run.cell,
        "setting": _setting(run),
        "recurrent": run.recurrent,
        "bias": run.bias,
        "initializer": run.recurrent + suffixes[0],
        "family": law + suffixes[1],
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "baseline": sign * task.baseline,
        "score": sign * score if math.isfinite(score) else math.nan,
        "steps": record.summary["steps_to_threshold"] if finished else math.inf,
        **_diagnosis(record),
    }


def _setting(run: Run) -> str:
    """Return a name of everything that the rivals of a run share with it."""
    shared = replace(run, recurrent="zeros", bias="zeros", seed=0, twin=0, learning_rate=1.0)
    # A longer look at the same training is the same training.
    shared = replace(shared, measure_at=(), evaluate_every=1, patience=None)
    scale = "" if run.input_scale == 1 else f", input × {run.input_scale:g}"
    return f"{run.task}, {run.cell}{scale} #{shared.key[:4]}"


def _diagnosis(record: Record) -> dict[str, float]:
    measured, curves = record.diagnostics[0], record.curves
    diagnosis = {name: float(measured[key]) for name, key in _MEASURED.items() if key in measured}
    gates = _CANDIDATES if TrainableCell.parse(record.run.cell).recurrent else ()
    if gate := next((gate for gate in gates if f"radius[{gate}]" in curves), ""):
        diagnosis["radius"], diagnosis["norm"] = curves[f"radius[{gate}]"][0], curves[f"norm[{gate}]"][0]
        diagnosis["departure"] = float(measured[f"departure[{gate}]"])
    if "log_ratio" in diagnosis:
        diagnosis["kept"] = -abs(diagnosis["log_ratio"])
    return diagnosis
