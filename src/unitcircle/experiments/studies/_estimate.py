"""The expected time of a run, from the times of finished runs."""

from __future__ import annotations

import math
from dataclasses import replace

from unitcircle.experiments.training import Run


class Estimates:
    """Mean seconds of runs that cost the same: equal up to initializers, learning rate, input scale and seed."""

    def __init__(self) -> None:
        self._sums: dict[Run, tuple[float, int]] = {}
        self._kinds: dict[Run, Run] = {}

    def _kind(self, run: Run) -> Run:
        shared = run.stack
        if shared not in self._kinds:
            self._kinds[shared] = replace(shared, learning_rate=1.0, input_scale=1.0)
        return self._kinds[shared]

    def add(self, run: Run, seconds: float, /) -> None:
        """Add the time of one run."""
        if math.isfinite(seconds):
            total, count = self._sums.get(self._kind(run), (0.0, 0))
            self._sums[self._kind(run)] = (total + seconds, count + 1)

    def seconds(self, run: Run, /) -> float:
        """Return the expected seconds of a run; NaN if no run was timed."""
        if (known := self._sums.get(self._kind(run))) is not None:
            total, count = known
            return total / count
        # No run of this kind has ended: the mean time of a step over all others.
        steps = math.fsum(count * kind.steps for kind, (_, count) in self._sums.items())
        return math.fsum(total for total, _ in self._sums.values()) / steps * run.steps if steps else math.nan
