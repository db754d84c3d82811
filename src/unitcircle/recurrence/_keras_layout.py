"""The weight layouts of Keras: stacks ``(n, k n)`` that act on rows, and those of its cuDNN layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ShapeError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._gate_stack import (
    activation_names,
    bias_blocks,
    bias_fields,
    cell_of,
    gate_blocks,
    matrix,
    units,
)
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._source import layer_options


def from_keras(
    recurrent_kernel: Any,
    /,
    *,
    cell: Cell | str,
    kernel: Any = None,
    bias: Any = None,
    reset_after: bool | None = None,
    activation: str = "tanh",
    recurrent_activation: str = "sigmoid",
    cudnn: bool | None = None,
    **options: Any,
) -> RecurrentLayer:
    """Return the layer that a Keras SimpleRNN, GRU, LSTM, CuDNNGRU or CuDNNLSTM describes.

    Parameters
    ----------
    recurrent_kernel
        ``(n, k n)``, which acts on rows: ``h @ kernel``.
    cell
        Kind of cell; for a SimpleRNN any plain one, its ``activation`` decides which.
    kernel
        Input kernel ``(m, k n)``, or None.
    bias
        ``(k n,)``; ``(2, 3 n)`` for a GRU with ``reset_after``; ``(2 k n,)`` in the cuDNN layout; or None.
    reset_after
        GRU: whether the reset gate acts after the recurrent product. None: as the bias's shape says, and True (the
        default of Keras 2 and 3) where there is no bias.
    activation, recurrent_activation
        Of the candidate and the output, and of the gates.
    cudnn
        Whether the kernels are in the layout of the old CuDNNLSTM and CuDNNGRU layers. None: as a bias of length
        ``2 k n`` says.
    **options
        ``name``, ``layer``, ``direction``, ``source`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        The layer, its blocks views of the arrays given.

    Raises
    ------
    ShapeError
        The shapes do not fit the kind of cell.

    Notes
    -----
    The cuDNN layout is that of TensorFlow's HDF5 converter: recurrent blocks are transposed; the ``(m, n)`` buffer
    of an input block holds the ``(n, m)`` matrix row by row; biases come twice.

    Examples
    --------
    >>> layer = from_keras(np.zeros((3, 12)), cell="lstm")
    >>> list(layer.gates)
    ['i', 'f', 'g', 'o']
    """
    cell = cell_of(cell)
    if not cell.gated:
        cell = Cell.plain(activation.lower())
    order = cell.stack("keras")
    stack = matrix(recurrent_kernel, "recurrent_kernel")
    n = units(stack.shape[1], len(order), "recurrent_kernel", cell)
    vector = None if bias is None else to_numpy(bias, argument="bias")
    if cudnn is None:
        cudnn = cell.gated and vector is not None and vector.shape == (2 * len(order) * n,)
    if vector is not None and cudnn and vector.size == 2 * len(order) * n:
        vector = vector.reshape(2, -1)
    if vector is not None and (vector.ndim not in {1, 2} or (vector.ndim == 2 and len(vector) != 2)):
        raise ShapeError("bias", "must be one vector of biases, or two", f"shape {vector.shape}")
    if reset_after is None:
        reset_after = vector is None or vector.ndim == 2
    gates = gate_blocks(stack.T, order, cell, "recurrent_kernel", n)
    if cudnn:
        gates = {gate: block.T for gate, block in gates.items()}
    inputs: dict[str, np.ndarray] = {}
    if kernel is not None:
        inputs = gate_blocks(matrix(kernel, "kernel").T, order, cell, "kernel", n)
        if cudnn:
            inputs = {gate: np.ascontiguousarray(block.T).reshape(block.shape) for gate, block in inputs.items()}
    pair = (vector, None) if vector is None or vector.ndim == 1 else tuple(vector)
    parts = {
        kind: bias_blocks(part, "bias", order, cell, n) for kind, part in zip(("input", "recurrent"), pair, strict=True)
    }
    return RecurrentLayer(
        cell=cell,
        gates=gates,
        inputs=inputs,
        reset_after=cell is Cell.GRU and reset_after,
        activations=activation_names(cell, recurrent_activation.lower(), activation.lower(), activation.lower()),
        **bias_fields(parts, reset_after=cell is Cell.GRU and reset_after),
        **layer_options(options, "keras-cudnn" if cudnn else "keras", recurrent_kernel),
    )
