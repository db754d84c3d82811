"""Handing records to the sinks, none of which may end the training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from unitcircle.monitor._record import Record, Sink


class Delivery:
    """Hands every record to every sink; of one that fails it tells once, and goes on."""

    def __init__(self, sinks: Sequence[Sink]) -> None:
        self._sinks = sinks
        self._failed: set[int] = set()

    def send(self, record: Record, step: int, /) -> list[str]:
        """Hand a record over."""
        return list(self._called(f"at step {step}", lambda sink: sink(record, step)))

    def close(self) -> list[str]:
        """Close the sinks that can be closed; return what to warn of, as :meth:`send` does."""
        return list(self._called("when it was closed", _close))

    def _called(self, when: str, call: Callable[[Sink], Any]) -> Iterator[str]:
        for k, sink in enumerate(self._sinks):
            try:
                call(sink)
            except Exception as error:  # whatever a logger raises, training is worth more
                if k not in self._failed:
                    self._failed.add(k)
                    name = getattr(sink, "__qualname__", type(sink).__qualname__)
                    yield f"the sink {name} failed {when}, and training goes on: {type(error).__name__}: {error}"


def _close(sink: Sink) -> None:
    close: Any = getattr(sink, "close", None)
    if callable(close):
        close()
