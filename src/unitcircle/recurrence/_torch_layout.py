"""The weight layout of torch: stacks ``(k n, n)`` that act on columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle.errors import ShapeError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._gate_stack import bias_blocks, bias_fields, cell_of, gate_blocks, matrix, units
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._source import layer_options


def from_torch(
    weight_hh: Any,
    /,
    *,
    cell: Cell | str,
    weight_ih: Any = None,
    bias_ih: Any = None,
    bias_hh: Any = None,
    weight_hr: Any = None,
    **options: Any,
) -> RecurrentLayer:
    """Return the layer that one layer and direction of a torch RNN, GRU, LSTM, or of their Cells, describes.

    Parameters
    ----------
    weight_hh
        Recurrent stack ``(k n, n)``; with a projection ``(4 n, p)``.
    cell
        Kind of cell.
    weight_ih
        Input stack ``(k n, m)``, or None.
    bias_ih, bias_hh
        ``(k n,)`` each, or None. Those of a GRU's gate n stay apart, all others are summed.
    weight_hr
        Projection ``(p, n)`` of an LSTM, or None.
    **options
        ``name``, ``layer``, ``direction``, ``source``, ``activations``, ``leak`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        The layer, its blocks views of the arrays given.

    Raises
    ------
    ShapeError
        The shapes do not fit the kind of cell.

    Examples
    --------
    >>> layer = from_torch(np.zeros((12, 3)), cell="lstm")
    >>> list(layer.gates), layer.gates["f"].shape
    (['i', 'f', 'g', 'o'], (3, 3))
    """
    cell = cell_of(cell)
    order = cell.stack("torch")
    stack = matrix(weight_hh, "weight_hh")
    n = units(stack.shape[0], len(order), "weight_hh", cell)
    projection = None if weight_hr is None else matrix(weight_hr, "weight_hr")
    gates = gate_blocks(stack, order, cell, "weight_hh", n)
    projected: dict[str, np.ndarray] = {}
    if projection is not None:
        if cell is not Cell.LSTM or projection.shape != (stack.shape[1], n):
            rule = f"must be the (p, n) = {(stack.shape[1], n)} projection of an LSTM"
            raise ShapeError("weight_hr", rule, f"shape {projection.shape} for a cell {cell}")
        projected = gates
        # The product of two float32 matrices would carry their rounding into every spectrum measured on it.
        gates = {gate: block.astype(np.float64) @ projection.astype(np.float64) for gate, block in projected.items()}
    return RecurrentLayer(
        cell=cell,
        gates=gates,
        inputs={} if weight_ih is None else gate_blocks(matrix(weight_ih, "weight_ih"), order, cell, "weight_ih", n),
        projection=projection,
        projected_gates=projected,
        reset_after=cell is Cell.GRU,
        **bias_fields(
            {
                "input": bias_blocks(bias_ih, "bias_ih", order, cell, n),
                "recurrent": bias_blocks(bias_hh, "bias_hh", order, cell, n),
            },
            reset_after=cell is Cell.GRU,
        ),
        **layer_options(options, "torch", weight_hh),
    )
