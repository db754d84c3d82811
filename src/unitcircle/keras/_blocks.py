"""Gate blocks in Keras's layout, drawn with NumPy so that a seed gives the same weights on every backend."""

from __future__ import annotations

__all__ = ["GATES", "bias_of", "draw"]

import numpy as np

from unitcircle._filling import biases_of
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Initializer

GATES = {"lstm": ("i", "f", "g", "o"), "gru": ("z", "r", "n"), "rnn": ("h",)}
"""Kind of cell → its gates, by our names, in the order of Keras's stacks: i f c o, z r h."""


def draw(init: Initializer, shape: tuple[int, int], rng: np.random.Generator, /) -> np.ndarray:
    """Draw one block in float64, in Keras's layout.

    Parameters
    ----------
    init
        Specification.
    shape
        ``(in, out)``: the transpose of the weight ``(out, in)`` that the specification describes.
    rng
        Source of the standard-normal numbers.

    Returns
    -------
    numpy.ndarray
        The block.

    Raises
    ------
    ArgumentError
        The initializer's weights are complex; Keras's are real.
    """
    weight = init(rng.standard_normal(shape[::-1]))
    if np.iscomplexobj(weight):
        raise ArgumentError("spec", "must be a real initializer, for Keras's weights are real", str(init))
    return weight.T


def bias_of(init: Initializer, kind: str, shape: tuple[int, ...], rng: np.random.Generator, /) -> np.ndarray:
    """Return the bias of a cell; of the two rows of a GRU with ``reset_after`` the recurrent one is zero.

    Parameters
    ----------
    init
        ``chrono`` or ``forget_bias``, which leave zeros in the gates they do not decide; else an initializer that
        makes every entry alike.
    kind
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    shape
        ``(k·n,)`` or ``(2, k·n)``.
    rng
        Source of the standard-normal numbers.

    Returns
    -------
    numpy.ndarray
        The bias, in Keras's order.
    """
    gates = GATES[kind]
    bias = np.zeros((*shape[:-1], len(gates), shape[-1] // len(gates)))
    row = bias[0] if len(shape) == 2 else bias
    for gate, value in biases_of(init, rng.standard_normal(row.shape[-1]), kind, gates).items():
        row[gates.index(gate)] = value
    return bias.reshape(shape)
