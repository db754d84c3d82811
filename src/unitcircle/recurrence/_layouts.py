"""The weight layouts of torch, Keras, ONNX and flax, each converted to ours here and nowhere else.

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

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import Direction, RecurrentLayer
from unitcircle.recurrence._source import Source, described, dtype_name

_PEEPHOLE_ORDER = ("i", "o", "f")


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
    """
    cell = _cell(cell)
    order = cell.stack("torch")
    stack = _matrix(weight_hh, "weight_hh")
    n = _units(stack.shape[0], len(order), "weight_hh", cell)
    projection = None if weight_hr is None else _matrix(weight_hr, "weight_hr")
    gates = _rows(stack, order, cell, "weight_hh", n)
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
        inputs={} if weight_ih is None else _rows(_matrix(weight_ih, "weight_ih"), order, cell, "weight_ih", n),
        projection=projection,
        projected_gates=projected,
        reset_after=cell is Cell.GRU,
        **_biases(
            {
                "input": _vector(bias_ih, "bias_ih", order, cell, n),
                "recurrent": _vector(bias_hh, "bias_hh", order, cell, n),
            },
            reset_after=cell is Cell.GRU,
        ),
        **described(options, "torch", weight_hh),
    )


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
    """
    cell = _cell(cell)
    if not cell.gated:
        cell = Cell.plain(activation.lower())
    order = cell.stack("keras")
    stack = _matrix(recurrent_kernel, "recurrent_kernel")
    n = _units(stack.shape[1], len(order), "recurrent_kernel", cell)
    vector = None if bias is None else to_numpy(bias, argument="bias")
    if cudnn is None:
        cudnn = cell.gated and vector is not None and vector.shape == (2 * len(order) * n,)
    if vector is not None and cudnn and vector.size == 2 * len(order) * n:
        vector = vector.reshape(2, -1)
    if vector is not None and (vector.ndim not in {1, 2} or (vector.ndim == 2 and len(vector) != 2)):
        raise ShapeError("bias", "must be one vector of biases, or two", f"shape {vector.shape}")
    if reset_after is None:
        reset_after = vector is None or vector.ndim == 2
    gates = _rows(stack.T, order, cell, "recurrent_kernel", n)
    if cudnn:
        gates = {gate: block.T for gate, block in gates.items()}
    inputs: dict[str, np.ndarray] = {}
    if kernel is not None:
        inputs = _rows(_matrix(kernel, "kernel").T, order, cell, "kernel", n)
        if cudnn:
            inputs = {gate: np.ascontiguousarray(block.T).reshape(block.shape) for gate, block in inputs.items()}
    pair = (vector, None) if vector is None or vector.ndim == 1 else tuple(vector)
    parts = {
        kind: _vector(part, "bias", order, cell, n) for kind, part in zip(("input", "recurrent"), pair, strict=True)
    }
    return RecurrentLayer(
        cell=cell,
        gates=gates,
        inputs=inputs,
        reset_after=cell is Cell.GRU and reset_after,
        activations=_activations(cell, recurrent_activation.lower(), activation.lower(), activation.lower()),
        **_biases(parts, reset_after=cell is Cell.GRU and reset_after),
        **described(options, "keras-cudnn" if cudnn else "keras", recurrent_kernel),
    )


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
    """
    cell = _cell(cell)
    ways: dict[str, tuple[Direction, ...]] = {
        "forward": ("forward",),
        "reverse": ("reverse",),
        "bidirectional": ("forward", "reverse"),
    }
    if direction not in ways:
        raise UnknownNameError("direction", direction, ways)
    stacks = to_numpy(R, argument="R")
    count = len(ways[direction])
    named = {"R": (stacks, 3), "W": (W, 3), "B": (B, 2), "P": (P, 2)}
    for argument, (array, axes) in named.items():
        shape = None if array is None else np.shape(array)
        if shape is not None and (len(shape) != axes or shape[0] != count):
            raise ShapeError(argument, f"must have {axes} axes, the first {count} direction(s) long", f"shape {shape}")
    per_direction = 3 if cell is Cell.LSTM else 2 if cell is Cell.GRU else 1
    names = [name.lower() for name in activations]
    if names and len(names) != per_direction * count:
        raise ArgumentError("activations", f"must name {per_direction} functions per direction", f"{len(names)} names")
    labels = described(options, "onnx", R)
    layers: list[RecurrentLayer] = []
    for index, way in enumerate(ways[direction]):
        start = per_direction * index
        functions = names[start : start + per_direction] or ["sigmoid", "tanh", "tanh"][-per_direction:]
        if cell is Cell.GRU and not names:
            functions = ["sigmoid", "tanh"]
        kind = cell if cell.gated else Cell.plain(functions[0])
        order = kind.stack("onnx")
        n = _units(stacks.shape[1], len(order), "R", kind)
        halves: list[Any] = [None, None]
        if B is not None:
            both = to_numpy(B, argument="B")[index]
            if both.shape != (2 * len(order) * n,):
                raise ShapeError("B", f"must have shape ({count}, {2 * len(order) * n})", f"shape {np.shape(B)}")
            halves = np.split(both, 2)
        parts = {
            side: _vector(half, "B", order, kind, n) for side, half in zip(("input", "recurrent"), halves, strict=True)
        }
        reset_after = kind is Cell.GRU and bool(linear_before_reset)
        layers.append(
            RecurrentLayer(
                cell=kind,
                gates=_rows(stacks[index], order, kind, "R", n),
                inputs={} if W is None else _rows(to_numpy(W, argument="W")[index], order, kind, "W", n),
                peepholes={} if P is None else _peepholes(to_numpy(P, argument="P")[index], n),
                reset_after=reset_after,
                activations=_activations(kind, functions[0], functions[min(1, per_direction - 1)], functions[-1]),
                direction=way,
                **_biases(parts, reset_after=reset_after),
                **labels,
            )
        )
    return tuple(layers)


