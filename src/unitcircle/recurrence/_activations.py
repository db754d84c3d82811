"""Activation functions with their derivatives, by the names that frameworks give them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from unitcircle.errors import UnknownNameError

Elementwise = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Activation:
    """An elementwise function φ and its derivative φ′."""

    value: Elementwise
    slope: Elementwise


def _expit(x: np.ndarray) -> np.ndarray:
    """Return the logistic function, without overflow and to full relative precision on both sides."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def _expit_slope(x: np.ndarray) -> np.ndarray:
    """Return the derivative of the logistic function, to full relative precision on both sides."""
    small = np.exp(-np.abs(x))
    return small / (1.0 + small) ** 2


def _affine(slope: float = 1.0, offset: float = 0.0) -> Activation:
    return Activation(lambda x: slope * x + offset, lambda x: np.full_like(x, slope))


def _hard_sigmoid(slope: float = 0.2, offset: float = 0.5) -> Activation:
    return Activation(
        lambda x: np.clip(slope * x + offset, 0.0, 1.0),
        lambda x: np.where(np.abs(slope * x + offset - 0.5) < 0.5, slope, 0.0),
    )


def _leaky_relu(slope: float = 0.01) -> Activation:
    return Activation(lambda x: np.where(x > 0, x, slope * x), lambda x: np.where(x > 0, 1.0, slope))


def _scaled_tanh(scale: float = 1.0, slope: float = 1.0) -> Activation:
    return Activation(lambda x: scale * np.tanh(slope * x), lambda x: scale * slope * (1.0 - np.tanh(slope * x) ** 2))


def _thresholded_relu(threshold: float = 1.0) -> Activation:
    return Activation(lambda x: np.where(x > threshold, x, 0.0), lambda x: np.where(x > threshold, 1.0, 0.0))


def _exponential_unit(alpha: float = 1.0, scale: float = 1.0) -> Activation:
    # The exponential of a large positive number would overflow in the branch that is not taken.
    return Activation(
        lambda x: scale * np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0))),
        lambda x: scale * np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0.0))),
    )


def _gauss(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


def _normal(x: np.ndarray) -> np.ndarray:
    # Importing scipy.special takes longer than reading a file, and a GELU recurrence is rare.
    from scipy.special import erf  # noqa: PLC0415

    return 0.5 * (1.0 + erf(x / np.sqrt(2)))


_GELU, _CUBIC = float(np.sqrt(2 / np.pi)), 0.044715


def _tanh_gate(x: np.ndarray) -> np.ndarray:
    """Return the approximation to the normal distribution in the GELU of JAX."""
    return _expit(2 * _GELU * (x + _CUBIC * x**3))


ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    "sigmoid": Activation(_expit, _expit_slope),
    "relu": Activation(lambda x: np.maximum(x, 0.0), lambda x: np.where(x > 0, 1.0, 0.0)),
    "linear": Activation(lambda x: x, np.ones_like),
    "hard_sigmoid": _hard_sigmoid(),
    "hard_sigmoid6": _hard_sigmoid(1.0 / 6.0),
    "elu": _exponential_unit(),
    "selu": _exponential_unit(1.6732632423543772, 1.0507009873554805),
    "leaky_relu": _leaky_relu(),
    "softplus": Activation(lambda x: np.logaddexp(x, 0.0), _expit),
    "softsign": Activation(lambda x: x / (1.0 + np.abs(x)), lambda x: (1.0 + np.abs(x)) ** -2),
    "silu": Activation(lambda x: x * _expit(x), lambda x: _expit(x) * (1.0 + x * _expit(-x))),
    "gelu": Activation(lambda x: x * _normal(x), lambda x: _normal(x) + x * _gauss(x)),
    "gelu_tanh": Activation(
        lambda x: x * _tanh_gate(x),
        lambda x: _tanh_gate(x) + 2 * x * _tanh_gate(x) * _tanh_gate(-x) * _GELU * (1.0 + 3 * _CUBIC * x * x),
    ),
    "sin": Activation(np.sin, np.cos),
}
"""Every activation by name. ``hard_sigmoid`` has slope 1/5 (Keras 1 and 2, ONNX), ``hard_sigmoid6`` slope 1/6
(torch, Keras 3, JAX). ``gelu`` is exact (torch, Keras), ``gelu_tanh`` its approximation (JAX)."""

