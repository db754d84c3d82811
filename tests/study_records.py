"""Records of studies that were never trained: their scores are known."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.training import Record, Run, Status

EVALUATIONS = 5


def record(run: Run, score: float, *, steps: float = np.inf, status: Status = Status.FINISHED, solved: float = 0.9):
    """Return a record whose curve rises to its score in a straight line."""
    grid = np.linspace(0, run.steps, EVALUATIONS)
    rising = (np.linspace(0, 1, EVALUATIONS) * score).tolist()
    kept = EVALUATIONS if status is Status.FINISHED else 2
    summary = {"validation_score": score, "test_score": score, "final_test_score": score, "final_train_loss": 0.1}
    summary |= {"steps": float(run.steps), "steps_to_threshold": steps, "solved": float(score >= solved)}
    if status is Status.FAILED:
        return Record(run, status, message="killed")
    return Record(
        run,
        status,
        summary=summary,
        curves={"step": grid[:kept].tolist(), "validation_score": rising[:kept], "radius[h]": [1.0] * kept},
        diagnostics=({"step": 0, "gradient.log_ratio": -3.0}, {"step": run.steps, "gradient.log_ratio": -1.0}),
        seconds=1.5,
        memory_mb=200.0,
        environment={"torch": "2.10", "threads": 1},
    )


def runs_of(study: Study) -> Iterable[tuple[str, Run]]:
    """Yield label and run of everything that the study may ask for, at every rate."""
    for experiment in study.experiments:
        for setting in experiment.settings():
            for label in study.labels:
                for run in study.tuning_runs(experiment, setting, label):
                    yield label, run
                for rate in experiment.learning_rates:
                    for run in study.reported_runs(setting, label, rate):
                        yield label, run


def finder(study: Study, make: Callable[[str, Run], Record | None]) -> dict[str, Record]:
    """Return key → record of every run for which ``make`` gives one."""
    made = {run.key: make(label, run) for label, run in runs_of(study)}
    return {key: value for key, value in made.items() if value is not None}


def study(labels: dict[str, str] | None = None, **options: Any) -> Study:
    """Return a study of delayed digits with one learning rate, unless told otherwise."""
    given: dict[str, Any] = {"task": "delayed_digits", "learning_rates": (1e-3,)} | options.pop("experiment", {})
    labels = labels or {"A": "torch_default", "B": "orthogonal", "C": "xavier_normal"}
    return Study("example", initializers=labels, experiments=(Experiment(**given),), **options)


def noise(label: str, run: Run, spread: float = 0.05) -> float:
    """Return the noise of a run: part of it is the seed's, shared by all labels, the rest its own."""
    own = np.random.default_rng([ord(label[0]), run.twin, run.seed, round(-1000 * np.log10(run.learning_rate))])
    shared = np.random.default_rng([0, run.seed])
    return spread * (shared.standard_normal() + own.standard_normal()) / np.sqrt(2)
