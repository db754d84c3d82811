"""Checks of numbers and seeds that a caller passes: one rule and one message for all functions."""

from __future__ import annotations

import operator
import reprlib
from collections.abc import Callable, Collection
from math import isfinite
from numbers import Real
from typing import Any

import numpy as np

from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError


def whole_number(argument: str, value: Any, /, *, least: int = 1, error: type[ArgumentError] = ArgumentError) -> int:
    """Return a whole number that is at least ``least`` and fits 64 bits, as a plain integer; a bool is none."""
    try:
        # Older NumPy warns of its bool as an index before it is refused here.
        number = least - 1 if isinstance(value, bool | np.bool) else operator.index(value)
    except Exception as wrong:  # an array library raises what it likes
        raise error(argument, f"must be a whole number, at least {least}", reprlib.repr(value)) from wrong
    if not least <= number < 2**48:
        rule = f"must be a whole number, at least {least}" + (" and below 2**48" if number >= 2**48 else "")
        raise error(argument, rule, reprlib.repr(value))
    return number


def shape(argument: str, value: Any, /) -> tuple[int, ...] | None:
    """Return the shape of a result: a whole number, several of them, or None for one number."""
    sides = value if isinstance(value, tuple | list) else () if value is None else (value,)
    return None if value is None else tuple(whole_number(argument, side, least=0, error=ShapeError) for side in sides)


def real_number(argument: str, value: Any, rule: str, holds: Callable[[float], bool], /) -> float:
    """Return a finite real number for which the rule holds, as a plain float; a bool is none."""
    try:
        number = float(value) if isinstance(value, Real) and not isinstance(value, bool | np.bool) else float("nan")
    except OverflowError:
        number = float("inf")
    if not isfinite(number) or not holds(number):
        raise ArgumentError(argument, rule, reprlib.repr(value))
    return number


def positive(argument: str, value: Any, /) -> float:
    """Return a positive finite number, as a plain float."""
    return real_number(argument, value, "must be a positive finite number", lambda number: number > 0)


def generator(rng: Any, /, *, argument: str = "rng") -> np.random.Generator:
    """Return a generator, or that of a seed."""
    try:
        seed: Any = str(rng) if isinstance(rng, bool | np.bool) else rng  # no seed, though NumPy takes it
        return np.random.default_rng(seed)
    except (TypeError, ValueError) as error:
        rule = "must be a numpy.random.Generator, or a seed that is not negative"
        raise ArgumentError(argument, rule, reprlib.repr(rng)) from error


def one_of(argument: str, name: Any, choices: Collection[str], /) -> Any:
    """Return a name that is among the choices."""
    if not isinstance(name, str) or name not in choices:
        raise UnknownNameError(argument, name, choices)
    return name
