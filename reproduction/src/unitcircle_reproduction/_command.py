"""``unitcircle reproduce``: the figures and claims of the sources, ours beside theirs."""

from __future__ import annotations

import tempfile
from pathlib import Path

from tyro.conf import Positional

from unitcircle.cli import INTERRUPTED


def reproduce(
    names: Positional[tuple[str, ...]] = ("all",),
    /,
    *,
    quick: bool = False,
    full: bool = False,
    out: Path = Path("out/reproduce"),
    workers: int | None = None,
    seed: int = 0,
    records: tuple[Path, ...] = (),
) -> int:
    """Measure every claim of the sources, say whether it holds, and write one HTML page.

    What is trained is kept below --out; run again, it goes on where it was. However it ends, by Ctrl-C too, the page
    holds the claims that have been measured.

    Args:
        names: Sources by name, sections of them such as eigen/multi30k, or all.
        quick: Ten minutes on two cores for all of them; the default.
        full: What a night, or a GPU, gives.
        out: Folder of the page, its figures and numbers.
        workers: Processes that train; one a core by default.
        seed: Of everything random, from 0 to 99; two of them have no draw in common.
        records: Of prediction: folders of studies that have been run, such as out/studies/prediction.

    Returns
    -------
        Exit status.
    """
    from unitcircle.cli import console
    from unitcircle.errors import ArgumentError

    if quick and full:
        raise ArgumentError("--quick and --full", "exclude each other", "both")
    from unitcircle.experiments.studies import progress_display
    from unitcircle_reproduction import Chapter, Context, write_report
    from unitcircle_reproduction import reproduce as measured

    screen = console()

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    chapters: list[Chapter] = []
    status = 0
    try:
        with progress_display(screen) as on_event:
            context = Context(out, full, workers, seed, say, on_event, records)
            _check_writable(out)
            for so_far in measured(names, context):
                chapters = so_far
    except KeyboardInterrupt:
        say(f"stopped; what has been trained is kept in {out}, run again to go on")
        status = INTERRUPTED
    finally:
        if chapters:
            say(f"report: {write_report(chapters, out, names=names, full=full, seed=seed, records=records)}")
    return status


def _check_writable(folder: Path) -> None:
    """Make the folder and a file in it, for what is measured is hours of work; raise ArgumentError if that fails."""
    from unitcircle.errors import ArgumentError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ArgumentError(
            "--out", "must be a folder that can be written to", f"{folder} ({error.strerror})"
        ) from error
