"""The laws from which the authors of linear recurrences draw the parameters of the decay, as samplers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from unitcircle.errors import UnknownNameError

Shape = tuple[int, ...]
Draw = Callable[[Shape, np.random.Generator, float, float], np.ndarray]
"""Shape, generator, place of the layer from 0 to 1, place of the layer over the number of layers → values."""
SMALLEST_STEP = 1e-4


def draw_decay(law: str, shape: Shape, /, rng: np.random.Generator, *, layer: int = 0, layers: int = 1) -> np.ndarray:
    """Draw a parameter of the decay of a linear recurrence as its authors do.

    Parameters
    ----------
    law
        The law, an entry of :attr:`LinearFamily.laws`.
    shape
        Shape of the parameter.
    rng
        The generator.
    layer, layers
        The place of the layer in its model, from 0, and the number of layers, on which the curves of RWKV depend.

    Returns
    -------
    numpy.ndarray
        The values, in double precision.

    Raises
    ------
    UnknownNameError
        The law is none of the known ones.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> steps = np.logaddexp(draw_decay("inverse softplus of log-uniform(.001, .1)", (1000,), rng), 0)
    >>> bool(0.001 <= steps.min() < steps.max() <= 0.1)
    True
    """
    if law not in LAWS:
        raise UnknownNameError("law", law, LAWS)
    return LAWS[law](shape, rng, layer / max(layers - 1, 1), layer / layers)


def _log_step(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    return rng.uniform(math.log(0.001), math.log(0.1), shape)


def _inverse_softplus(x: np.ndarray) -> np.ndarray:
    return x + np.log(-np.expm1(-x))


def _step(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    return _inverse_softplus(np.maximum(np.exp(_log_step(shape, rng)), SMALLEST_STEP))


def _rate(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    return np.log(rng.uniform(1, 16, shape))


def _modes(shape: Shape, *_: object) -> np.ndarray:
    return np.broadcast_to(np.log(np.arange(1.0, shape[-1] + 1)), shape).copy()


def _channels(shape: Shape) -> np.ndarray:
    """Return c / (C − 1), from 0 to 1 over the channels."""
    return np.linspace(0, 1, math.prod(shape)).reshape(shape)


def _rwkv(low: float, rise: float) -> Draw:
    def draw(shape: Shape, _: np.random.Generator, place: float, *__: float) -> np.ndarray:
        return low + rise * _channels(shape) ** (0.7 + 1.3 * place)

    return draw


def _rwkv_7(shape: Shape, _: np.random.Generator, __: float, share: float) -> np.ndarray:
    return -5.5 + 5 * _channels(shape) ** (0.85 + share**0.5)


def _rg_lru(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    return _inverse_softplus(-np.log(rng.uniform(0.9**2, 0.999**2, shape)) / 2)


def _heads(shape: Shape, *_: object) -> np.ndarray:
    return np.linspace(3, 6, math.prod(shape)).reshape(shape)


def _ring(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    modulus = np.sqrt(rng.uniform(0.9**2, 0.999**2, shape))
    return np.log(-np.log(modulus))


def _phase(shape: Shape, rng: np.random.Generator, *_: float) -> np.ndarray:
    return np.log(rng.uniform(0, 2 * math.pi, shape))


LAWS: Mapping[str, Draw] = {
    "inverse softplus of log-uniform(.001, .1)": _step,
    "log-uniform(.001, .1), as its logarithm": _log_step,
    "log U(1, 16) in float32": _rate,
    "log(1, ..., N) in each channel": _modes,
    "-5 + 8 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": _rwkv(-5, 8),
    "-6 + 5 (c / (C − 1))^(.7 + 1.3 l / (L − 1))": _rwkv(-6, 5),
    "-5.5 + 5 (c / (C − 1))^(.85 + l^.5 / L)": _rwkv_7,
    "inverse softplus of −(log u) / 2, u ~ U(.9², .999²)": _rg_lru,
    "linspace(3, 6, heads)": _heads,
    "ring(r_min=0.9, r_max=0.999)": _ring,
    "log U(0, 2π)": _phase,
}
"""Text of a law → its sampler."""
