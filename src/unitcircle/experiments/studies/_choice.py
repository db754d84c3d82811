"""The learning rate of a row, chosen on validation data with seeds that are not reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from unitcircle.experiments.studies._study import Experiment, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status


def chosen_rate(
    study: Study, experiment: Experiment, setting: Run, label: str, find: Callable[[Run], Record | None], /
) -> float | None:
    """Return the learning rate at which a row is reported, or None if its tuning runs are not complete.

    Rates are ordered by the number of runs that diverged, failed or have no score, then by the mean validation score
    (ranked by steps: by the steps to the threshold). Between equal rates the smaller one is chosen.

    Parameters
    ----------
    study, experiment, setting, label
        The row.
    find
        Run → its record or None: :meth:`Store.get`.

    Returns
    -------
    float or None
        One of the experiment's learning rates.

    Examples
    --------
    Two tuning runs, made up, of which that at the larger rate is better:

    >>> from unitcircle.experiments.training import Record, Status
    >>> def find(run):
    ...     summary = {"validation_score": 0.1 / (1 + 100 * run.learning_rate), "steps_to_threshold": float("inf")}
    ...     return Record(run, Status.FINISHED, summary=summary)
    >>> adding = Experiment("adding(length=10)", learning_rates=(1e-3, 3e-3), options={"steps": 10})
    >>> study = Study("rates", initializers={"default": "torch_default"}, experiments=(adding,), tuning_seeds=1)
    >>> chosen_rate(study, adding, next(adding.settings()), "default", find)
    0.003
    """
    if len(experiment.learning_rates) == 1:
        return experiment.learning_rates[0]
    by_rate: dict[float, list[Record]] = {}
    for run in study.tuning_runs(experiment, setting, label):
        record = find(run)
        if record is None:
            return None
        by_rate.setdefault(run.learning_rate, []).append(record)
    higher = Task.parse(experiment.task).higher_is_better
    return min(by_rate, key=lambda rate: (preference(by_rate[rate], experiment.rank_by, higher), rate))


def preference(records: Iterable[Record], rank_by: str, higher_is_better: bool, /) -> tuple[float, ...]:
    """Return the sort key of a learning rate from its tuning runs; the smallest is the best."""
    # First the number of runs that diverged, failed or have no score: a rate with one such run comes after every
    # rate with none, however good its other runs are. Then, ranked by score: the mean validation score, the number
    # of runs that never reached the threshold, and the mean steps to it of the others. Ranked by steps, the last
    # two come before the score.
    records = list(records)
    ended = [r for r in records if r.status is Status.FINISHED and not math.isnan(r.summary["validation_score"])]
    sign = -1 if higher_is_better else 1
    score = _mean([sign * record.summary["validation_score"] for record in ended])
    steps = [record.summary["steps_to_threshold"] for record in ended]
    reached = [s for s in steps if math.isfinite(s)]
    by_steps = (float(len(steps) - len(reached)), _mean(reached))
    lost = float(len(records) - len(ended))
    return (lost, score, *by_steps) if rank_by == "score" else (lost, *by_steps, score)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values else math.inf
