"""The options of a monitor, checked when they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from operator import index
from typing import Any, cast

import numpy as np

from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.monitor._alarm import Alarm, OnFinding
from unitcircle.monitor._measurement import GROUPS


@dataclass(kw_only=True)
class Options:
    """What a monitor is told besides its model and its sinks: see :class:`Monitor`."""

    # A text that stands for one of several is made a tuple, a seed a generator.

    every: int = 100
    metrics: Iterable[str] | str = GROUPS
    names: Iterable[str] | str = ()
    square_limit: int = 16
    batch: Any = None
    loss: Callable[..., Any] | None = None
    overhead: float = 0.01
    rng: np.random.Generator | int = 0
    rules: Iterable[str] | str = ()
    on_finding: OnFinding = "warn"

    def __post_init__(self) -> None:
        self.every = _count("every", self.every, 1, "must be a positive number of steps")
        self.square_limit = _count("square_limit", self.square_limit, 0, "must be a number of weights")
        if not isinstance(self.overhead, Real) or not 0 < self.overhead <= 1:
            raise ArgumentError("overhead", "must be a share of the time, in (0, 1]", repr(self.overhead))
        if self.loss is not None and not callable(self.loss):
            remedy = "The loss of a step is given to monitor.step(loss=loss)."
            raise ArgumentError("loss", "must be a function, the loss of batch=", type(self.loss).__name__, remedy)
        self.metrics, self.names, self.rules = (
            _texts(name, getattr(self, name)) for name in ("metrics", "names", "rules")
        )
        for name in self.metrics:
            if name not in GROUPS:
                raise UnknownNameError("metrics", name, GROUPS)
        try:
            self.rng = np.random.default_rng(self.rng)
        except (TypeError, ValueError) as error:
            raise ArgumentError("rng", "must be a NumPy Generator or a seed, 0 or more", repr(self.rng)) from error
        Alarm(self.on_finding, self.rules)

    @classmethod
    def check(cls, given: Mapping[str, Any], /, *, without: Iterable[str] = ()) -> None:
        """Check options that are used later, so that a mistake shows where it is made."""
        known = [field.name for field in fields(cls) if field.name not in without]
        for name in given:
            if name not in known:
                raise UnknownNameError("options", name, known)
        cls(**given)


def _count(name: str, value: Any, least: int, rule: str) -> int:
    try:
        count = index(value)
    except TypeError:
        count = None
    if count is None or count < least:
        raise ArgumentError(name, rule, repr(value))
    return count


def _texts(name: str, value: Any) -> tuple[str, ...]:
    several: Any = (value,) if isinstance(value, str) else value
    texts = tuple(several) if isinstance(several, Iterable) else (None,)
    if not all(isinstance(text, str) for text in texts):
        raise ArgumentError(name, "must be a text or several", repr(value))
    return cast("tuple[str, ...]", texts)