_FAMILIES: dict[str, Callable[..., Activation]] = {
    "affine": _affine,
    "elu": _exponential_unit,
    "hard_sigmoid": _hard_sigmoid,
    "leaky_relu": _leaky_relu,
    "scaled_tanh": _scaled_tanh,
    "thresholded_relu": _thresholded_relu,
}
"""Activations with constants: ``"leaky_relu(0.2)"``."""

_ALIASES = {
    "affine": "linear",
    "hardsigmoid": "hard_sigmoid",
    "identity": "linear",
    "leakyrelu": "leaky_relu",
    "none": "linear",
    "swish": "silu",
}


def activation(name: str, /) -> Activation:
    """Return an activation by its name.

    Parameters
    ----------
    name
        A key of :data:`ACTIVATIONS`, or a framework's spelling of one: ``"Tanh"``, ``"HardSigmoid"``, ``"swish"``.
        Constants may follow: ``"affine(slope, offset)"``, ``"elu(alpha)"``, ``"hard_sigmoid(slope, offset)"``,
        ``"leaky_relu(slope)"``, ``"scaled_tanh(scale, slope)"``, ``"thresholded_relu(threshold)"``.

    Returns
    -------
    Activation
        The function and its derivative.

    Raises
    ------
    UnknownNameError
        Unknown activation; the message lists the known ones.

    Examples
    --------
    >>> activation("relu").value(np.array([-1.0, 2.0]))
    array([0., 2.])
    """
    lower = name.lower()
    lower = _ALIASES.get(lower, lower)
    family, _, constants = lower.removesuffix(")").partition("(")
    if constants and lower.endswith(")") and (make := _FAMILIES.get(family)) is not None:
        with suppress(ValueError, TypeError):
            return make(*map(float, constants.split(",")))
    if lower not in ACTIVATIONS:
        raise UnknownNameError("activation", name, ACTIVATIONS)
    return ACTIVATIONS[lower]


def is_known_activation(name: str, /) -> bool:
    """Return whether :func:`activation` has a function of this name.

    Parameters
    ----------
    name
        A name in any framework's spelling.

    Returns
    -------
    bool
        Whether it is known.

    Examples
    --------
    >>> is_known_activation("tanh"), is_known_activation("magic")
    (True, False)
    """
    try:
        activation(name)
    except UnknownNameError:
        return False
    return True


_GRID = np.concatenate([np.linspace(-9.0, 9.0, 73), [-1e-3, 1e-3]])
"""Where functions are compared: beyond every bend of those that are known, and close to 0."""
_CLOSE = 2e-6
"""Difference of two functions, relative where they exceed 1, up to which they are the same in single precision."""


def activation_like(function: Elementwise, /) -> str | None:
    """Return the name under which :func:`activation` has a function, told by its values and not by its own name.

    Parameters
    ----------
    function
        An elementwise function of arrays, of any framework.

    Returns
    -------
    str or None
        A name, with constants where it needs some: ``"leaky_relu(0.2)"``. None for a function that is not known, or
        cannot be evaluated.

    Examples
    --------
    >>> activation_like(lambda x: np.where(x > 0, x, 0.2 * x)), activation_like(lambda x: x**3)
    ('leaky_relu(0.2)', None)
    """
    try:
        values = np.asarray(function(_GRID.astype(np.float32)), dtype=np.float64)
        of_minus_one = float(np.asarray(function(np.full(1, -1.0, np.float32))).reshape(()))
    except Exception:  # code of a person
        return None
    slopes = {"leaky_relu": -of_minus_one, "elu": float(of_minus_one / np.expm1(-1.0))}
    names = [*ACTIVATIONS, *(f"{family}({constant:.6g})" for family, constant in slopes.items())]
    return next((name for name in names if _is_like(activation(name), values)), None)


def _is_like(known: Activation, values: np.ndarray) -> bool:
    with np.errstate(all="ignore"):
        expected = known.value(_GRID)
        return values.shape == expected.shape and bool(
            (np.abs(values - expected) <= _CLOSE * np.maximum(1.0, np.abs(expected))).all()
        )
