"""What the callbacks of all frameworks share: options that are checked early, one monitor, its state, and the stop."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Unpack

from unitcircle.errors import TrainingStopped
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._monitor import Monitor
from unitcircle.monitor._options import CheckedOptions, MonitorOptions
from unitcircle.monitor._record import Sink


class MonitorCallback:
    """Base of the callbacks, before the framework's own class."""

    _accepted: ClassVar[Collection[str]] = MonitorOptions.__optional_keys__

    def __init__(self, *, sinks: Sinks = (), **options: Unpack[MonitorOptions]) -> None:
        super().__init__()
        # The monitor is created when training begins; a wrong option should be reported where it is passed.
        self._checked = CheckedOptions(options, accepted=self._accepted)
        self._options, self._sinks = options, sinks_of(sinks)
        self._state: Mapping[str, Any] | None = None
        self._stopped = False
        self.monitor: Monitor | None = None

    def _begin(self, model: Any, sink: Sink) -> Monitor:
        """Create the monitor of a training, which also writes to a sink of the framework."""
        self._stopped = False
        self.monitor = Monitor(model, sinks=[sink, *self._sinks], **self._options)
        return self.monitor

    def _load(self) -> None:
        """Load the state that was given before the monitor existed."""
        if self.monitor is not None and self._state is not None:
            self.monitor.load_state_dict(self._state)

    def _step(self, step: int, loss: Any) -> None:
        """Count a step; a finding that stops the training is printed, because the framework raises nothing."""
        if self.monitor is None:
            return
        try:
            self.monitor.step(step, loss)
        except TrainingStopped as stop:
            self._stopped = True
            print(f"unitcircle: {stop}", file=sys.stderr)  # noqa: T201  (why training ends)

    def _close(self) -> None:
        """Close the sinks."""
        if self.monitor is not None:
            self.monitor.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the monitor; empty before training has begun."""
        return {} if self.monitor is None else self.monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Continue from a state that :meth:`state_dict` returned, once training begins."""
        self._state = state or None
