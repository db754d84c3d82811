"""``unitcircle study``: run, show, compare, export and query a comparison of initializers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import Positional, arg, subcommand

from unitcircle.cli._bound import bound
from unitcircle.cli._study_files import (
    compare_records,
    completeness,
    engine_from,
    open_study,
    report_unreadable,
    table_of_ended_runs,
    write_results,
)
from unitcircle.cli._terminal import INTERRUPTED, terminated_as_interrupted
from unitcircle.errors import ArgumentError, UnitcircleError

if TYPE_CHECKING:
    from unitcircle.experiments.comparison import Comparison

RESULTS = Path("out/studies")


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
    timeout: float | None = None,
    retry_failed: bool = False,
) -> int:
    """Train the runs of a study that have no record yet, then compare; run the command again to resume.

    Writes to the folder OUT/NAME: runs/*.json (one record per run, from which the other files are made), table.csv,
    comparison.json, figure.png, figure.svg and report.html. Exit status: 0 the study is complete, 1 runs are missing
    or failed, 2 the study cannot be used, 130 interrupted.

    Args:
        file: A study file (.toml), or the name of a shipped one, such as quick.
        out: Folder of all results, in which a folder for this study is created.
        workers: Processes on this machine, one thread each; one per processor by default.
        engine: Where to run: local, here (this process, no worker), dask://HOST:PORT or slurm.
        gpu_fraction: Share of a GPU that one worker takes: 0.25 puts four on each.
        partition: Slurm: partition of the jobs.
        account: Slurm: account of the jobs.
        jobs: Slurm: number of jobs.
        cores: Slurm: workers per job, one thread each.
        memory: Slurm: memory per job, such as 16GB.
        walltime: Slurm: time limit of a job, such as 04:00:00.
        tls: Dask and Slurm: files of the certificate authority, the certificate and its private key.
        minutes: Start no more runs after this many minutes.
        timeout: Seconds that a run may take before its worker is stopped; twice, and it is recorded as failed.
        retry_failed: Repeat runs that are recorded as failed.
    """
    from unitcircle.cli._terminal import console

    definition, folder, _ = open_study(file, out, finished=False)
    from unitcircle.experiments.comparison import study_view
    from unitcircle.experiments.studies import Store, execute, progress_display

    options: dict[str, Any] = {"workers": workers, "gpu_fraction": gpu_fraction, "partition": partition}
    options |= {"account": account, "jobs": jobs, "cores": cores, "memory": memory, "walltime": walltime, "tls": tls}
    kind = engine_from(engine, {name: value for name, value in options.items() if value is not None})
    screen = console()

    def results() -> tuple[Comparison, list[str]]:
        store = Store(folder)
        comparison = compare_records(definition, store)
        try:
            return comparison, write_results(comparison, definition, store, folder)
        except ArgumentError as error:
            message = f"The results cannot be written: {error} All records are kept: run the study again to write them."
            raise UnitcircleError(message) from error

    try:
        with terminated_as_interrupted(), progress_display(screen) as on_event:
            outcome = execute(
                definition,
                folder,
                engine=kind,
                minutes=minutes,
                timeout=timeout,
                retry_failed=retry_failed,
                on_event=on_event,
            )
    except KeyboardInterrupt:
        screen.print(f"stopped; the finished runs are kept in {folder}; run the command again to resume")
        # What has ended is shown by the page as well; a second signal ends that too.
        with suppress(KeyboardInterrupt), terminated_as_interrupted():
            _, names = results()
            screen.print(f"written: {', '.join(names)} in {folder}")
        return INTERRUPTED
    for path, reason in outcome.problems.items():
        print(f"unitcircle: {path} was no record, and its run was done again: {reason}", file=sys.stderr)
    comparison, names = results()
    screen.print()
    screen.print(study_view(comparison))
    screen.print(f"\nwritten: {', '.join(names)} in {folder}")
    return int(not outcome.complete or outcome.failed > 0)


def show(file: Positional[str], /, *, out: Path = RESULTS) -> int:
    """Show the progress of a study: finished and missing runs, chosen learning rates.

    Exit status: 0 the study is complete, 1 runs are missing or failed, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Folder of all results.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.experiments.comparison import study_progress_view

    definition, folder, store = open_study(file, out)
    comparison = compare_records(definition, store, judged=False)
    screen = console()
    screen.print(study_progress_view(comparison))
    screen.print(f"results: {folder}")
    return completeness(comparison)


def compare(
    file: Positional[str],
    /,
    *,
    out: Path = RESULTS,
    html: Path | None = None,
    figure: Path | None = None,
    as_json: Annotated[bool, arg(name="json")] = False,
) -> int:
    """Compare the finished runs: ranked tables, differences with their sizes, undecided pairs.

    Exit status: 0 the study is complete, 1 runs are missing or failed, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Folder of all results.
        html: Also write the comparison as one self-contained page.
        figure: Also write the comparison as a figure (.png, .svg, .pdf).
        as_json: Print JSON (versioned schema) instead of text.
    """
    from unitcircle._json import to_json
    from unitcircle.cli._terminal import console
    from unitcircle.experiments.comparison import study_figure, study_page, study_view
    from unitcircle.report import save_figure

    definition, _, store = open_study(file, out)
    comparison = compare_records(definition, store)
    paths = [study_page(comparison, html)] if html else []
    paths += [save_figure(study_figure(comparison), figure)] if figure else []
    if as_json:
        print(to_json(comparison.to_dict()))
        return completeness(comparison)
    screen = console()
    screen.print(study_view(comparison))
    if paths:
        screen.print(f"\nwritten: {', '.join(map(str, paths))}")
    return completeness(comparison)


def export(
    file: Positional[str],
    /,
    *,
    out: Path = RESULTS,
    csv: Path | None = None,
    parquet: Path | None = None,
    curves: bool = False,
) -> int:
    """Write the runs of a study as a table of one row per run, or with --curves one row per run and evaluation.

    Exit status: 0 written, 2 the study cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        out: Folder of all results.
        csv: Where to write CSV.
        parquet: Where to write Parquet.
        curves: Write the learning curves instead of the runs.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.experiments.studies import curve_table, study_table, write_table

    paths = [path for path in (csv, parquet) if path is not None]
    for path, suffix in ((csv, ".csv"), (parquet, ".parquet")):
        if path is not None and path.suffix.lower() != suffix:
            raise ArgumentError(f"--{suffix[1:]}", f"must end in {suffix}", str(path))
    if not paths:
        raise ArgumentError("--csv or --parquet", "must be given", "neither")
    definition, _, store = open_study(file, out)
    table = table_of_ended_runs(curve_table if curves else study_table, definition, store)
    screen = console()
    for path in paths:
        screen.print(f"{write_table(table, path)}: {len(table):,} rows")
    report_unreadable(store)
    return 0


def query(file: Positional[str], sql: Positional[str], /, *, out: Path = RESULTS) -> int:
    """Query the tables runs and curves of a study in SQL (DuckDB's dialect) and print the result as CSV.

    Exit status: 0 answered, 2 the study or the statement cannot be used.

    Args:
        file: A study file (.toml), or the name of a shipped one.
        sql: One statement: "select label, avg(test_score) from runs where stage = 'reported' group by all".
        out: Folder of all results.
    """
    from csv import writer

    from unitcircle.experiments import studies

    definition, _, store = open_study(file, out)
    tables = {"runs": table_of_ended_runs(studies.study_table, definition, store)}
    tables["curves"] = studies.curve_table(store.records(), study=definition)
    columns, rows = studies.query(sql, tables)
    output = writer(sys.stdout, lineterminator="\n")
    output.writerow(columns)
    output.writerows(rows)
    return 0


Call = Callable[[], int]
"""A subcommand with its arguments, ready to run; it returns the exit status."""
Command = (
    Annotated[Call, subcommand("run", prefix_name=False, constructor=bound(run))]
    | Annotated[Call, subcommand("show", prefix_name=False, constructor=bound(show))]
    | Annotated[Call, subcommand("compare", prefix_name=False, constructor=bound(compare))]
    | Annotated[Call, subcommand("export", prefix_name=False, constructor=bound(export))]
    | Annotated[Call, subcommand("query", prefix_name=False, constructor=bound(query))]
)


def study(*, command: Annotated[Command, arg(name="")]) -> int:
    """Compare initializers on tasks, each at its best learning rate, over several seeds; run again to resume."""
    return command()