def from_flax(parameters: Mapping[str, Any], /, **options: Any) -> RecurrentLayer:
    """Return the layer that the parameters of a flax SimpleCell, GRUCell or LSTMCell describe, linen or nnx.

    Parameters
    ----------
    parameters
        Module name → ``{"kernel": (in, out), "bias": (out,)}``: ``hi hf hg ho ii if ig io`` (LSTM), ``hr hz hn ir iz
        in`` (GRU), ``h i`` (plain), or the fused ``dense_h dense_i`` of nnx, whose GRU has no bias inside the reset
        product. ``if`` may be ``if_``, as nnx names it.
    **options
        ``name``, ``layer``, ``direction``, ``source``, ``activations`` of :class:`RecurrentLayer`.

    Returns
    -------
    RecurrentLayer
        The layer.

    Raises
    ------
    ArgumentError
        The parameters are those of no known cell.
    """
    # `if` is a word of Python: nnx's attribute is `if_`.
    parameters = {key.removesuffix("_"): leaves for key, leaves in parameters.items()}
    cells = {
        Cell.LSTM: [f"h{gate}" for gate in Cell.LSTM.gates],
        Cell.GRU: [f"h{gate}" for gate in Cell.GRU.gates],
        Cell.RNN_TANH: ["h"],
    }
    fused = "dense_h" in parameters
    candidates = [cell for cell, keys in cells.items() if all(key in parameters for key in keys)]
    if fused:
        shape = np.shape(parameters["dense_h"]["kernel"])
        ratio = shape[1] // max(shape[0], 1) if len(shape) == 2 else 0
        candidates = [cell for cell in cells if len(cell.gates) == ratio]
    if not candidates:
        keys = ", ".join(sorted(parameters)) or "none"
        raise ArgumentError("parameters", "must be those of a flax SimpleCell, GRUCell or LSTMCell", keys)
    cell = candidates[0]

    def stacked(side: str, leaf: str) -> np.ndarray | None:
        plain = cell is Cell.RNN_TANH
        keys = [f"dense_{side}"] if fused else [side if plain else f"{side}{gate}" for gate in cell.gates]
        leaves = [parameters.get(key, {}).get(leaf) for key in keys]
        if all(value is None for value in leaves):
            return None
        width = next(np.shape(value)[-1] for value in leaves if value is not None)
        # linen's GRU has a recurrent bias in gate n alone, and none is a zero.
        arrays = [np.zeros(width) if value is None else to_numpy(value, argument=leaf) for value in leaves]
        return np.concatenate(arrays, axis=-1)

    recurrent = stacked("h", "kernel")
    if recurrent is None or recurrent.ndim != 2:
        raise ArgumentError("parameters", "must hold two-dimensional recurrent kernels", "none")
    kernel = stacked("i", "kernel")
    first = next(iter(parameters.values()))
    source: Source = options.pop("source", Source())
    dtype = source.dtype or dtype_name(first.get("kernel", recurrent))
    return from_torch(
        recurrent.T,
        cell=cell,
        weight_ih=None if kernel is None else kernel.T,
        bias_ih=stacked("i", "bias"),
        bias_hh=stacked("h", "bias"),
        source=replace(source, layout=source.layout or "flax", dtype=dtype),
        **options,
    )


