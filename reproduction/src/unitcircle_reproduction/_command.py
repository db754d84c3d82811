"""``unitcircle reproduce``: the figures and claims of the texts, measured again."""

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
    """Measure the claims of the texts, judge whether each holds, and write one HTML page.

    Training runs are stored below --out, and the same command resumes them. The page is written after every claim:
    however the command ends, it holds the claims measured so far.

    Args:
        names: Texts (radius, orthogonal, powers, eigen, well-behaved, prediction), sections of them such as
            eigen/multi30k, or all.
        quick: Small settings, minutes on two cores for all texts; used unless --full is given.
        full: Full settings, for a night on two cores or a GPU.
        out: Folder for the page, its figures and its numbers.
        workers: Number of processes that train; one per core by default.
        seed: Seed of everything random, from 0 to 99; different seeds share no random numbers.
        records: Folders of finished studies, such as out/studies/prediction; used by the text prediction only.

    Returns
    -------
        Exit status.
    """
    from unitcircle.cli import console, terminated_as_interrupted
    from unitcircle.errors import ArgumentError

    if quick and full:
        raise ArgumentError("--quick and --full", "exclude each other", "both")
    import unitcircle_reproduction as package
    from unitcircle.experiments.studies import progress_display

    screen = console()

    def say(line: str) -> None:
        screen.print(line, soft_wrap=True)

    path: Path | None = None
    drawn: dict[package.Claim, tuple[object, ...]] = {}
    measured: list[package.Chapter] = []
    written: list[package.Chapter] = []

    def write() -> Path:
        return package.write_report(measured, out, names=names, full=full, seed=seed, records=records, drawn=drawn)

    status = 0
    try:
        with terminated_as_interrupted(), progress_display(screen) as on_event:
            context = package.Context(out, full, workers, seed, say, on_event, records)
            _check_writable(out)
            for measured in package.reproduce(names, context):
                path = write()
                written = measured
    except KeyboardInterrupt:
        if measured and measured is not written:  # the claim was said, and its page was being written
            path = write()
        kept = f"what has been measured is kept in {out}" if path else "no claim had been measured"
        say(f"stopped; {kept}, run again to go on")
        status = INTERRUPTED
    finally:
        if path:
            say(f"report: {path}")
    return status


def _check_writable(folder: Path) -> None:
    """Make the folder and a file in it before hours of work; raise ArgumentError if that fails."""
    from unitcircle.errors import ArgumentError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise ArgumentError(
            "--out", "must be a folder that can be written to", f"{folder} ({error.strerror})"
        ) from error
