"""How far a study has come: what its engine tells, and how a terminal or a log shows it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.text import Text

from unitcircle.experiments.training import Run


@dataclass(frozen=True)
class Progress:
    """Where a study is."""

    # ended, failed, left: Number of runs that have a record, those of them that failed for good, and those that
    # are yet to end.
    ended: int
    failed: int
    left: int
    running: tuple[tuple[Run, ...], ...]  # The stacks in flight
    slots: int  # How many can be; 0 while no worker of a cluster has come
    # elapsed, remaining: Seconds since this call began and until the study will be complete; NaN before any run
    # was timed.
    elapsed: float
    remaining: float

    @property
    def total(self) -> int:
        """All runs of the study."""
        return self.ended + self.left


@dataclass(frozen=True)
class Event:
    """What has just happened.

    Attributes
    ----------
    kind
        ``"planned"`` once, ``"started"``, ``"ended"``, ``"lost"`` (to be tried again, alone), ``"failed"`` (for good),
        ``"waiting"`` about once a second, ``"closed"`` at the end, however it comes.
    runs
        Which it has happened to.
    message
        Why, of what was lost or failed.
    progress
        Where the study is now.
    """

    kind: Literal["planned", "started", "ended", "lost", "failed", "waiting", "closed"]
    runs: tuple[Run, ...]
    message: str
    progress: Progress


@contextmanager
def progress_display(console: Console, /, *, every: float = 15.0) -> Generator[Callable[[Event], None]]:
    """Show the progress of a study: a bar and what runs on a terminal, a line now and then elsewhere.

    Parameters
    ----------
    console
        Where to.
    every
        Seconds between two lines where the console is no terminal.

    Yields
    ------
    callable
        To be given every event.
    """
    if console.is_terminal:
        bar = Bar(BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"), console=console)
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
    last = time.monotonic()

    def tell(event: Event) -> None:
        nonlocal last
        if event.kind in {"lost", "failed"}:
            console.print(_trouble(event), markup=False, highlight=False, soft_wrap=True)
        now = event.progress
        # Where there is nothing to do, the line at the end says so.
        first = event.kind == "planned" and now.left > 0
        if first or event.kind == "closed" or time.monotonic() - last >= every:
            last = time.monotonic()
            running = "; ".join(stack_text(stack) for stack in now.running)
            line = f"{now.ended} of {now.total} runs, {_times(now)}" + (f"; now {running}" if running else "")
            console.print(line, markup=False, highlight=False, soft_wrap=True)

    yield tell


def stack_text(stack: tuple[Run, ...], /) -> str:
    """Return one line that tells which runs are trained together."""
    run = stack[0]
    names = list(dict.fromkeys(other.recurrent for other in stack))
    many = f"{len(stack)} runs" if len(stack) > 1 else f"seed {run.seed}"
    return f"{run.task} · {run.cell} · rate {run.learning_rate:g} · {many} of {', '.join(names)}"


def _times(now: Progress) -> str:
    failed = f", {now.failed} failed" if now.failed else ""
    if not now.left:
        return f"done in {_duration(now.elapsed)}{failed}"
    if not now.slots:
        return f"waiting for workers{failed}"
    if math.isnan(now.remaining):
        return f"time left unknown yet{failed}"
    end = time.strftime("%H:%M", time.localtime(time.time() + now.remaining))
    return f"{_duration(now.remaining)} left, until {end}{failed}"


def _trouble(event: Event) -> str:
    last = event.message.strip().splitlines()[-1] if event.message.strip() else "no reason was given"
    what = "failed for good" if event.kind == "failed" else "lost, will be tried again alone"
    return f"{stack_text(event.runs)}: {what}: {last}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {seconds:02} s" if minutes else f"{seconds} s"
