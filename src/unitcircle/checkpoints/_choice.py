"""Layers that a person names, because the file does not say which of its tensors they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer, Source, from_keras, from_torch

_CELL_OF_STACK = {1: Cell.RNN_TANH, 3: Cell.GRU, 4: Cell.LSTM}
_ACTIVATIONS: dict[str, str] = {Cell.RNN_TANH: "tanh", Cell.RNN_RELU: "relu", Cell.LINEAR: "linear"}
_LAYOUTS = ("torch", "keras")


def cell_of_stack(rows: int, columns: int, /) -> Cell | None:
    """Return the cell whose recurrent blocks a stack of 1, 3 or 4 square blocks holds, or None."""
    return _CELL_OF_STACK.get(rows // columns) if rows % columns == 0 else None


def chosen_layers(
    tensors: Mapping[str, StoredTensor], names: Sequence[str], layout: str | None, /, *, file: str
) -> list[RecurrentLayer]:
    """Return the layers of tensors that a person says are recurrent weights."""
    return [_layer(tensors, name, layout or "torch", file) for name in names]


def _layer(tensors: Mapping[str, StoredTensor], name: str, layout: str, file: str) -> RecurrentLayer:
    framework, _, kind = layout.partition(":")
    if framework not in _LAYOUTS:
        raise UnknownNameError("layout", layout, [*_LAYOUTS, *(f"{known}:CELL" for known in _LAYOUTS)])
    if name not in tensors:
        raise UnknownNameError("tensor", name, tensors)
    shape = tensors[name].shape
    if len(shape) != 2 or 0 in shape:
        raise ArgumentError(f"tensor {name}", "must be a matrix", f"shape {shape}")
    cell = kind or cell_of_stack(*(shape if framework == "torch" else shape[::-1]))
    if cell is None:
        raise ArgumentError("layout", "must name a cell, for the shape tells none", repr(layout), f"Shape: {shape}.")
    weight, source = tensors[name].load(), Source(file, (name,), framework, tensors[name].dtype)
    if framework == "torch":
        return from_torch(weight, cell=cell, name=name, source=source)
    # Of a SimpleRNN the activation decides, not the cell.
    activation = _ACTIVATIONS.get(cell, "tanh")
    return from_keras(weight, cell=cell, activation=activation, name=name, source=source)
