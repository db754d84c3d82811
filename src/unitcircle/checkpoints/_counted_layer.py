"""A linear recurrence from the parameters of a file, whose room is counted before it is made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitcircle.checkpoints._room import ask, take
from unitcircle.recurrence import RecurrentLayer, from_linear

KEPT, PASSING = 24, 64
"""Bytes of an element of a parameter, of one byte perhaps: that its layer keeps, and that making the layer takes."""


def counted_layer(family: str, parameters: Mapping[str, np.ndarray], /, **options: Any) -> RecurrentLayer:
    """Return the layer of :func:`unitcircle.recurrence.from_linear`; parameters that lie in one place count each."""
    reserve(sum(value.size for value in parameters.values()))
    return from_linear(family, parameters, **options)


def reserve(elements: int, /) -> None:
    """Take the room of a linear recurrence of parameters with so many elements."""
    ask(PASSING * elements, "its linear recurrences")
    take(KEPT * elements, "its linear recurrences")
