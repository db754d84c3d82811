"""The monitor as a Keras 3 callback."""

# The signatures are the framework's.
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Unpack

from unitcircle.monitor._callback import MonitorCallback
from unitcircle.monitor._json_lines import Sinks
from unitcircle.monitor._options import WeightOptions
from unitcircle.monitor._record import MonitorRecord, scalars

# Before keras itself: where Keras or its backend is missing, this import's error says what to do.
from unitcircle.monitor._keras_weights import KerasWeights  # isort: skip
from keras.callbacks import Callback  # isort: skip


class KerasCallback(MonitorCallback, Callback):
    """Watch recurrent weights while ``model.fit`` trains, on any backend.

    Keras shows its callbacks no gradients, so only weights are measured, after the optimizer's step. Steps are those of
    the optimizer, ``optimizer.iterations``: with gradient accumulation the batches in between are not counted; with
    ``steps_per_execution`` only the last step of each execution is seen, and ``update`` is the change over the whole
    execution. The loss is the one that Keras reports, its mean over the epoch so far. ``history`` holds what was
    measured, as pairs of step and numbers. Keras does not save the state of callbacks: save :meth:`state_dict` with
    the model, and pass it to :meth:`load_state_dict` before ``fit``.

    Parameters
    ----------
    sinks
        More sinks, as in :class:`Monitor`; none by default.
    **options
        Those of :class:`Monitor` except ``names``, ``batch`` and ``loss``.

    Raises
    ------
    ArgumentError
        An option breaks its rule.

    Examples
    --------
    A model whose weights are watched at every step:

    >>> import keras, numpy as np
    >>> model = keras.Sequential([keras.layers.SimpleRNN(4), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> watch = KerasCallback(every=1, overhead=1.0)
    >>> _ = model.fit(np.zeros((8, 3, 2)), np.zeros((8, 1)), batch_size=4, verbose=0, callbacks=[watch])
    >>> [step for step, numbers in watch.history]
    [0, 1]
    """

    _accepted = WeightOptions.__optional_keys__

    def __init__(self, *, sinks: Sinks = (), **options: Unpack[WeightOptions]) -> None:
        super().__init__(sinks=sinks, **options)
        self._batches, self._batch, self._accumulated = 0, -1, 1
        self.history: list[tuple[int, dict[str, float]]] = []

    def on_train_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Make the monitor, or continue with that of an earlier ``fit``."""
        if self.monitor is None:
            weights = KerasWeights(self._trained_model, self._checked.square_limit)
            self._begin(weights, self._remember)
        self._load()
        self._state, self._stopped = None, False
        # Counted from here on: reading the optimizer's counter at every batch would wait for the device.
        optimizer: Any = self._trained_model().optimizer
        optimizer = getattr(optimizer, "inner_optimizer", optimizer)  # of one that scales the loss
        self._accumulated = optimizer.gradient_accumulation_steps or 1
        self._batches = int(getattr(optimizer, "_iterations", optimizer.iterations * self._accumulated))

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Note that Keras counts batches from 0 again."""
        self._batch = -1

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Measure, if it is time and the weights have changed."""
        before = self._batches // self._accumulated
        self._batches += batch - self._batch
        self._batch = batch
        steps = self._batches // self._accumulated
        if steps == before:
            return
        self._step(steps - 1, (logs or {}).get("loss"))
        if self._stopped:
            self._trained_model().stop_training = True

    def on_train_end(self, logs: Mapping[str, Any] | None = None) -> None:
        """Close the sinks."""
        self._close()

    def _remember(self, record: MonitorRecord, step: int) -> None:
        self.history.append((step, scalars(record)))

    def _trained_model(self) -> Any:
        return self.model
