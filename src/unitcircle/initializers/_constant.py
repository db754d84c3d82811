"""Weights without randomness: zeros, and one constant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._array import Weight, namespace
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros; also for biases.

    Examples
    --------
    >>> Zeros().sample(2)
    array([[0., 0.],
           [0., 0.]])
    """

    name = "zeros"
    aliases = ("zero",)
    elementwise = True
    square = False
    field = "complex"

    def _weight(self, z: Any) -> Any:
        return namespace(z).zeros_like(z)

    def _measure(self, W: Weight) -> Certificate:
        return Certificate("W = 0", float(np.abs(W.value).max()), 0.0)


@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere; also for biases.

    .. math:: W_{ij} = v

    Parameters
    ----------
    value
        v.

    Examples
    --------
    >>> Constant(0.5).sample(2)
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """

    name = "constant"
    elementwise = True
    square = False
    field = "complex"

    value: float = 0.0

    def __post_init__(self) -> None:
        number(self, "value", "must be a finite number", lambda _: True)

    def _weight(self, z: Any) -> Any:
        return namespace(z).zeros_like(z) + self.value

    def _measure(self, W: Weight) -> Certificate:
        scale = abs(self.value) or 1.0
        return Certificate(f"every entry is {self.value:g}", float(np.abs(W.value - self.value).max()) / scale, W.eps)
