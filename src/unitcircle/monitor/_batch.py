"""Measurements on the batch of a monitor: rare, and an error in a later one does not stop the training."""

from __future__ import annotations

from collections.abc import Callable, Collection
from time import perf_counter
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.monitor._frame_schedule import is_frame
from unitcircle.monitor._record import MonitorRecord
from unitcircle.monitor._weights import Weights

BATCH_METRICS = frozenset({"flow", "exponent", "states"})


class BatchMeter:
    """Measures the dynamics of a model on a batch."""

    def __init__(self, weights: Weights, batch: Any, loss: Callable[..., Any] | None, metrics: Collection[str]) -> None:
        self._weights, self._batch, self._loss = weights, batch, loss
        self._metrics = BATCH_METRICS & frozenset(metrics)
        self._failed = False
        self.samples = 0

    @property
    def is_used(self) -> bool:
        """Whether there is a batch, and something to measure on it."""
        return self._batch is not None and bool(self._metrics)

    def measure(self, *, first: bool) -> tuple[MonitorRecord, float, list[str]]:
        """Return numbers and curves for the record, the seconds spent, and warnings."""
        start = perf_counter()
        try:
            batch = self._batch() if callable(self._batch) else self._batch
            dynamics = self._weights.sample(batch, self._loss, self._metrics)
        except Exception as error:
            cause = f"{type(error).__name__}: {error}".removesuffix(".")
            # At the first measurement an error is a wrong argument; later it must not end a long training.
            if first:
                rule = "must be a batch that the model and loss= take, or a function that returns one"
                raise ArgumentError("batch", rule, cause) from error
            failures = [] if self._failed else [f"the batch could not be measured; training continues: {cause}"]
            self._failed = True
            return {}, perf_counter() - start, failures
        record: MonitorRecord = dict(dynamics.scalars)
        if dynamics.by_lag and is_frame(self.samples):
            record["gradient_by_lag"] = dynamics.by_lag
        self.samples += 1
        for layer, curve in dynamics.by_lag.items():
            # From the shortest lag that the loss reaches to the start of the sequence (nats).
            reached = curve[np.isfinite(curve)]
            if len(reached):
                record[f"{layer}/gradient_reach"] = float(curve[~np.isnan(curve)][-1] - reached[0])
        return record, perf_counter() - start, []
