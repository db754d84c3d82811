"""Validation of the parameters of a specification."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import isfinite
from numbers import Integral, Real
from typing import Any, cast

from unitcircle.errors import ArgumentError, UnknownNameError


def number(owner: object, parameter: str, rule: str, holds: Callable[[float], bool]) -> None:
    """Check a finite real parameter of a frozen specification, and make it a plain float."""
    value: Any = getattr(owner, parameter)
    if not _is_number(value) or not holds(float(value)):
        raise ArgumentError(parameter, rule, repr(value))
    object.__setattr__(owner, parameter, float(value))


def integer(owner: object, parameter: str, *, least: int) -> None:
    """Check an integer parameter of a frozen specification, and make it a plain int."""
    value: Any = getattr(owner, parameter)
    if type(value) is bool or not isinstance(value, Integral) or value < least:
        raise ArgumentError(parameter, f"must be an integer, at least {least}", repr(value))
    object.__setattr__(owner, parameter, int(value))


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
    angles = list(cast("Iterable[Any]", value)) if isinstance(value, Iterable) else []
    if not isinstance(value, Iterable) or not all(map(_is_number, angles)):
        rule = f"must be one of {', '.join(laws)}, an angle in radians, or a list of angles"
        raise ArgumentError(parameter, rule, repr(value))
    object.__setattr__(owner, parameter, tuple(map(float, angles)))


def _is_number(value: Any) -> bool:
    return type(value) is not bool and isinstance(value, Real) and isfinite(value)
