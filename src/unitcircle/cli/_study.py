"""``unitcircle study``: run, show, compare, export and query a comparison of initializers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg, subcommand

if TYPE_CHECKING:
    from pandas import DataFrame

    from unitcircle.experiments.comparison import Comparison
    from unitcircle.experiments.engines import EngineKind
    from unitcircle.experiments.studies import Store, Study

RESULTS = Path("out/studies")
INTERRUPTED = 130
"""What a shell reports of a process that Ctrl-C ended."""


def run(
    file: Positional[str],
    /,
    *,
    out: Path = RESULTS,
    workers: int | None = None,
    engine: str = "local",
    gpu_fraction: float | None = None,
    partition: str | None = None,
    account: str | None = None,
    jobs: int | None = None,
    cores: int | None = None,
    memory: str | None = None,
    walltime: str | None = None,
    tls: tuple[Path, Path, Path] | None = None,
    minutes: float | None = None,
    retry_failed: bool = False,
) -> int:
    """Do what a study lacks, then compare; run again to go on where it was stopped.

    Writes, in the folder OUT/NAME: runs/*.json (one file a run, the truth), table.csv, comparison.json, figure.png,
    figure.svg and report.html. Exit status: 0 the study is complete, 1 runs are missing or failed, 2 the study cannot
    be used, 130 interrupted.

    Args:
        file: A study file (.toml), or the name of a shipped one, such as quick.
        out: Where the folders of results are; the study's own is made there.
        workers: Processes on this machine, one thread each; one a processor by default.
        engine: Where to run: local, here (this process, no worker), dask://HOST:PORT or slurm.
        gpu_fraction: Share of a GPU that one worker takes: 0.25 puts four on each.
        partition: Of Slurm: where to.
        account: Of Slurm: on whose account.
        jobs: Of Slurm: how many.
        cores: Of Slurm: workers in a job, one thread each.
        memory: Of Slurm: of a job, such as 16GB.
        walltime: Of Slurm: of a job, such as 04:00:00.
        tls: Of Dask and Slurm: files of the authority, of our certificate and of its key.
        minutes: After which no more runs are started.
        retry_failed: Also do runs again that are recorded as failed.
    """
    from unitcircle.cli._terminal import console

    planned, folder, _ = _opened(file, out)
    from unitcircle.experiments.comparison import study_view
    from unitcircle.experiments.studies import execute, progress_display

    options: dict[str, Any] = {"workers": workers, "gpu_fraction": gpu_fraction, "partition": partition}
    options |= {"account": account, "jobs": jobs, "cores": cores, "memory": memory, "walltime": walltime, "tls": tls}
    kind = _engine(engine, {name: value for name, value in options.items() if value is not None})
    screen = console()
    try:
        with progress_display(screen) as on_event:
            outcome = execute(
                planned, folder, engine=kind, minutes=minutes, retry_failed=retry_failed, on_event=on_event
            )
    except KeyboardInterrupt:
        screen.print(f"stopped; what has ended is kept in {folder}, run again to go on")
        return INTERRUPTED
    _, _, store = _opened(file, out)
    found = _compared(planned, store)
    written = _written(found, planned, store, folder)
    screen.print()
    screen.print(study_view(found))
    screen.print(f"\nwritten: {', '.join(written)} in {folder}")
    return int(not outcome.complete or outcome.failed > 0)


def show(file: Positional[str], /, *, out: Path = RESULTS) -> int:
    """Show how far a study is: what has ended, which learning rates are chosen, what is missing.

    Exit status: 0 the study is complete, 1 runs are missing or failed, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Where the folders of results are.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.experiments.comparison import study_progress_view

    planned, folder, store = _opened(file, out)
    found = _compared(planned, store)
    screen = console()
    screen.print(study_progress_view(found))
    screen.print(f"results: {folder}")
    return _status(found)


def compare(
    file: Positional[str],
    /,
    *,
    out: Path = RESULTS,
    html: Path | None = None,
    figure: Path | None = None,
    as_json: Annotated[bool, arg(name="json")] = False,
) -> int:
    """Compare what is there of a study: ranked tables, who is better and by how much, where the data cannot tell.

    Exit status: 0 the study is complete, 1 runs are missing or failed, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Where the folders of results are.
        html: Also write the comparison as one self-contained page.
        figure: Also draw it (.png, .svg, .pdf).
        as_json: Print JSON (versioned schema) instead of text.
    """
    from unitcircle._json import to_json
    from unitcircle.cli._terminal import console
    from unitcircle.experiments.comparison import study_figure, study_page, study_view
    from unitcircle.report import save_figure

    planned, _, store = _opened(file, out)
    found = _compared(planned, store)
    written = [study_page(found, html)] if html else []
    written += [save_figure(study_figure(found), figure)] if figure else []
    if as_json:
        print(to_json(found.to_dict()))
        return _status(found)
    screen = console()
    screen.print(study_view(found))
    if written:
        screen.print(f"\nwritten: {', '.join(map(str, written))}")
    return _status(found)


def export(
    file: Positional[str],
    /,
    *,
    out: Path = RESULTS,
    csv: Path | None = None,
    parquet: Path | None = None,
    curves: bool = False,
) -> int:
    """Write the runs of a study as one table, one row a run, or with --curves one row a run and evaluation.

    Exit status: 0 written, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Where the folders of results are.
        csv: Where to write CSV.
        parquet: Where to write Parquet.
        curves: The learning curves instead of the runs.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError
    from unitcircle.experiments.studies import curve_table, study_table, write_table

    paths = [path for path in (csv, parquet) if path is not None]
    for path, suffix in ((csv, ".csv"), (parquet, ".parquet")):
        if path is not None and path.suffix.lower() != suffix:
            raise ArgumentError(f"--{suffix[1:]}", f"must end in {suffix}", str(path))
    if not paths:
        raise ArgumentError("--csv or --parquet", "must be given", "neither")
    planned, _, store = _opened(file, out)
    table = _of_ended(curve_table if curves else study_table, planned, store)
    screen = console()
    for path in paths:
        screen.print(f"{write_table(table, path)}: {len(table):,} rows")
    _tell_problems(store)
    return 0


def query(file: Positional[str], sql: Positional[str], /, *, out: Path = RESULTS) -> int:
    """Ask the tables runs and curves of a study in SQL, in DuckDB's dialect, and print the answer as CSV.

    Exit status: 0 answered, 2 the study or the statement cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        sql: One statement: "select label, avg(test_score) from runs where stage = 'reported' group by all".
        out: Where the folders of results are.
    """
    from csv import writer

    from unitcircle.experiments import studies

    planned, _, store = _opened(file, out)
    tables = {"runs": _of_ended(studies.study_table, planned, store)}
    tables["curves"] = studies.curve_table(store.records(), study=planned)
    columns, rows = studies.query(sql, tables)
    lines = writer(sys.stdout, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(rows)
    return 0


Command = (
    Annotated[int, subcommand("run", prefix_name=False, constructor=run)]
    | Annotated[int, subcommand("show", prefix_name=False, constructor=show)]
    | Annotated[int, subcommand("compare", prefix_name=False, constructor=compare)]
    | Annotated[int, subcommand("export", prefix_name=False, constructor=export)]
    | Annotated[int, subcommand("query", prefix_name=False, constructor=query)]
)
"""The status of whichever subcommand was run: tyro calls it to make this argument."""


def study(*, command: Annotated[Command, arg(name="")]) -> int:
    """Compare initializers on tasks, each at its best learning rate, over enough seeds: run again to resume."""
    return command


def _engine(text: str, options: Mapping[str, Any]) -> EngineKind:
    """Return an engine with the options that were given; one that it has not is refused."""
    from unitcircle.errors import ArgumentError
    from unitcircle.experiments.engines import TLS, engine_kind

    kind: Any = engine_kind(text)
    known = {field.name for field in fields(kind)}
    for name in options:
        if name not in known:
            raise ArgumentError(f"--{name.replace('_', '-')}", f"is none of the engine {text}", str(options[name]))
    return replace(kind, **{name: TLS(*map(str, v)) if name == "tls" else v for name, v in options.items()})


def _opened(file: str, out: Path) -> tuple[Study, Path, Store]:
    from unitcircle.errors import MissingExtraError

    try:
        from unitcircle.experiments.studies import Store, Study
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtraError("a study", "torch", "experiments") from error
    planned = Study.load(file)
    folder = out / planned.name
    return planned, folder, Store(folder)


def _compared(planned: Study, store: Store) -> Comparison:
    from unitcircle.experiments import comparison

    result = comparison.compare(planned, store.get)
    _tell_problems(store)
    return result


def _of_ended(table_of: Callable[..., DataFrame], planned: Study, store: Store) -> DataFrame:
    """Return a table of the study's runs, of which one at least must have ended."""
    from unitcircle.errors import ArgumentError
    from unitcircle.experiments.studies import study_table

    records = list(store.records())
    # Runs that failed have ended, too, and have no curve.
    if study_table(records, study=planned).empty:
        _tell_problems(store)
        remedy = "Run it first, with unitcircle study run."
        raise ArgumentError("study", "must have at least one run that has ended", f"none in {store.folder}", remedy)
    return table_of(records, study=planned)


def _tell_problems(store: Store) -> None:
    for path, reason in store.problems.items():
        print(f"unitcircle: {path} is left out: {reason}", file=sys.stderr)


def _status(found: Comparison) -> int:
    return int(found.missing > 0 or found.failed > 0)


def _written(found: Comparison, planned: Study, store: Store, folder: Path) -> list[str]:
    """Write table, comparison, figures and page into the folder of a study, and return their names."""
    from unitcircle._files import written_whole
    from unitcircle._json import to_json
    from unitcircle.experiments.comparison import study_figure, study_page
    from unitcircle.experiments.studies import study_table, write_table
    from unitcircle.report import save_figure

    paths = [write_table(study_table(store.records(), study=planned), folder / "table.csv")]
    with written_whole(folder / "comparison.json") as file:
        file.write(to_json(found.to_dict()).encode())
    paths.append(folder / "comparison.json")
    figure = study_figure(found)
    paths += [save_figure(figure, folder / f"figure.{suffix}") for suffix in ("png", "svg")]
    paths.append(study_page(found, folder / "report.html"))
    return [path.name for path in paths]
