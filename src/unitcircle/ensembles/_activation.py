"""Activations with their derivatives, as functions of NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import special

from unitcircle._arguments import one_of

Function = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An elementwise function and its derivative; every kink is at the origin."""

    function: Function
    derivative: Function
    limit: float
    """``lim E φ(√q z)²/q`` for q → ∞: 0 of a bounded function; the whole curve where φ(ax) = aφ(x) for a > 0."""
    homogeneous: bool = False


def _leaky(slope: float) -> Activation:
    return Activation(
        lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope), (1 + slope**2) / 2, True
    )


def _sigmoid_slope(x: np.ndarray) -> np.ndarray:
    return special.expit(x) * special.expit(-x)


def _gelu_slope(x: np.ndarray) -> np.ndarray:
    return special.ndtr(x) + x * np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


ACTIVATIONS: Mapping[str, Activation] = {
    "tanh": Activation(np.tanh, lambda x: 1 - np.tanh(x) ** 2, 0.0),
    "relu": _leaky(0.0),
    "leaky_relu": _leaky(0.01),
    "sigmoid": Activation(special.expit, _sigmoid_slope, 0.0),
    "gelu": Activation(lambda x: x * special.ndtr(x), _gelu_slope, 0.5),
    "linear": _leaky(1.0),
}
"""Activations by name; the negative slope of ``leaky_relu`` is 0.01."""


def activation_of(name: str, /) -> Activation:
    """Return the activation of a name."""
    return ACTIVATIONS[one_of("activation", name, ACTIVATIONS)]
