"""The options of a monitor: their types, and their defaults and checks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from numbers import Real
from operator import index
from typing import Any, TypedDict, cast

import numpy as np

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.monitor._finding_reporter import FindingReporter, OnFinding
from unitcircle.monitor._measurement import METRICS


class WeightOptions(TypedDict, total=False):
    """Options of a monitor that sees weights but no module: see :class:`Monitor`."""

    every: int
    metrics: Sequence[str] | str
    square_limit: int
    overhead: float
    rng: np.random.Generator | int
    rules: Sequence[str] | str
    on_finding: OnFinding


class MonitorOptions(WeightOptions, total=False):
    """Options of a :class:`Monitor`, which describes them.

    Examples
    --------
    >>> from unitcircle.monitor import Monitor
    >>> options: MonitorOptions = {"every": 50, "overhead": 0.02, "on_finding": "stop"}
    >>> monitor = Monitor(lambda: {"W": [[0.5]]}, sinks=(), **options)
    """

    names: Sequence[str] | str
    batch: Any
    loss: Callable[..., Any] | None


class CheckedOptions:
    """Options with their defaults: a single string becomes a tuple, a seed a generator."""

    def __init__(
        self, options: Mapping[str, Any], /, *, accepted: Collection[str] = MonitorOptions.__optional_keys__
    ) -> None:
        for name in options:
            if name not in accepted:
                raise UnknownNameError("options", name, accepted)
        self.every = _count("every", options.get("every", 100), 1, "must be a positive number of steps")
        self.metrics = _texts("metrics", options.get("metrics", METRICS))
        self.names = _texts("names", options.get("names", ()))
        self.square_limit = _count("square_limit", options.get("square_limit", 16), 0, "must be a number of weights")
        self.batch: Any = options.get("batch")
        self.loss: Callable[..., Any] | None = options.get("loss")
        self.overhead: float = options.get("overhead", 0.01)
        self.rng = _generator(options.get("rng", 0))
        self.reporter = FindingReporter(options.get("on_finding", "warn"), _texts("rules", options.get("rules", ())))
        self.stops = options.get("on_finding") == "stop"
        for name in self.metrics:
            if name not in METRICS:
                raise UnknownNameError("metrics", name, METRICS)
        if not isinstance(cast("object", self.overhead), Real) or not 0 < self.overhead <= 1:
            raise ArgumentError("overhead", "must be a share of the time, in (0, 1]", repr(self.overhead))
        if self.loss is not None and not callable(self.loss):
            remedy = "Pass the loss of a step to monitor.step(loss=loss)."
            raise ArgumentError("loss", "must be a function, the loss of batch=", type(self.loss).__name__, remedy)


def _count(name: str, value: Any, least: int, rule: str) -> int:
    try:
        count = index(value)
    except TypeError:
        count = None
    if count is None or count < least:
        raise ArgumentError(name, rule, repr(value))
    return count


def _generator(rng: Any) -> np.random.Generator:
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise ArgumentError("rng", "must be a NumPy Generator or a seed, 0 or more", repr(rng)) from error


def _texts(name: str, value: Any) -> tuple[str, ...]:
    several: Any = (value,) if isinstance(value, str) else value
    texts = tuple(several) if isinstance(several, Iterable) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise ArgumentError(name, "must be a string or several", repr(value))
    return cast("tuple[str, ...]", texts)
