"""The progress of a study: the events of an execution, and how a terminal or a log shows them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from unitcircle.experiments.training import Run
from unitcircle.report import duration, progress_bar

SEPARATOR = " · "


@dataclass(frozen=True)
class StudyProgress:
    """How much of a study is done.

    Attributes
    ----------
    ended, failed, left
        Number of runs that have a record, of those among them that failed for good, and of those yet to end.
    running
        The stacks that are being trained: runs trained together.
    slots
        How many stacks can be trained at the same time; 0 until the first worker of a cluster has connected.
    elapsed, remaining
        Seconds since this call began, and until the study is complete; the second is NaN before any run was timed.
    waiting_for
        What runs cannot begin without, such as workers that connect; empty if nothing is missing.
    titles
        Task of a run → its title; a task without one is called by its text.

    Examples
    --------
    >>> progress = StudyProgress(ended=6, failed=1, left=12, running=(), slots=2, elapsed=30.0, remaining=60.0)
    >>> progress.total
    18
    """

    ended: int
    failed: int
    left: int
    running: tuple[tuple[Run, ...], ...]
    slots: int
    elapsed: float
    remaining: float
    waiting_for: str = ""
    titles: Mapping[str, str] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All runs of the study."""
        return self.ended + self.left


@dataclass(frozen=True)
class Event:
    """Something that happened during the execution of a study.

    Attributes
    ----------
    kind
        ``"planned"`` once, ``"started"``, ``"ended"``, ``"lost"`` (to be tried again, alone), ``"failed"`` (for good),
        ``"waiting"`` about once a second, ``"closed"`` at the end, also after an error.
    runs
        The runs concerned.
    message
        Why runs were lost or failed; empty for other kinds.
    progress
        How much of the study is done now.

    Examples
    --------
    What a function passed as ``on_event`` to :func:`execute` gets:

    >>> progress = StudyProgress(ended=6, failed=0, left=0, running=(), slots=2, elapsed=30.0, remaining=0.0)
    >>> event = Event("closed", runs=(), message="", progress=progress)
    >>> f"{event.kind}: {event.progress.ended} of {event.progress.total}"
    'closed: 6 of 6'
    """

    kind: Literal["planned", "started", "ended", "lost", "failed", "waiting", "closed"]
    runs: tuple[Run, ...]
    message: str
    progress: StudyProgress


@contextmanager
def progress_display(console: Console, /, *, every: float = 60.0) -> Generator[Callable[[Event], None]]:
    """Show the progress of a study: a bar with the running stacks on a terminal, a line at intervals elsewhere.

    Parameters
    ----------
    console
        Console to print on.
    every
        Seconds between two lines if the console is not a terminal.

    Yields
    ------
    callable
        Takes an event: the argument ``on_event`` of :func:`execute`.

    Examples
    --------
    >>> from rich.console import Console
    >>> left = StudyProgress(ended=6, failed=0, left=12, running=(), slots=2, elapsed=30.0, remaining=float("nan"))
    >>> with progress_display(Console(width=80, force_terminal=False)) as on_event:  # passed to execute
    ...     on_event(Event("planned", runs=(), message="", progress=left))
    6 of 18 runs, time left unknown yet
    """
    if console.is_terminal:
        bar = progress_bar(console)
        task = bar.add_task("", total=None)
        with Live(Group(bar), console=console, refresh_per_second=4) as live:

            def show(event: Event) -> None:
                now = event.progress
                bar.update(task, total=now.total, completed=now.ended, description=_times(now))
                shared, lines = _running_texts(now)
                rows = [shared] * bool(shared) + [f"  {line}" for line in lines]
                live.update(Group(bar, *(Text(f"  {row}", overflow="ellipsis", no_wrap=True) for row in rows)))
                if event.kind in {"lost", "failed"}:
                    console.print(_trouble(event), markup=False, highlight=False)

            yield show
        return
    printed = time.monotonic()
    said = {""}
    """What was waited for: it is said at once, the first time."""

    def log(event: Event) -> None:
        nonlocal printed
        if event.kind in {"lost", "failed"}:
            console.print(_trouble(event), markup=False, highlight=False, soft_wrap=True)
        now = event.progress
        # If there is nothing to do, the line at the end says so.
        first = event.kind == "planned" and now.left > 0
        news = now.waiting_for not in said
        if first or news or event.kind == "closed" or time.monotonic() - printed >= every:
            printed = time.monotonic()
            said.add(now.waiting_for)
            shared, lines = _running_texts(now)
            running = f"; now {shared}: {'; '.join(lines)}" if lines and shared else f"; now {'; '.join(lines)}"
            line = f"{now.ended} of {now.total} runs, {_times(now)}" + (running if lines else "")
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield log


def _running_texts(now: StudyProgress) -> tuple[str, list[str]]:
    """Return what all running stacks have in common, and a line for each of what distinguishes it."""
    parts = [] if now.waiting_for else [_parts(stack, now.titles) for stack in now.running]
    # Of one stack, all is told in its line.
    shared = [column[0] for column in zip(*parts, strict=True) if len(set(column)) == 1 and len(parts) > 1]
    lines = [SEPARATOR.join(part for part in row if part not in shared) or row[-1] for row in parts]
    return SEPARATOR.join(shared), lines


def _parts(stack: tuple[Run, ...], titles: Mapping[str, str]) -> tuple[str, ...]:
    """Return task, cell, rate, seeds and initializers of the runs of a stack."""
    run = stack[0]
    names = list(dict.fromkeys(other.recurrent for other in stack))
    count = f"{len(stack)} runs" if len(stack) > 1 else f"seed {run.seed}"
    return titles.get(run.task, run.task), run.cell, f"rate {run.learning_rate:g}", f"{count} of {', '.join(names)}"


def _times(now: StudyProgress) -> str:
    failed = f", {now.failed} failed" if now.failed else ""
    if not now.left:
        return f"done in {duration(now.elapsed)}{failed}"
    if now.waiting_for:
        return f"waiting for {now.waiting_for}{failed}"
    if math.isnan(now.remaining):
        return f"time left unknown yet{failed}"
    end = time.strftime("%H:%M", time.localtime(time.time() + now.remaining))
    return f"{duration(now.remaining)} left, until {end}{failed}"


def _trouble(event: Event) -> str:
    reason = event.message.strip().splitlines()[-1] if event.message.strip() else "no reason was given"
    fate = "failed for good" if event.kind == "failed" else "lost, will be tried again alone"
    return f"{SEPARATOR.join(_parts(event.runs, event.progress.titles))}: {fate}: {reason}"
