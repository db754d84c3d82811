"""The sinks of a monitor, none of which may end the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unitcircle.monitor._record import MonitorRecord, Sink


class SinkGroup:
    """Passes every record to every sink; reports the first failure of each, and continues."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._failed: set[int] = set()

    def send(self, record: MonitorRecord, step: int, /) -> list[str]:
        """Pass a record to every sink; return the warnings."""
        return list(self._failures(f"at step {step}", lambda sink: sink(record, step)))

    def close(self) -> list[str]:
        """Close the sinks that can be closed; return the warnings."""
        return list(self._failures("when it was closed", _close))

    def _failures(self, when: str, call: Callable[[Sink], Any]) -> Iterator[str]:
        for k, sink in enumerate(self._sinks):
            try:
                call(sink)
            except Exception as error:  # whatever a logger raises, training is worth more
                if k not in self._failed:
                    self._failed.add(k)
                    name = getattr(sink, "__qualname__", type(sink).__qualname__)
                    yield f"the sink {name} failed {when}; training continues: {type(error).__name__}: {error}"


def _close(sink: Sink) -> None:
    close: Any = getattr(sink, "close", None)
    if callable(close):
        close()
