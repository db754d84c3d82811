"""The files of a study that its commands use: definition, records and results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

    from unitcircle.experiments.comparison import Comparison
    from unitcircle.experiments.engines import EngineKind
    from unitcircle.experiments.studies import Store, Study


def engine_from(text: str, options: Mapping[str, Any]) -> EngineKind:
    """Return an engine with its options; raise ArgumentError for an option that it does not have."""
    from unitcircle.errors import ArgumentError
    from unitcircle.experiments.engines import TLS, engine_kind

    kind: Any = engine_kind(text)
    valid = {field.name for field in fields(kind)}
    for name in options:
        if name not in valid:
            raise ArgumentError(
                f"--{name.replace('_', '-')}", f"is not an option of the engine {text}", str(options[name])
            )
    return replace(kind, **{name: TLS(*map(str, v)) if name == "tls" else v for name, v in options.items()})


def open_study(file: str, out: Path, *, finished: bool = True) -> tuple[Study, Path, Store]:
    """Return a study, the folder of its results and the store of its records; import no user's module if finished."""
    from unitcircle.errors import MissingExtraError

    try:
        from unitcircle.experiments.studies import Store, Study
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("a study", "torch", "experiments") from error
    definition = Study.load(file, out=out if finished else None)
    folder = out / definition.name
    return definition, folder, Store(folder)


def compare_records(definition: Study, store: Store, *, judged: bool = True) -> Comparison:
    """Compare the runs of a study that have a record; with intervals and tests if judged."""
    from unitcircle.experiments import comparison

    result = comparison.compare(definition, store.get, judged=judged)
    report_unreadable(store)
    return result


def table_of_ended_runs(table_of: Callable[..., DataFrame], definition: Study, store: Store) -> DataFrame:
    """Return a table of the runs of a study; raise ArgumentError if no run has ended."""
    from unitcircle.errors import ArgumentError
    from unitcircle.experiments.studies import study_table

    records = list(store.records())
    # Not table_of: failed runs have ended too, and have no curve.
    if study_table(records, study=definition).empty:
        report_unreadable(store)
        remedy = "Run it first, with unitcircle study run."
        raise ArgumentError("study", "must have at least one finished run", f"none in {store.folder}", remedy)
    return table_of(records, study=definition)


def report_unreadable(store: Store) -> None:
    """Print the files that are not records, with the reason, to the standard error stream."""
    for path, reason in store.problems.items():
        print(f"unitcircle: {path} is left out: {reason}", file=sys.stderr)


def completeness(comparison: Comparison) -> int:
    """Return exit status 0 for a complete study, 1 if runs are missing or failed."""
    return int(comparison.missing > 0 or comparison.failed > 0)


def write_results(comparison: Comparison, definition: Study, store: Store, folder: Path) -> list[str]:
    """Write table, comparison, figures and page into the folder of a study, and return their names."""
    from unitcircle._files import written_whole
    from unitcircle._json import to_json
    from unitcircle.experiments.comparison import study_figure, study_page
    from unitcircle.experiments.studies import study_table, write_table
    from unitcircle.report import save_figure

    paths = [write_table(study_table(store.records(), study=definition), folder / "table.csv")]
    with written_whole(folder / "comparison.json") as file:
        file.write(to_json(comparison.to_dict()).encode())
    paths.append(folder / "comparison.json")
    figure = study_figure(comparison)
    paths += [save_figure(figure, folder / f"figure.{suffix}") for suffix in ("png", "svg")]
    paths.append(study_page(comparison, folder / "report.html"))
    return [path.name for path in paths]
