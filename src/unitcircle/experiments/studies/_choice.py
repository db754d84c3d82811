"""The learning rate of a row, chosen on validation data with seeds that are not reported."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

from unitcircle.experiments.studies._study import Experiment, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status

FACTOR = 3.3
"""Between a rate at an end and the further one that is tried, rounded to three digits."""


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
        One of the experiment's learning rates, or a further one (:attr:`Experiment.further_rates`).

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
    return _best(experiment, tuned_runs(study, experiment, setting, label, find), find)


def tuned_runs(
    study: Study, experiment: Experiment, setting: Run, label: str, find: Callable[[Run], Record | None], /
) -> list[Run]:
    """Return the runs that choose the learning rate of a row, as far as the records tell which rates these are.

    While the best rate is the smallest or the largest, the next one beyond it is added, at most
    :attr:`Experiment.further_rates` at either end.

    Parameters
    ----------
    study, experiment, setting, label
        The row.
    find
        Run → its record or None: :meth:`Store.get`.

    Returns
    -------
    list of Run
        Learning rates × tuning seeds, the smallest rate first where some were added. Where a run has no record, its
        rate is among them and no further one.

    Examples
    --------
    Runs that are the better the larger the rate is: one rate more is tried, and is the last that may be.

    >>> from unitcircle.experiments.training import Record, Status
    >>> def find(run):
    ...     summary = {"validation_score": 0.1 / (1 + 100 * run.learning_rate), "steps_to_threshold": float("inf")}
    ...     return Record(run, Status.FINISHED, summary=summary)
    >>> adding = Experiment(
    ...     "adding(length=10)", learning_rates=(1e-3, 3e-3), further_rates=1, options={"steps": 10}
    ... )
    >>> study = Study("rates", initializers={"default": "torch_default"}, experiments=(adding,), tuning_seeds=1)
    >>> runs = tuned_runs(study, adding, next(adding.settings()), "default", find)
    >>> [run.learning_rate for run in runs]
    [0.001, 0.003, 0.0099]
    """
    rates = experiment.learning_rates
    runs = study.tuning_runs(experiment, setting, label)
    # Each round adds a rate: at most as many as are allowed below and above.
    below = above = experiment.further_rates
    while (below or above) and (best := _best(experiment, runs, find)) is not None:
        if best == min(rates) and below:
            below, beyond = below - 1, best / FACTOR
        elif best == max(rates) and above:
            above, beyond = above - 1, best * FACTOR
        else:
            break
        rates = tuple(sorted((*rates, float(f"{beyond:.3g}"))))
        runs = study.tuning_runs(experiment, setting, label, rates=rates)
    return runs


def _best(experiment: Experiment, runs: Iterable[Run], find: Callable[[Run], Record | None]) -> float | None:
    """Return the best learning rate of tuning runs; None if one has no record, or if there is none."""
    by_rate: dict[float, list[Record]] = {}
    for run in runs:
        record = find(run)
        if record is None:
            return None
        by_rate.setdefault(run.learning_rate, []).append(record)
    higher = Task.parse(experiment.task).higher_is_better
    return min(by_rate, key=lambda rate: (preference(by_rate[rate], experiment.rank_by, higher), rate), default=None)


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
