"""``unitcircle watch``: a monitored run, in the terminal or as a page."""

from __future__ import annotations

from pathlib import Path
from time import sleep

from tyro.conf import Positional

LONGEST = 1e6
"""Seconds that a process can sleep for, on every system."""


def watch(path: Positional[Path], /, *, html: Path | None = None, once: bool = False, every: float = 1.0) -> int:
    """Show the JSON lines that a monitor writes, and follow the file until Ctrl-C.

    Args:
        path: The file that unitcircle.monitor.JsonLines writes (unitcircle.jsonl by default).
        html: Write one HTML page with curves, findings and the spectrum over time instead, and exit.
        once: Print once and exit; the default if the output is not a terminal.
        every: Seconds between reads of the file.
    """
    from unitcircle.cli._terminal import console
    from unitcircle.errors import ArgumentError
    from unitcircle.monitor import RunFile, watch_page, watch_view

    if not 0 < every < LONGEST:
        raise ArgumentError("--every", f"must be above 0 and below {LONGEST:g} seconds", str(every))
    out = console()
    file = RunFile(path)
    run = file.read()
    if html is not None:
        out.print(f"report: {watch_page(run, html)}")
        return 0
    if once or not out.is_terminal:
        out.print(watch_view(run))
        return 0
    from rich.live import Live

    with Live(watch_view(run), console=out, auto_refresh=False) as live:
        shown = _changed(path)
        try:
            while True:
                sleep(every)
                if (changed := _changed(path)) != shown:
                    shown = changed
                    live.update(watch_view(file.read()), refresh=True)
        except KeyboardInterrupt:
            return 0


def _changed(path: Path) -> int:
    """Return when a file was changed; 0 where it is gone, which reading it says in a sentence."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
