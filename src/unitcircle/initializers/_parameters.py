"""Validation of the parameters of a specification."""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable
from math import isfinite
from numbers import Real
from typing import Any, cast

import numpy as np

from unitcircle._arguments import real_number, whole_number
from unitcircle.errors import ArgumentError, UnknownNameError


def number(owner: object, parameter: str, rule: str, holds: Callable[[float], bool]) -> None:
    """Check a finite real parameter of a frozen specification, and make it a plain float."""
    object.__setattr__(owner, parameter, real_number(parameter, getattr(owner, parameter), rule, holds))


def integer(owner: object, parameter: str, *, least: int) -> None:
    """Check an integer parameter of a frozen specification, and make it a plain int."""
    object.__setattr__(owner, parameter, whole_number(parameter, getattr(owner, parameter), least=least))


def law_or_angles(owner: object, parameter: str, laws: tuple[str, ...]) -> None:
    """Check a parameter that is the name of a law, one angle, or a sequence of angles (rad)."""
    value: Any = getattr(owner, parameter)
    if isinstance(value, str):
        if value not in laws:
            raise UnknownNameError(parameter, value, laws)
        return
    if _is_number(value):
        object.__setattr__(owner, parameter, float(value))
        return
    try:
        angles: list[Any] = list(cast("Iterable[Any]", value))
    except TypeError:
        angles = [None]
    if not all(map(_is_number, angles)):
        rule = f"must be one of {', '.join(laws)}, an angle in radians, or a list of angles"
        raise ArgumentError(parameter, rule, reprlib.repr(value))
    object.__setattr__(owner, parameter, tuple(map(float, angles)))


def _is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool | np.bool) and isinstance(value, Real) and isfinite(value)
    except OverflowError:  # an integer beyond the largest float
        return False
