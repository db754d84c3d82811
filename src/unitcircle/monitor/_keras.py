"""The monitor as a Keras 3 callback."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

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

    Keras shows its callbacks no gradients: what is measured is the weights, after the optimizer's step. Steps are those
    of the optimizer, ``optimizer.iterations``: with gradient accumulation the batches between are not counted, and with
    ``steps_per_execution`` the last step of each execution is seen, ``update`` being that of the whole execution. The
    loss is Keras's, its mean over the epoch so far. ``history`` holds what was measured, as (step, numbers). Keras
    saves no state of callbacks: save :meth:`state_dict` beside the model, and give it to :meth:`load_state_dict` before
    ``fit``.

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
        self._batches, self._batch, self._accumulated = 0, -1, 1
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
        # Counted from here on: reading them at every batch would wait for the device.
        optimizer: Any = self._read().optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
        self._accumulated = optimizer.gradient_accumulation_steps or 1
        self._batches = int(getattr(optimizer, "_iterations", optimizer.iterations * self._accumulated))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note that Keras counts batches from 0 again."""
        self._batch = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Measure, if it is time and the weights have changed."""
        assert self.monitor is not None
        before = self._batches // self._accumulated
        self._batches += batch - self._batch
        self._batch = batch
        done = self._batches // self._accumulated
        if done == before:
            return
        try:
            self.monitor.step(done - 1, (logs or {}).get("loss"))
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