def _cell(cell: Cell | str) -> Cell:
    if cell not in set(Cell) or cell == Cell.DIAGONAL:
        raise UnknownNameError("cell", str(cell), [kind for kind in Cell if kind is not Cell.DIAGONAL])
    return Cell(cell)


def _matrix(array: Any, argument: str) -> np.ndarray:
    matrix = to_numpy(array, argument=argument)
    if matrix.ndim != 2 or 0 in matrix.shape:
        raise ShapeError(argument, "must have two axes, neither empty", f"shape {matrix.shape}")
    return matrix


def _units(rows: int, gates: int, argument: str, cell: Cell) -> int:
    if rows % gates:
        raise ShapeError(argument, f"must stack {gates} gates of a cell {cell}", f"a stack of {rows}")
    return rows // gates


def _rows(stack: np.ndarray, order: Sequence[str], cell: Cell, argument: str, n: int) -> dict[str, np.ndarray]:
    if len(stack) != len(order) * n:
        rule = f"must stack {len(order)} gates of {n} units for a cell {cell}"
        raise ShapeError(argument, rule, f"shape {stack.shape}")
    blocks = dict(zip(order, np.split(stack, len(order)), strict=True))
    return {gate: blocks[gate] for gate in cell.gates}


def _vector(bias: Any, argument: str, order: Sequence[str], cell: Cell, n: int) -> dict[str, np.ndarray]:
    return {} if bias is None else _rows(to_numpy(bias, argument=argument), order, cell, argument, n)


def _biases(parts: dict[str, dict[str, np.ndarray]], *, reset_after: bool) -> dict[str, Any]:
    parts = {side: blocks for side, blocks in parts.items() if blocks}
    inside = {"n": parts["recurrent"]["n"]} if reset_after and "recurrent" in parts else {}
    summed: dict[str, np.ndarray] = {}
    for side, blocks in parts.items():
        for gate, bias in blocks.items():
            if side == "recurrent" and gate in inside:
                continue
            summed[gate] = summed[gate].astype(np.float64) + bias if gate in summed else bias
    if inside and "n" not in summed:
        summed["n"] = np.zeros_like(inside["n"])
    return {"biases": summed, "recurrent_biases": inside, "bias_parts": parts}


def _peepholes(vector: np.ndarray, n: int) -> dict[str, np.ndarray]:
    if vector.shape != (3 * n,):
        raise ShapeError("P", f"must hold 3 peepholes of {n} units", f"shape {vector.shape}")
    blocks = dict(zip(_PEEPHOLE_ORDER, np.split(vector, 3), strict=True))
    return {gate: blocks[gate] for gate in ("i", "f", "o")}


def _activations(cell: Cell, gate: str, candidate: str, output: str) -> dict[str, str]:
    if cell is Cell.LSTM:
        return {"i": gate, "f": gate, "g": candidate, "o": gate, "c": output}
    return {"r": gate, "z": gate, "n": candidate} if cell is Cell.GRU else {"h": candidate}
