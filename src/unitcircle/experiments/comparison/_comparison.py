"""The comparison of initializers from the records of a study: rows with intervals, paired tests, verdicts."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, TypeGuard

import numpy as np

from unitcircle._specification import Specification
from unitcircle.experiments.comparison._judge import Judge, judge
from unitcircle.experiments.comparison._result import Comparison, Curve, Group, Interval, Row, Standing
from unitcircle.experiments.comparison._statistics import (
    mean_curve,
    mean_interval,
    median_interval,
    share_interval,
    variance_shares,
)
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.studies import TWIN, Experiment, Study, chosen_rate, tuned_runs
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status

Find = Callable[[Run], Record | None]
"""Run → its record, or None if there is none."""
Score = Callable[[Record], float]
UNKNOWN = Interval(math.nan, math.nan)


def compare(study: Study, find: Find, /, *, judged: bool = True) -> Comparison:
    """Compare the initializers of a study from its finished runs.

    In each group (task, cell, size, input scale) every initializer is compared with the reference at the learning rate
    chosen for it, by pairs of runs with the same seed. A row is better or worse only if both the p-value of the paired
    permutation test, after Holm's correction for the rows of the group, is below 1 − confidence, and the interval
    excludes a difference of zero (ranked by steps: a ratio of one). The A/A row is not a hypothesis and is not counted
    in the correction.

    A diverged run counts as the task's baseline, or as the worst score of the group if that is worse, and as never
    solved. A failed run has no result: it is counted, and its pair is left out.

    Parameters
    ----------
    study
        The study.
    find
        Run → its record or None: :meth:`Store.get`.
    judged
        Whether there are intervals and tests; without them a comparison holds means, rates and counts only, and its
        intervals are NaN.

    Returns
    -------
    Comparison
        Equal for the same records, whatever their order.

    Examples
    --------
    The records may come from anywhere. Here they are made up, and the orthogonal initializer is better by 0.05:

    >>> from unitcircle.experiments.studies import Experiment, Study
    >>> from unitcircle.experiments.training import Record, Status
    >>> adding = Experiment("adding(length=50)", learning_rates=(1e-3,), options={"steps": 100})
    >>> labels = {"default": "torch_default", "orthogonal": "orthogonal"}
    >>> study = Study("demo", initializers=labels, experiments=(adding,), seeds=6)
    >>> def find(run):
    ...     score = 0.16 + run.seed / 1000 - 0.05 * run.recurrent.startswith("orthogonal")
    ...     summary = {"validation_score": score, "test_score": score, "steps_to_threshold": float("inf"), "solved": 0}
    ...     curves = {"step": [0, 100], "validation_score": [0.17, score]}
    ...     return Record(run, Status.FINISHED, summary=summary, curves=curves)
    >>> comparison = compare(study, find)
    >>> [(row.label, str(row.verdict), round(row.difference, 3)) for row in comparison.groups[0].rows[:2]]
    [('orthogonal', 'better', -0.05), ('default', 'reference', nan)]
    """
    groups: list[Group] = []
    counts = np.zeros(3, dtype=int)
    settings = [(experiment, setting) for experiment in study.experiments for setting in experiment.settings()]
    for (experiment, setting), options in zip(settings, _distinctive_options(settings), strict=True):
        entries = [_RowRecords.of(study, experiment, setting, label, find) for label in study.labels_in(setting)]
        counts += np.sum([entry.counts for entry in entries], axis=0)
        groups.append(_group(study, experiment, setting, entries, options, judged=judged))
    planned, present, failed = map(int, counts)
    missing = planned - present - failed
    head = (study.name, study.description, study.labels, study.reference, study.confidence)
    return Comparison(*head, planned, present, missing, failed, tuple(groups))


@dataclass(frozen=True, eq=False)
class _RowRecords:
    """The chosen learning rate and the records of one row; a record is None if the run has not ended."""

    label: str
    learning_rate: float
    tuning: dict[Run, Record | None]
    reported: dict[int, Record | None]

    @classmethod
    def of(cls, study: Study, experiment: Experiment, setting: Run, label: str, find: Find) -> _RowRecords:
        tuning = {run: find(run) for run in tuned_runs(study, experiment, setting, label, find)}
        rate = chosen_rate(study, experiment, setting, label, tuning.get)
        reported: dict[int, Record | None] = dict.fromkeys(study.reported_seeds)
        if rate is not None:
            runs = study.reported_runs(setting, label, rate)
            reported = {run.seed: find(run) for run in runs}
        return cls(label, math.nan if rate is None else rate, tuning, reported)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Number of runs planned, present and failed."""
        records = [*self.tuning.values(), *self.reported.values()]
        failed = sum(record is not None and record.status is Status.FAILED for record in records)
        return len(records), sum(record is not None for record in records) - failed, failed

    @property
    def results(self) -> dict[int, Record]:
        """Seed → record of the reported runs that have a result."""
        return {seed: record for seed, record in self.reported.items() if _has_result(record)}


