"""The weight layout of ONNX: stacks ``(directions, k n, n)`` that act on columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._gate_stack import activation_names, bias_blocks, bias_fields, cell_of, gate_blocks, units
from unitcircle.recurrence._layer import Direction, RecurrentLayer
from unitcircle.recurrence._source import layer_options

_DIRECTIONS: dict[str, tuple[Direction, ...]] = {
    "forward": ("forward",),
    "reverse": ("reverse",),
    "bidirectional": ("forward", "reverse"),
}
_PEEPHOLE_ORDER = ("i", "o", "f")


def from_onnx(
    R: Any,
    /,
    *,
    cell: Cell | str,
    W: Any = None,
    B: Any = None,
    P: Any = None,
    direction: str = "forward",
    linear_before_reset: bool = False,
    activations: Sequence[str] = (),
    **options: Any,
) -> tuple[RecurrentLayer, ...]:
    """Return the layers, one per direction, that an ONNX RNN, GRU or LSTM node describes.

    Parameters
    ----------
    R
        Recurrent weight ``(directions, k n, n)``.
    cell
        Kind of cell; for an RNN node any plain one, its activation decides which.
    W
        Input weight ``(directions, k n, m)``, or None.
    B
        Biases ``(directions, 2 k n)``, those of W then those of R, or None.
    P
        LSTM peepholes ``(directions, 3 n)`` in the order i o f, or None.
    direction
        The node's attribute: ``"forward"``, ``"reverse"`` or ``"bidirectional"``.
    linear_before_reset
        GRU: whether the reset gate acts after the recurrent product.
    activations
        The node's attribute: per direction (f, g, h) for an LSTM, (f, g) for a GRU, (f,) for an RNN; empty for the
        defaults.
    **options
        ``name``, ``layer``, ``source`` of :class:`RecurrentLayer`.

    Returns
    -------
    tuple of RecurrentLayer
        One layer per direction, forward first.

    Raises
    ------
    ShapeError
        The shapes do not fit the node.
    UnknownNameError
        No such direction.
    ArgumentError
        The wrong number of activations.

    Examples
    --------
    >>> (layer,) = from_onnx(np.zeros((1, 9, 3)), cell="gru")
    >>> list(layer.gates)
    ['r', 'z', 'n']
    """
    cell = cell_of(cell)
    if direction not in _DIRECTIONS:
        raise UnknownNameError("direction", direction, _DIRECTIONS)
    stacks = to_numpy(R, argument="R")
    count = len(_DIRECTIONS[direction])
    axes_of = {"R": (stacks, 3), "W": (W, 3), "B": (B, 2), "P": (P, 2)}
    for argument, (array, axes) in axes_of.items():
        shape = None if array is None else to_numpy(array, argument=argument).shape
        if shape is not None and (len(shape) != axes or shape[0] != count):
            raise ShapeError(argument, f"must have {axes} axes, the first {count} direction(s) long", f"shape {shape}")
    per_direction = 3 if cell is Cell.LSTM else 2 if cell is Cell.GRU else 1
    names = [name.lower() for name in activations]
    if names and len(names) != per_direction * count:
        raise ArgumentError("activations", f"must name {per_direction} functions per direction", f"{len(names)} names")
    labels = layer_options(options, "onnx", R)
    layers: list[RecurrentLayer] = []
    for index, layer_direction in enumerate(_DIRECTIONS[direction]):
        start = per_direction * index
        functions = names[start : start + per_direction] or ["sigmoid", "tanh", "tanh"][-per_direction:]
        if cell is Cell.GRU and not names:
            functions = ["sigmoid", "tanh"]
        kind = cell if cell.gated else Cell.plain(functions[0])
        order = kind.stack("onnx")
        n = units(stacks.shape[1], len(order), "R", kind)
        halves: list[Any] = [None, None]
        if B is not None:
            both = to_numpy(B, argument="B")[index]
            if both.shape != (2 * len(order) * n,):
                raise ShapeError("B", f"must have shape ({count}, {2 * len(order) * n})", f"shape {np.shape(B)}")
            halves = np.split(both, 2)
        parts = {
            side: bias_blocks(half, "B", order, kind, n)
            for side, half in zip(("input", "recurrent"), halves, strict=True)
        }
        reset_after = kind is Cell.GRU and bool(linear_before_reset)
        layers.append(
            RecurrentLayer(
                cell=kind,
                gates=gate_blocks(stacks[index], order, kind, "R", n),
                inputs={} if W is None else gate_blocks(to_numpy(W, argument="W")[index], order, kind, "W", n),
                peepholes={} if P is None else _peepholes(to_numpy(P, argument="P")[index], n),
                reset_after=reset_after,
                activations=activation_names(kind, functions[0], functions[min(1, per_direction - 1)], functions[-1]),
                direction=layer_direction,
                **bias_fields(parts, reset_after=reset_after),
                **labels,
            )
        )
    return tuple(layers)


def _peepholes(vector: np.ndarray, n: int) -> dict[str, np.ndarray]:
    """Split the peepholes ``(3 n,)`` of one direction into gates."""
    if vector.shape != (3 * n,):
        raise ShapeError("P", f"must hold 3 peepholes of {n} units", f"shape {vector.shape}")
    blocks = dict(zip(_PEEPHOLE_ORDER, np.split(vector, 3), strict=True))
    return {gate: blocks[gate] for gate in ("i", "f", "o")}
