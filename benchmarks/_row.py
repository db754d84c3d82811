"""One claim of speed, measured: a baseline and ours, side by side."""

from __future__ import annotations

__all__ = ["Row", "best_of", "least_time"]

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, process_time


@dataclass(frozen=True)
class Row:
    """A claim, ours against its baseline (seconds), and the ratio it promises."""

    claim: str
    baseline: str
    ours: str
    baseline_s: float
    ours_s: float
    at_least: float

    @property
    def ratio(self) -> float:
        return self.baseline_s / self.ours_s

    @property
    def holds(self) -> bool:
        return self.ratio >= self.at_least

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "MISSED"
        return (
            f"  {self.claim}: {self.ratio:.3g} x (claimed {self.at_least:g} x, {verdict})\n"
            f"    {1e3 * self.baseline_s:12.3f} ms  {self.baseline}\n"
            f"    {1e3 * self.ours_s:12.3f} ms  {self.ours}"
        )


def best_of(repeat: int, *functions: Callable[[], object]) -> list[float]:
    """The shortest time (s) of each function, their runs taken in turns so that load falls on all alike."""
    best = [float("inf")] * len(functions)
    for round_ in range(repeat + 1):
        for index, function in enumerate(functions):
            start = perf_counter()
            function()
            # The first round warms caches and thread pools.
            if round_:
                best[index] = min(best[index], perf_counter() - start)
    return best


def least_time(repeat: int, *functions: Callable[[], object]) -> list[float]:
    """The least processor time (s) of each function, which other processes hardly change; the runs are taken in turns.

    A function is called so often in a round that the round takes about a tenth of a second.
    """
    least, calls = [float("inf")] * len(functions), [1] * len(functions)
    for round_ in range(repeat + 1):
        for index, function in enumerate(functions):
            start = process_time()
            for _ in range(calls[index]):
                function()
            each = (process_time() - start) / calls[index]
            if round_:
                least[index] = min(least[index], each)
            else:  # it warms caches
                calls[index] = max(1, round(0.1 / max(each, 1e-6)))
    return least
