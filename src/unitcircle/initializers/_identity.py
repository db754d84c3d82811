"""Multiples of the identity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._array import Weight
from unitcircle.initializers._banded import identity
from unitcircle.initializers._certificate import Certificate
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number


@dataclass(frozen=True)
class Identity(Initializer):
    """A multiple of the identity, the IRNN initialization.

    .. math:: W = s I

    Every eigenvalue is s; a rectangular weight has ones on its main diagonal. The IRNN pairs it with ReLU and zero
    biases; the source uses a small scale (0.01) for tasks that need only short memory.

    Parameters
    ----------
    scale
        s.

    References
    ----------
    Q. V. Le, N. Jaitly, G. E. Hinton, "A simple way to initialize recurrent networks of rectified linear units",
    arXiv 1504.00941 (2015).

    Examples
    --------
    >>> Identity(scale=0.5).sample(2)
    array([[0.5, 0. ],
           [0. , 0.5]])
    """

    name = "identity"
    aliases = ("irnn", "eye")
    square = False
    field = "complex"

    scale: float = 1.0

    def __post_init__(self) -> None:
        number(self, "scale", "must be a finite number", lambda _: True)

    def _weight(self, z: Any) -> Any:
        return self.scale * identity(z)

    def _measure(self, W: Weight) -> Certificate:
        distance = np.abs(W.value - self.scale * np.eye(*W.value.shape[-2:])).max()
        return Certificate(f"W = {self.scale:g} I", float(distance) / (abs(self.scale) or 1.0), W.eps)
