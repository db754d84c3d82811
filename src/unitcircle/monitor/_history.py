"""The latest measurements of a run, on which the rules decide."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.diagnosis import Place
from unitcircle.monitor._weights import WeightRole

LENGTH = 32
"""Measurements kept: more than any rule looks back, and few enough for every checkpoint."""


@dataclass(frozen=True, eq=False)
class Series:
    """One number over the latest measurements."""

    steps: np.ndarray  # (k,) optimizer steps
    values: np.ndarray  # (k,)
    first: float  # The first finite value of the run; NaN if there was none

    def __len__(self) -> int:
        return len(self.values)

    @property
    def now(self) -> float:
        """The latest value; NaN where there is none."""
        return float(self.values[-1]) if len(self.values) else math.nan


class History:
    """The latest 32 measurements, and the first value of every number."""

    def __init__(self) -> None:
        self._records: deque[tuple[int, dict[str, float]]] = deque(maxlen=LENGTH)
        self._first: dict[str, float] = {}
        self.places: dict[str, tuple[Place, WeightRole]] = {}

    def add(self, step: int, scalars: Mapping[str, float], places: Mapping[str, tuple[Place, WeightRole]], /) -> None:
        """Append a measurement."""
        self._records.append((step, dict(scalars)))
        self.places = dict(places)
        for name, value in scalars.items():
            if math.isfinite(value):
                self._first.setdefault(name, value)

    @property
    def step(self) -> int:
        """The latest step measured."""
        return self._records[-1][0]

    @property
    def latest(self) -> Mapping[str, float]:
        """The latest numbers."""
        return self._records[-1][1]

    def series(self, name: str, /) -> Series:
        """Return one number over those of the latest measurements that have it."""
        points = [(step, scalars[name]) for step, scalars in self._records if name in scalars]
        steps, values = zip(*points, strict=True) if points else ((), ())
        return Series(np.array(steps, int), np.array(values, float), self._first.get(name, math.nan))

    def blocks(self) -> Iterator[tuple[str, Place, WeightRole]]:
        """Yield the name, the place and the role of every watched block."""
        for name, (place, role) in self.places.items():
            yield name, place, role

    def state_dict(self) -> dict[str, Any]:
        """Return the measurements as plain values."""
        return {"records": [[step, scalars] for step, scalars in self._records], "first": dict(self._first)}

    def load_state_dict(self, state: dict[str, Any], /) -> None:
        """Restore the measurements that :meth:`state_dict` returned."""
        self._records = deque(((step, dict(scalars)) for step, scalars in state["records"]), maxlen=LENGTH)
        self._first = dict(state["first"])
