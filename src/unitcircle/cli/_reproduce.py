"""``unitcircle reproduce``: the figures and claims of the sources, ours beside theirs."""

from __future__ import annotations

__all__ = ["reproduce"]

from pathlib import Path

from tyro.conf import Positional


def reproduce(
    names: Positional[tuple[str, ...]] = ("all",),
    /,
    *,
    quick: bool = False,
    full: bool = False,
    out: Path = Path("out/reproduce"),
    workers: int | None = None,
    seed: int = 0,
) -> int:
    """Measure every claim of the sources, say whether it holds, and write one HTML page.

    What studies have trained is kept below --out; run again, they go on where they were.

    Args:
        names: Sources by name, or all.
        quick: Ten minutes on two cores for all of them; the default.
        full: What a night, or a GPU, gives.
        out: Folder of the page, its figures and numbers.
        workers: Processes that train; one a core by default.
        seed: Of everything random.

    Returns
    -------
        Exit status.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError

    if quick and full:
        raise ArgumentError("--quick and --full", "exclude each other", "both")
    from unitcircle.experiments.reproduce import Context, write_report
    from unitcircle.experiments.reproduce import reproduce as measured

    say = console().print
    chapters = measured(names, Context(out, full=full, workers=workers, seed=seed, say=say))
    say(f"report: {write_report(chapters, out, full=full, seed=seed)}")
    return 0
