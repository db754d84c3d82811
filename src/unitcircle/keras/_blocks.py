"""Gate blocks in Keras's layout, drawn with NumPy so that a seed gives the same weights on every backend."""

from __future__ import annotations

__all__ = ["GATES", "bias_blocks", "draw"]

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.initializers import Chrono, ForgetBias, Initializer

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


def bias_blocks(init: Initializer, kind: str, n: int, rng: np.random.Generator, /) -> dict[str, np.ndarray]:
    """Return the bias of every gate, in Keras's order.

    Parameters
    ----------
    init
        ``chrono`` or ``forget_bias``, which leave zeros in the gates they do not decide; else an initializer that
        makes every entry alike.
    kind
        ``"lstm"``, ``"gru"`` or ``"rnn"``.
    n
        Number of units.
    rng
        Source of the standard-normal numbers.

    Returns
    -------
    dict
        Gate → ``(n,)``.
    """
    if isinstance(init, Chrono | ForgetBias):
        decided = init.gates(rng.standard_normal(n), cell=kind)
        return {gate: decided.get(gate, np.zeros(n)) for gate in GATES[kind]}
    return {gate: init(rng.standard_normal(n)) for gate in GATES[kind]}
