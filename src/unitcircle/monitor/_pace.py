"""When to measure, so that measuring stays within its share of the time."""

from __future__ import annotations

import math
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

MARGIN = 0.95
"""Part of the share that is planned with: a clock inside a call does not measure entering and leaving it."""


@dataclass(frozen=True)
class Cost:
    """What a monitor has cost.

    Attributes
    ----------
    calls
        Optimizer steps seen.
    measurements
        Measurements made.
    seconds
        Time spent measuring.
    share
        ``seconds`` as a share of the time from the first call to the latest; NaN before there is any.
    interval
        Optimizer steps between the last two measurements.
    """

    calls: int
    measurements: int
    seconds: float
    share: float
    interval: int

    def __str__(self) -> str:
        measurements = "1 measurement" if self.measurements == 1 else f"{self.measurements} measurements"
        return (
            f"monitor: {measurements} in {self.calls} steps, {self.seconds:.3g} s, "
            f"{self.share:.2%} of the time; the last interval was {self.interval} steps"
        )


class Pace:
    """Counts steps and decides which are measured."""

    # A step is measured when `every` steps have passed since the last measurement and measuring once more would leave
    # spent ≤ 0.95 · overhead · elapsed. Otherwise it is put off by as many steps as the missing time takes at the mean
    # step so far. A step ahead of the measurement, its weights are copied for `update`; so it is put off there, before
    # that copy is paid for.
    #
    # Half of the share is reserved for rare, expensive measurements, if there are any. Usual measurements would
    # otherwise spend the share as it grows, and a measurement that costs ten times as much would never fit.
    #
    # Only the first measurement exceeds the share: no training time has passed before it.

    def __init__(self, every: int, overhead: float) -> None:
        self.every, self.overhead = every, overhead
        self.calls = self.measurements = 0
        self.spent = 0.0  # Seconds, all together
        self.seldom = 0.0  # Of these, those for what is seldom and those of calls that measure nothing
        self.reserving = False  # Whether something is seldom
        self.due = 0  # Number of the call that is measured next
        self._last = 0  # ... and that was measured last
        self._interval = 0
        self._usual = 0.0  # Seconds of the latest usual measurement, taken for those of the next
        self._before = 0.0  # Seconds that elapsed in sessions before a resume
        self._started: float | None = None
        self._now = 0.0

    def call(self) -> int:
        """Count a step and return its number, from 0."""
        self._now = perf_counter()
        if self._started is None:
            self._started = self._now
        self.calls += 1
        return self.calls - 1

    def end_call(self) -> None:
        """Count the time since :meth:`call` of a step that is not measured."""
        # Counted with the rare measurements, so that it counts against the whole share, but a million short calls do
        # not use up the half for usual measurements.
        now = perf_counter()
        self.spent += now - self._now
        self.seldom += now - self._now
        self._now = now

    @property
    def elapsed(self) -> float:
        """Seconds from the first call to the latest, sessions before a resume included."""
        return self._before + (0.0 if self._started is None else self._now - self._started)

    @property
    def unlimited(self) -> bool:
        """Whether no measurement is put off."""
        return self.overhead >= 1

    @property
    def step_seconds(self) -> float:
        """Mean time of a step of the training alone; 0 before the second call."""
        # Without the monitor's own time: an expensive first measurement would make steps look long, and the wait too
        # short.
        return max(self.elapsed - self.spent, 0.0) / (self.calls - 1) if self.calls > 1 else 0.0

    def affords(self, seconds: float, /) -> bool:
        """Whether a usual measurement and so many seconds more stay within the share."""
        return self.unlimited or self.spent + self._usual + seconds <= MARGIN * self.overhead * self.elapsed

    def put_off(self) -> bool:
        """Whether the next measurement does not fit yet; it is then due later."""
        if self.unlimited or self.measurements == 0:
            return False
        share = MARGIN * self.overhead
        needed = (self.spent + self._usual) / share
        if self.reserving:
            # The longer of two waits: for the whole share, and for the half that usual measurements may take.
            needed = max(needed, (self.spent - self.seldom + self._usual) / (share / 2))
        missing = needed - self.elapsed
        if missing <= 0:
            return False
        # At least a tenth longer than it has waited: otherwise, if steps become faster, this is checked at every step.
        waited = self.due - self._last
        self.due += max(math.ceil(missing / self.step_seconds) if self.step_seconds > 0 else 1, waited // 10, 1)
        return True

    @contextmanager
    def spending(self) -> Generator[None]:
        """Count the time of a ``with`` block."""
        start = perf_counter()
        try:
            yield
        finally:
            # Elapsed time includes it, or a share above 1 could be reported.
            self._now = perf_counter()
            self.spent += self._now - start

    def note(self, seconds: float, seldom: float, /) -> None:
        """Note a measurement at the step that is due, and the part of its time spent on rare measurements."""
        self.seldom += seldom
        # With rare parts it is only an upper bound for a usual measurement.
        if seldom == 0 or self._usual == 0:
            self._usual = seconds - seldom
        self.measurements += 1
        self._interval, self._last = self.due - self._last, self.due
        self.due += self.every

    def cost(self) -> Cost:
        """Return what the monitor has cost so far."""
        share = self.spent / self.elapsed if self.elapsed > 0 else math.nan
        return Cost(self.calls, self.measurements, self.spent, share, self._interval)

    def state_dict(self) -> dict[str, Any]:
        """Return the counters as plain numbers."""
        names = ("calls", "measurements", "spent", "seldom", "reserving", "due", "_last", "_interval", "_usual")
        return {name: getattr(self, name) for name in names} | {"elapsed": self.elapsed}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore the counters that :meth:`state_dict` returned."""
        for name, value in state.items():
            setattr(self, "_before" if name == "elapsed" else name, value)
        # The clock starts again with the next call: the time between two sessions is not training.
        self._started = None
