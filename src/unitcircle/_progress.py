"""The one progress display: a bar with the time left, on a terminal and for what takes longer than two seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

DELAY = 2.0
"""Seconds before a bar is shown."""


def progress_bar(console: Console, /, *, transient: bool = False) -> Any:
    """Return a ``rich.progress.Progress`` with bar, count and description, in the look that every command has.

    Returns
    -------
    rich.progress.Progress
        A context manager that draws the bar.

    Examples
    --------
    >>> from rich.console import Console
    >>> with progress_bar(Console(width=60, force_terminal=False), transient=True) as bar:
    ...     task = bar.add_task("draws", total=2)
    ...     bar.advance(task, 2)
    ...     bar.finished
    True
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415  (a person waits for it only on a terminal)

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    return Progress(*columns, console=console, transient=transient)


def duration(seconds: float, /) -> str:
    """Return a duration in words: ``"2 h 05 min"``, ``"1 min 30 s"``, ``"4 s"``.

    Returns
    -------
    str
        The words.

    Examples
    --------
    >>> duration(90)
    '1 min 30 s'
    """
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"


class Progress:
    """The progress of a call: nothing for two seconds, then a bar on the terminal; always nothing in a pipe.

    Parameters
    ----------
    what
        What is counted, in the plural.
    console
        Where it is shown; the standard error by default.
    clock
        Returns the time in seconds.
    """

    def __init__(
        self, what: str, /, *, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._console, self._clock = what, console, clock
        self._begun = clock()
        self._bar: Any = None
        self.total = self.done = 0

    def __enter__(self) -> Progress:
        """Begin; the time counts from the construction."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()

    def expect(self, count: int, /) -> None:
        """Add to the number of parts that are to be done."""
        self.total += count

    def advance(self) -> None:
        """Count one part as done, and show what is left."""
        self.reach(self.done + 1, self.total)

    def reach(self, done: int, total: int, /) -> None:
        """Show how many parts of how many are done: what functions with an argument ``progress`` call."""
        self.done, self.total = done, total
        elapsed = self._clock() - self._begun
        if elapsed < DELAY or not done or not self.is_shown:
            return
        if self._bar is None:
            self._bar = progress_bar(self._on(), transient=True)
            self._task = self._bar.add_task("", total=self.total)
            self._bar.start()
        left = duration(elapsed / self.done * (self.total - self.done))
        self._bar.update(self._task, total=self.total, completed=self.done, description=f"{self._what}, {left} left")

    def reach_bytes(self, done: int, total: int, /) -> None:
        """Show how many MB of how many have arrived; nothing where a server does not say how many there are: 0."""
        if total:
            self.reach(min(done, total) >> 20, total >> 20)

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal to show it on."""
        return sys.stderr.isatty() if self._console is None else self._console.is_terminal

    def _on(self) -> Console:
        if self._console is None:
            from rich.console import Console  # noqa: PLC0415

            self._console = Console(stderr=True)
        return self._console
