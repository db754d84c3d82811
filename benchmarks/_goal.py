"""A goal of the performance table: what was measured, what bounds it, and whether the goal is met."""

from __future__ import annotations

__all__ = ["Goal", "child", "least_time"]

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks._row import least_time


@dataclass(frozen=True)
class Goal:
    """One line of the table: a ratio of which more is better, or seconds or MiB of which less is."""

    work: str
    value: float
    goal: float
    unit: str
    limit: str
    reason: str = ""

    @property
    def holds(self) -> bool:
        return self.value >= self.goal if self.unit == "x" else self.value <= self.goal

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns: work, measured, goal, limit, met or missed and why."""
        verdict = "met" if self.holds else f"missed: {self.reason or 'no reason known'}"
        sign = "≥" if self.unit == "x" else "≤"
        return (
            self.work,
            f"{self.value:.3g} {self.unit}",
            f"{sign} {self.goal:g} {self.unit}",
            self.limit,
            verdict,
        )

    def __str__(self) -> str:
        return f"| {' | '.join(self.cells)} |"


def child(words: Sequence[str], *, rounds: int = 2, warm: bool = True) -> tuple[float, float]:
    """Return the least processor time (s) of a process, and its most memory (MiB); not of the first if warm."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        "print(used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, done.returncode)\n"
        "sys.stderr.buffer.write(done.stderr[-500:])\n"
    )
    found: list[tuple[float, float]] = []
    for _ in range(rounds + warm):
        run = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True, env=environment
        )
        seconds, mebibytes, status = map(float, run.stdout.split())
        assert status in {0, 1, 3}, run.stderr
        found.append((seconds, mebibytes))
    return min(seconds for seconds, _ in found[warm:]), max(mebibytes for _, mebibytes in found)