def _has_result(record: Record | None) -> TypeGuard[Record]:
    return record is not None and record.status is not Status.FAILED


def _distinctive_options(settings: Sequence[tuple[Experiment, Run]]) -> list[dict[str, Any]]:
    """Return, for each setting, the options in which others of the same task, cell and input scale differ from it."""
    options = [_options_as_text(experiment, setting) for experiment, setting in settings]
    places = [(setting.task, setting.cell, setting.input_scale) for _, setting in settings]
    rivals = [[other for other, at in zip(options, places, strict=True) if at == place] for place in places]
    return [
        {name: value for name, value in mine.items() if any(other[name] != value for other in others)}
        for mine, others in zip(options, rivals, strict=True)
    ]


def _options_as_text(experiment: Experiment, setting: Run) -> dict[str, Any]:
    """Return the options of a setting as text, without those that vary within a group."""
    varied = {"task", "cell", "input_scale", "recurrent", "learning_rate", "seed", "twin"}
    options = {f.name: getattr(setting, f.name) for f in fields(setting) if f.name not in varied}
    options |= {"learning_rates": experiment.learning_rates, "ranked_by": experiment.rank_by}
    return {name.replace("_", " "): _value_as_text(value) for name, value in options.items()}


def _value_as_text(value: Any) -> Any:
    if isinstance(value, tuple):
        return " / ".join(f"{item:g}" for item in value) or "none"
    return "none" if value is None else value


def _group(
    study: Study,
    experiment: Experiment,
    setting: Run,
    entries: Sequence[_RowRecords],
    options: dict[str, Any],
    *,
    judged: bool,
) -> Group:
    task = Task.parse(experiment.task)
    reported = [record for entry in entries for record in entry.results.values()]
    score = _scoring(task, reported, "test_score")
    rows = [_row(entry, experiment, task, score, study.confidence if judged else None) for entry in entries]
    tuned = [record for entry in entries for record in entry.tuning.values() if record is not None]
    tuning_score = _scoring(task, tuned, "validation_score")
    rows = [replace(row, tuning=_tuning_scores(entry, tuning_score)) for row, entry in zip(rows, entries, strict=True)]

    group = Group(
        task=experiment.title or task.title,
        cell=setting.cell,
        input_scale=setting.input_scale,
        factors=_factors(task, TrainableCell.parse(setting.cell)) | {"input scale": setting.input_scale} | options,
        unit=task.unit,
        higher_is_better=task.higher_is_better,
        baseline=task.baseline,
        threshold=task.threshold,
        signature=task.signature,
        rank_by=experiment.rank_by,
        rows=tuple(rows),
        options=options,
        shares=_shares([e for e in entries if e.label in study.initializers], experiment.learning_rates, tuning_score),
    )
    if not judged:
        return group
    (group,) = judge(group, reference=study.reference, twin=study.reference + TWIN, confidence=study.confidence)
    order = Judge(experiment.rank_by == "steps", task.higher_is_better, study.confidence).order
    group = replace(group, rows=tuple(sorted(group.rows, key=order)))
    return replace(group, not_told_from_first=_equals_of_first(group, study.confidence))


def _equals_of_first(group: Group, confidence: float) -> tuple[str, ...]:
    """Return the labels of the rows that the same test does not distinguish from the first row."""
    contenders = tuple(row for row in group.rows if row.seeds and row.verdict is not Standing.NOISE)
    if not contenders:
        return ()
    (judged,) = judge(replace(group, rows=contenders), reference=contenders[0].label, confidence=confidence)
    return tuple(row.label for row in judged.rows if row.verdict is Standing.UNDECIDED)


def _scoring(task: Task, records: Sequence[Record], name: str) -> Score:
    """Return the function record → score; a diverged run gets the baseline or the worst score, whichever is worse."""
    scores = [record.summary.get(name, math.nan) for record in records if record.status is Status.FINISHED]
    finite = [value for value in (task.baseline, *scores) if math.isfinite(value)]
    worst = (min if task.higher_is_better else max)(finite, default=math.nan)

    def score(record: Record) -> float:
        value = record.summary.get(name, math.nan)
        return value if record.status is Status.FINISHED and math.isfinite(value) else worst

    return score


