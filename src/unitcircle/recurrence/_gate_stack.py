"""Stacked gate blocks: how every framework stores them, and their conversion to one block per gate.

=============  ==================  ===================  ==========================================
framework      LSTM stack          GRU stack            stored as
=============  ==================  ===================  ==========================================
torch          i f g o             r z n                ``(k n, n)``, acts on columns
Keras          i f c o             z r h                ``(n, k n)``, acts on rows
Keras cuDNN    i f c o             z r h                ``(n, k n)``, each block transposed again
ONNX           i o f c             z r h                ``(directions, k n, n)``, acts on columns
flax           i f g o             r z n                one ``(n, n)`` kernel per gate, acts on rows
=============  ==================  ===================  ==========================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import DtypeError, ShapeError, UnknownNameError
from unitcircle.recurrence._cell import Cell


def cell_of(cell: Cell | str, /) -> Cell:
    """Return the kind of a cell whose gates have weights, or raise: a diagonal recurrence has none."""
    if cell not in set(Cell) or cell == Cell.DIAGONAL:
        raise UnknownNameError("cell", str(cell), [kind for kind in Cell if kind.gates])
    return Cell(cell)


def matrix(array: Any, argument: str, /) -> np.ndarray:
    """Return an array as a NumPy matrix, or raise."""
    stack = to_numpy(array, argument=argument)
    if stack.ndim != 2 or 0 in stack.shape:
        raise ShapeError(argument, "must have two axes, neither empty", f"shape {stack.shape}")
    return stack


def units(rows: int, gates: int, argument: str, cell: Cell, /) -> int:
    """Return the number of units n of a stack of k n rows."""
    if rows % gates:
        raise ShapeError(argument, f"must stack {gates} gates of a cell {cell}", f"a stack of {rows}")
    return rows // gates


def gate_blocks(stack: np.ndarray, order: Sequence[str], cell: Cell, argument: str, n: int, /) -> dict[str, np.ndarray]:
    """Split a stack ``(k n, ...)``, its gates in a given order, into blocks ``(n, ...)`` in the order of the cell."""
    if stack.shape[:1] != (len(order) * n,):
        rule = f"must stack {len(order)} gates of {n} units for a cell {cell}"
        raise ShapeError(argument, rule, f"shape {stack.shape}")
    blocks = dict(zip(order, np.split(stack, len(order)), strict=True))
    return {gate: blocks[gate] for gate in cell.gates}


def bias_blocks(bias: Any, argument: str, order: Sequence[str], cell: Cell, n: int, /) -> dict[str, np.ndarray]:
    """Split a bias ``(k n,)`` into gate blocks ``(n,)``; a bias of None has none."""
    if bias is None:
        return {}
    vector = to_numpy(bias, argument=argument)
    if vector.dtype.kind == "c":
        raise DtypeError(argument, "must be real", f"dtype {vector.dtype}")
    return gate_blocks(vector, order, cell, argument, n)


def bias_fields(parts: dict[str, dict[str, np.ndarray]], /, *, reset_after: bool) -> dict[str, Any]:
    """Return the bias fields of a layer from its input and recurrent biases, which add up outside a reset product."""
    parts = {side: blocks for side, blocks in parts.items() if blocks}
    inside = {"n": parts["recurrent"]["n"]} if reset_after and "recurrent" in parts else {}
    summed: dict[str, np.ndarray] = {}
    for side, blocks in parts.items():
        for gate, bias in blocks.items():
            if side == "recurrent" and gate in inside:
                continue
            with np.errstate(over="ignore", invalid="ignore"):
                summed[gate] = summed[gate].astype(np.float64) + bias if gate in summed else bias
    if inside and "n" not in summed:
        summed["n"] = np.zeros_like(inside["n"])
    return {"biases": summed, "recurrent_biases": inside, "bias_parts": parts}


def activation_names(cell: Cell, gate: str, candidate: str, output: str, /) -> dict[str, str]:
    """Return the activation of every gate, and of an LSTM that of the cell state in the output."""
    if cell is Cell.LSTM:
        return {"i": gate, "f": gate, "g": candidate, "o": gate, "c": output}
    return {"r": gate, "z": gate, "n": candidate} if cell is Cell.GRU else {"h": candidate}
