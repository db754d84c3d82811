"""Gate blocks in Keras's layout, drawn with NumPy so that a seed gives the same weights on every backend."""

from __future__ import annotations

import numpy as np

from unitcircle._filling import biases_of
from unitcircle.errors import ArgumentError
from unitcircle.initializers import Initializer
from unitcircle.recurrence import Cell


def draw(init: Initializer, shape: tuple[int, int], rng: np.random.Generator, /) -> np.ndarray:
    """Draw one block ``(in, out)`` in float64, in Keras's layout."""
    weight = init(rng.standard_normal(shape[::-1]))
    if np.iscomplexobj(weight):
        raise ArgumentError("spec", "must be a real initializer, because Keras's weights are real", str(init))
    return weight.T


def bias_of(init: Initializer, cell: Cell, shape: tuple[int, ...], rng: np.random.Generator, /) -> np.ndarray:
    """Return a bias ``(k·n,)``, or ``(2, k·n)`` of a GRU with ``reset_after``, whose recurrent row is zero."""
    gates = cell.stack("keras")
    bias = np.zeros((*shape[:-1], len(gates), shape[-1] // len(gates)))
    row = bias[0] if len(shape) == 2 else bias
    for gate, value in biases_of(init, rng.standard_normal(row.shape[-1]), gates, keeping=cell.keeping).items():
        row[gates.index(gate)] = value
    return bias.reshape(shape)
