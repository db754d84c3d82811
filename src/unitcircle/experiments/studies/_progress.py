"""The progress of a study: the events of an execution, and how a terminal or a log shows them."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from unitcircle.experiments.training import Run
from unitcircle.report import duration, progress_bar


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
    """

    ended: int
    failed: int
    left: int
    running: tuple[tuple[Run, ...], ...]
    slots: int
    elapsed: float
    remaining: float

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
    """
    if console.is_terminal:
        bar = progress_bar(console)
        task = bar.add_task("", total=None)
        with Live(Group(bar), console=console, refresh_per_second=4) as live:

            def show(event: Event) -> None:
                now = event.progress
                bar.update(task, total=now.total, completed=now.ended, description=_times(now))
                rows = [Text(f"  {stack_text(stack)}", overflow="ellipsis", no_wrap=True) for stack in now.running]
                live.update(Group(bar, *rows))
                if event.kind in {"lost", "failed"}:
                    console.print(_trouble(event), markup=False, highlight=False)

            yield show
        return
    printed = time.monotonic()

    def log(event: Event) -> None:
        nonlocal printed
        if event.kind in {"lost", "failed"}:
            console.print(_trouble(event), markup=False, highlight=False, soft_wrap=True)
        now = event.progress
        # If there is nothing to do, the line at the end says so.
        first = event.kind == "planned" and now.left > 0
        if first or event.kind == "closed" or time.monotonic() - printed >= every:
            printed = time.monotonic()
            running = "; ".join(stack_text(stack) for stack in now.running)
            line = f"{now.ended} of {now.total} runs, {_times(now)}" + (f"; now {running}" if running else "")
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield log


def stack_text(stack: tuple[Run, ...], /) -> str:
    """Return one line that describes the runs of a stack."""
    run = stack[0]
    names = list(dict.fromkeys(other.recurrent for other in stack))
    count = f"{len(stack)} runs" if len(stack) > 1 else f"seed {run.seed}"
    return f"{run.task} · {run.cell} · rate {run.learning_rate:g} · {count} of {', '.join(names)}"


def _times(now: StudyProgress) -> str:
    failed = f", {now.failed} failed" if now.failed else ""
    if not now.left:
        return f"done in {duration(now.elapsed)}{failed}"
    if not now.slots:
        return f"waiting for workers{failed}"
    if math.isnan(now.remaining):
        return f"time left unknown yet{failed}"
    end = time.strftime("%H:%M", time.localtime(time.time() + now.remaining))
    return f"{duration(now.remaining)} left, until {end}{failed}"


def _trouble(event: Event) -> str:
    reason = event.message.strip().splitlines()[-1] if event.message.strip() else "no reason was given"
    fate = "failed for good" if event.kind == "failed" else "lost, will be tried again alone"
    return f"{stack_text(event.runs)}: {fate}: {reason}"