def _row(entry: _RowRecords, experiment: Experiment, task: Task, score: Score, confidence: float | None) -> Row:
    results = entry.results
    scores = np.array([score(record) for record in results.values()])
    steps = [_steps(record) for record in results.values()]
    solved = sum(r.status is Status.FINISHED and r.summary.get("solved") == 1 for r in results.values())
    if experiment.rank_by == "steps":
        solved = int(np.isfinite(steps).sum())
    rates = {run.learning_rate for run in entry.tuning} or {entry.learning_rate}
    with_threshold = not math.isnan(task.threshold)
    any_run = len(scores) > 0
    worst = scores.min if task.higher_is_better else scores.max
    failed = sum(record is not None for record in entry.reported.values()) - len(results)
    return Row(
        label=entry.label,
        learning_rate=entry.learning_rate,
        at_edge=len(rates) > 2 and entry.learning_rate in {min(rates), max(rates)},
        seeds=tuple(results),
        scores=tuple(scores.tolist()),
        steps=tuple(steps),
        missing=len(entry.reported) - len(results) - failed,
        failed=failed,
        diverged=sum(record.status is Status.DIVERGED for record in results.values()),
        mean=float(scores.mean()) if any_run else math.nan,
        interval=UNKNOWN if confidence is None else mean_interval(scores.tolist(), confidence),
        median=float(np.median(scores)) if any_run else math.nan,
        worst=float(worst()) if any_run else math.nan,
        deviation=float(scores.std(ddof=1)) if len(scores) > 1 else math.nan,
        solved=solved,
        success=share_interval(solved, len(scores), confidence) if with_threshold and confidence else UNKNOWN,
        median_steps=float(np.median(steps)) if any_run and with_threshold else math.nan,
        steps_interval=median_interval(steps, confidence) if with_threshold and confidence else UNKNOWN,
        curve=Curve() if confidence is None else _curve(results, score, confidence),
        untrained=sum(_is_best_untrained(record, task) for record in results.values()),
        overflows=tuple(record.message for record in results.values() if record.status is Status.DIVERGED),
    )


def _is_best_untrained(record: Record, task: Task) -> bool:
    """Return whether no evaluation of a run after step 0 has a better score than that of step 0."""
    scores = np.asarray(record.curves.get("validation_score", ()), dtype=float)
    if len(scores) < 2 or record.curves["step"][0] != 0 or not math.isfinite(scores[0]):
        return False
    # NaN is better than nothing.
    return not (scores[1:] > scores[0] if task.higher_is_better else scores[1:] < scores[0]).any()


def _steps(record: Record) -> float:
    """Return the steps to the threshold; inf if the run never reached it, or diverged afterwards."""
    value = record.summary.get("steps_to_threshold", math.inf)
    return value if record.status is Status.FINISHED and not math.isnan(value) else math.inf


def _curve(results: Mapping[int, Record], score: Score, confidence: float) -> Curve:
    """Return the mean learning curve; a run that stopped early keeps its last score, a diverged one gets the worst."""
    curves_of = {record: record.curves for record in results.values() if record.curves.get("step")}
    if not curves_of:
        return Curve()
    grid = np.unique(np.concatenate([curves["step"] for curves in curves_of.values()]))
    curves: list[np.ndarray] = []
    for record, curve in curves_of.items():
        values = np.asarray(curve["validation_score"], dtype=float)
        last = np.searchsorted(curve["step"], grid, side="right") - 1
        on_grid = values[np.maximum(last, 0)]
        if record.status is Status.DIVERGED:
            on_grid = np.where(grid > curve["step"][-1], score(record), on_grid)
        curves.append(np.where(np.isfinite(on_grid), on_grid, score(record)))
    return mean_curve(grid.tolist(), np.array(curves), confidence)


def _tuning_scores(entry: _RowRecords, score: Score) -> dict[float, tuple[float, ...]]:
    """Return learning rate → validation scores of its tuning runs."""
    scores: dict[float, tuple[float, ...]] = {}
    for run, record in entry.tuning.items():
        if _has_result(record):
            scores[run.learning_rate] = (*scores.get(run.learning_rate, ()), score(record))
    return scores


def _shares(entries: Sequence[_RowRecords], rates: Sequence[float], score: Score) -> dict[str, float]:
    """Return the shares of variance, over the tuning seeds for which every initializer and rate has a result."""
    scores_of = [
        {(run.learning_rate, run.seed): score(r) for run, r in entry.tuning.items() if _has_result(r)}
        for entry in entries
    ]
    seeds = sorted({run.seed for entry in entries for run in entry.tuning})
    complete = [seed for seed in seeds if all((rate, seed) in scores for scores in scores_of for rate in rates)]
    cube = [[[scores[rate, seed] for seed in complete] for rate in rates] for scores in scores_of]
    return variance_shares(np.array(cube)) if complete else {}


def _factors(*specifications: Specification) -> dict[str, Any]:
    """Return the names and parameters of specifications; a repeated parameter gets the kind in front of its name."""
    factors: dict[str, Any] = {}
    for specification in specifications:
        parameters = specification.to_dict()
        factors[specification.kind] = parameters.pop("name")
        for name, value in parameters.items():
            factors[name if name not in factors else f"{specification.kind} {name}"] = value
    return factors
