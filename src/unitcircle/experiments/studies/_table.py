"""Records as tables: one row per run, or one row per evaluation of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from unitcircle.errors import MissingExtraError
from unitcircle.experiments.studies._choice import chosen_rate, tuned_runs
from unitcircle.experiments.studies._study import FIRST_TUNING_SEED, Study
from unitcircle.experiments.training import Record, Run

if TYPE_CHECKING:
    from pandas import DataFrame


def study_table(records: Iterable[Record], /, *, study: Study | None = None) -> DataFrame:
    """Return a table with one row per run, sorted by configuration whatever the order of the records.

    Parameters
    ----------
    records
        Records of the runs.
    study
        If given, the table has a column ``label``, and runs that are not part of this study, or are reported at
        another learning rate than the chosen one, are left out.

    Returns
    -------
    pandas.DataFrame
        ``key``, ``label``, ``stage`` (tuning or reported), ``status``, every attribute of the run, every number in the
        summary, ``start.*`` and ``end.*`` (the diagnostics of the first and of the last measured step), ``seconds``,
        ``memory_mb``, ``message``, ``environment.*``.

    Examples
    --------
    >>> from unitcircle.experiments.training import Record, Run, Status
    >>> runs = [Run("adding(length=10)", "tanh(size=8)", "orthogonal", seed=seed) for seed in range(2)]
    >>> table = study_table([Record(run, Status.FINISHED, summary={"test_score": 0.1 + run.seed}) for run in runs])
    >>> print(table[["cell", "seed", "test_score"]].to_string(index=False))
            cell  seed  test_score
    tanh(size=8)     0         0.1
    tanh(size=8)     1         1.1
    """
    columns = ["status", *(f.name for f in fields(Run)), "seconds", "memory_mb", "message"]
    return _frame(_run_row, records, study, columns)


def curve_table(records: Iterable[Record], /, *, study: Study | None = None) -> DataFrame:
    """Return a table with one row per evaluation of a run during training.

    Parameters
    ----------
    records
        Records of the runs.
    study
        As in :func:`study_table`.

    Returns
    -------
    pandas.DataFrame
        ``key``, ``label``, ``stage``, the main attributes of the run, and one column per curve.

    Examples
    --------
    >>> from unitcircle.experiments.training import Record, Run, Status
    >>> run = Run("adding(length=10)", "tanh(size=8)", "orthogonal")
    >>> curves = {"step": [0, 100], "validation_score": [0.2, 0.1]}
    >>> table = curve_table([Record(run, Status.FINISHED, curves=curves)])
    >>> table[["step", "validation_score"]].values.tolist()
    [[0.0, 0.2], [100.0, 0.1]]
    """
    return _frame(_curve_rows, records, study, [*_RUN_COLUMNS, "step"])


_RUN_COLUMNS = ("task", "cell", "recurrent", "bias", "input_scale", "learning_rate", "seed", "twin")


def _frame(rows_of: Any, records: Iterable[Record], study: Study | None, columns: list[str]) -> DataFrame:
    try:
        import pandas as pd  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtraError("the table of a study", "pandas", "experiments") from error
    by_key = {record.run.key: record for record in records}
    labels = None if study is None else _labels(study, lambda run: by_key.get(run.key))
    rows: list[dict[str, Any]] = []
    for record in sorted(by_key.values(), key=lambda record: _order(record.run)):
        for label in [None] if labels is None else labels.get(record.run.key, []):
            stage = "tuning" if record.run.seed >= FIRST_TUNING_SEED else "reported"
            head = {"key": record.run.key} | ({} if label is None else {"label": label}) | {"stage": stage}
            rows += rows_of(record, head)
    # An empty table has the columns that every row would have, so that it can be written and queried.
    return pd.DataFrame(
        rows, columns=None if rows else ["key", *([] if labels is None else ["label"]), "stage", *columns]
    )


def _order(run: Run) -> tuple[Any, ...]:
    place = (run.task, run.cell, run.input_scale, run.recurrent, run.bias, run.twin)
    return (*place, run.learning_rate, run.seed, run.key)


def _labels(study: Study, find: Callable[[Run], Record | None]) -> dict[str, list[str]]:
    """Return key → labels of tuning runs and of runs reported at the chosen rate; equal laws share their runs."""
    # An earlier version of the study may have chosen another rate: its runs are not what is compared.
    by_key: dict[str, dict[str, None]] = {}
    for experiment in study.experiments:
        for setting in experiment.settings():
            for label in study.labels_in(setting):
                runs = tuned_runs(study, experiment, setting, label, find)
                rate = chosen_rate(study, experiment, setting, label, find)
                if rate is not None:
                    runs += study.reported_runs(setting, label, rate)
                for run in runs:
                    by_key.setdefault(run.key, {})[label] = None
    return {key: list(labels) for key, labels in by_key.items()}


def _run_row(record: Record, head: dict[str, Any]) -> list[dict[str, Any]]:
    run = record.run.to_dict()
    run["measure_at"] = " ".join(map(str, run["measure_at"]))
    row = head | {"status": str(record.status)} | run | {"trained_steps": record.summary.get("steps")}
    row |= {name: value for name, value in record.summary.items() if name != "steps"}
    for prefix, measured in zip(("start", "end"), (record.diagnostics[:1], record.diagnostics[1:][-1:]), strict=True):
        for values in measured:
            row |= _flat(prefix, values)
    row |= {"seconds": record.seconds, "memory_mb": record.memory_mb, "message": record.message}
    return [row | _flat("environment", record.environment)]


def _curve_rows(record: Record, head: dict[str, Any]) -> list[dict[str, Any]]:
    run = record.run
    fixed = head | {name: getattr(run, name) for name in _RUN_COLUMNS}
    curves = record.curves
    return [
        fixed | {name: values[k] for name, values in curves.items() if k < len(values)}
        for k in range(len(curves.get("step", ())))
    ]


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(f"{prefix}.{name}", value)
        elif not isinstance(value, list | tuple):
            flat[f"{prefix}.{name}"] = value
    return flat
