"""How long a run takes, from those that have ended."""

from __future__ import annotations

import math
from dataclasses import replace

from unitcircle.experiments.training import Run


class Estimates:
    """Mean seconds of a run by what it costs: everything but initializers, learning rate and seed."""

    def __init__(self) -> None:
        self._sums: dict[Run, tuple[float, int]] = {}
        self._kinds: dict[Run, Run] = {}

    def _kind(self, run: Run) -> Run:
        shared = run.stack
        if shared not in self._kinds:
            self._kinds[shared] = replace(shared, learning_rate=1.0, input_scale=1.0)
        return self._kinds[shared]

    def add(self, run: Run, seconds: float, /) -> None:
        """Take in the time of one run."""
        if math.isfinite(seconds):
            total, count = self._sums.get(self._kind(run), (0.0, 0))
            self._sums[self._kind(run)] = (total + seconds, count + 1)

    def seconds(self, run: Run, /) -> float:
        """Return the expected seconds of a run."""
        if (found := self._sums.get(self._kind(run))) is not None:
            return found[0] / found[1]
        steps = math.fsum(count * kind.steps for kind, (_, count) in self._sums.items())
        return math.fsum(total for total, _ in self._sums.values()) / steps * run.steps if steps else math.nan
