"""The room of a layer, counted before the layer is made: what any takes, and the parameters of a linear recurrence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitcircle.checkpoints._room import ask, take, work
from unitcircle.recurrence import RecurrentLayer, Source, from_linear

KEPT, PASSING = 24, 64
"""Bytes of an element of a parameter, of one byte perhaps: that its layer keeps, and that making the layer takes."""

COST_OF_LAYER, COST_OF_TENSOR, STEPS_OF_LAYER = 2500, 2000, 300
"""Bytes that Python takes for a layer of a few units and for each of its tensors, and steps of work to make it."""


def source_of(file: str, tensors: tuple[str, ...], layout: str = "", dtype: str = "") -> Source:
    """Return where a layer comes from that is made next, and take its room."""
    take(COST_OF_LAYER + COST_OF_TENSOR * len(tensors), "its layers")
    work(STEPS_OF_LAYER, "its layers")
    return Source(file, tensors, layout, dtype)


def counted_layer(family: str, parameters: Mapping[str, np.ndarray], /, **options: Any) -> RecurrentLayer:
    """Return the layer of :func:`unitcircle.recurrence.from_linear`; parameters that lie in one place count each."""
    reserve(sum(value.size for value in parameters.values()))
    return from_linear(family, parameters, **options)


def reserve(elements: int, /) -> None:
    """Take the room of a linear recurrence of parameters with so many elements."""
    ask(PASSING * elements, "its linear recurrences")
    take(KEPT * elements, "its linear recurrences")
