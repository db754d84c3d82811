"""The monitor as a Keras 3 callback."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

__all__ = ["KerasCallback"]

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unitcircle.monitor._alarm import TrainingStopped
from unitcircle.monitor._json_lines import Sinks, sinks_of
from unitcircle.monitor._monitor import Monitor
from unitcircle.monitor._options import Options
from unitcircle.monitor._record import Record, scalars

# Its own error says what to do where Keras, or the backend it asks for, is missing.
from unitcircle.monitor._keras_weights import KerasWeights  # isort: skip

if TYPE_CHECKING:
    from keras.callbacks import Callback
else:
    from keras.callbacks import Callback


class KerasCallback(Callback):
    """Watch recurrent weights while ``model.fit`` trains, on any backend.

    Keras shows its callbacks no gradients: what is measured is the weights, after the optimizer's step. The loss is
    Keras's, its mean over the epoch so far. ``history`` holds what was measured, as (step, numbers). Keras saves no
    state of callbacks: save :meth:`state_dict` beside the model, and give it to :meth:`load_state_dict` before ``fit``.

    Parameters
    ----------
    sinks
        Further sinks; none by default.
    square_limit
        Most square weights that are watched besides those of recurrent layers.
    **options
        Of :class:`Monitor`, without ``names``, ``batch`` and ``loss``.
    """

    def __init__(self, *, sinks: Sinks = (), square_limit: int = 16, **options: Any) -> None:
        super().__init__()
        Options.check(options | {"square_limit": square_limit}, without=("names", "batch", "loss"))
        self._sinks, self._square_limit, self._options = sinks_of(sinks), square_limit, options
        self._state: Mapping[str, Any] | None = None
        self.history: list[tuple[int, dict[str, float]]] = []
        self.monitor: Monitor | None = None

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Make the monitor, or go on with the one of an earlier ``fit``."""
        if self.monitor is None:
            weights = KerasWeights(self._read, self._square_limit)
            self.monitor = Monitor(weights, sinks=[self._remember, *self._sinks], **self._options)
        if self._state is not None:
            self.monitor.load_state_dict(self._state)
            self._state = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Measure, if it is time."""
        assert self.monitor is not None
        try:
            self.monitor.step(loss=(logs or {}).get("loss"))
        except TrainingStopped as stopped:
            model: Any = self.model
            model.stop_training = True
            print(f"unitcircle: {stopped}", file=sys.stderr)  # noqa: T201  (why training ends)

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the sinks."""
        if self.monitor is not None:
            self.monitor.close()

    def state_dict(self) -> dict[str, Any]:
        """Return the monitor's state: plain values, and NumPy arrays; empty before a ``fit``."""
        return {} if self.monitor is None else self.monitor.state_dict()

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        """Go on from what :meth:`state_dict` returned, in the next ``fit``."""
        self._state = state or None

    def _remember(self, record: Record, step: int) -> None:
        self.history.append((step, scalars(record)))

    def _read(self) -> Any:
        return self.model
