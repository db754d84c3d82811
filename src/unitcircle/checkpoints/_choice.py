"""Layers that a person names, because the file does not say which of its tensors they are."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._layout import ACTIVATIONS, Layout
from unitcircle.checkpoints._leak import leaky, tensor_named
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, ShapeError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer, from_keras, from_onnx, from_torch

ROLES = ("recurrent", "input", "bias", "recurrent_bias", "projection")
"""The parts of a layer that a person can name."""
_CELL_OF_STACK = {1: Cell.RNN_TANH, 3: Cell.GRU, 4: Cell.LSTM}

Parts = str | Mapping[str, str | None]
"""A layer: the name of its recurrent weight, or role → name, with None for a part that it does not have."""


def cell_of_stack(rows: int, columns: int, /) -> Cell | None:
    """Return the cell whose recurrent blocks a stack of 1, 3 or 4 square blocks holds, or None."""
    return _CELL_OF_STACK.get(rows // columns) if columns and rows % columns == 0 else None


def stacked_blocks(shape: tuple[int, ...], /) -> int:
    """Return how many square blocks a matrix stacks, one below or beside the other; 0 where it does not."""
    if len(shape) != 2 or 0 in shape:
        return 0
    short, long = sorted(shape)
    return 0 if long % short else long // short


@dataclass(frozen=True)
class Choice:
    """What a person says of a source: which of its tensors are layers, in which layout, with which leak."""

    parts: tuple[Parts, ...] = ()
    layout: str | None = None
    leak: float | str | None = None

    @classmethod
    def of(cls, tensors: Parts | Sequence[Parts], layout: str | None, leak: float | str | None) -> Choice:
        """Return a choice whose arguments are of the right kind."""
        parts = (tensors,) if isinstance(tensors, str | Mapping) else tuple(tensors)
        Layout.parsed(layout)
        return cls(parts, layout, leak)

    def check_use(self) -> None:
        """Raise if there is a layout and nothing that it is the layout of."""
        if self.layout is not None and not self.parts:
            raise ArgumentError("layout", "must come with the tensors it is the layout of", repr(self.layout))

    def layers(self, tensors: Mapping[str, StoredTensor], /, *, file: str) -> list[RecurrentLayer]:
        """Return the layers whose parts are chosen."""
        layout = Layout.parsed(self.layout)
        return [_layer(tensors, _roles(parts, tensors), layout, self.leak, file) for parts in self.parts]


def _roles(choice: Parts, tensors: Mapping[str, StoredTensor]) -> Mapping[str, str | None]:
    """Return role → name; a text may be a name, or ``recurrent=U,input=W,bias=b``."""
    if isinstance(choice, str):
        pairs = re.split(r",(?=\w+=)", choice)
        if choice in tensors or not all(re.match(r"\w+=", pair) for pair in pairs):
            return {"recurrent": choice}
        named = [pair.split("=", 1) for pair in pairs]
        choice = {role: name or None for role, name in named}
        if len(choice) < len(named):
            raise ArgumentError("tensors", "must name each role once", repr(",".join(pairs)))
    for role in choice:
        if role not in ROLES:
            raise UnknownNameError("role", role, ROLES)
    if not choice.get("recurrent"):
        rule = "must name the recurrent weight of a layer"
        raise ArgumentError("tensors", rule, ", ".join(choice) or "nothing", "Add recurrent=NAME.")
    return choice


def _layer(
    tensors: Mapping[str, StoredTensor],
    roles: Mapping[str, str | None],
    layout: Layout,
    leak: float | str | None,
    file: str,
) -> RecurrentLayer:
    parts = {role: _Part.of(role, name, tensors) for role, name in roles.items() if name}
    recurrent = parts["recurrent"]
    weights = _weights(parts, layout)
    cell = weights.cell
    if leak is not None and cell.gated:
        raise ArgumentError("leak", "must be for a plain cell", f"a cell {cell}")
    unknown = {role for role in ("input", "bias") if role not in roles}
    if not cell.gated:
        unknown |= {"leak"} if layout.cell in {None, Cell.LEAKY_RNN} else set()
        unknown |= {"activation"} if layout.cell not in ACTIVATIONS else set()
    names = (recurrent.name, *(part.name for part in parts.values() if part is not recurrent))
    convention = layout.framework or ("rows" if weights.rows else "columns")
    source = source_of(file, names, convention, tensors[recurrent.name].dtype)
    options = {"name": recurrent.name, "unknown": frozenset(unknown), "source": source}
    layer = _MAKERS.get(layout.framework, _from_torch)(weights, options)
    if cell is Cell.LEAKY_RNN:
        layer = replace(layer, cell=cell, activations={"h": layer.activations["h"]})
    return layer if leak is None else leaky(layer, leak, tensors)


def _weights(parts: Mapping[str, _Part], layout: Layout) -> _Weights:
    """Return the parts as weights of a cell, whose recurrent weight and projection fit together."""
    recurrent, projection = parts["recurrent"], parts.get("projection")
    rows = _acts_on_rows(layout.framework, recurrent, parts.get("input"))
    columns, stacked = recurrent.shape if rows else recurrent.shape[::-1]
    if projection is not None and (rows or projection.shape[0] != columns):
        rule = "must be the (p, n) weight of an LSTM in the layout torch"
        raise ShapeError(str(projection), rule, f"shape {projection.shape}", _beside(recurrent))
    n = columns if projection is None else projection.shape[1]
    cell = layout.cell or cell_of_stack(stacked, n)
    if cell is None and not stacked_blocks((stacked, n)):
        raise ShapeError(str(recurrent), "must be square, or a stack of square blocks", f"shape {recurrent.shape}")
    if cell is None:
        rule = "must name a cell, for the shape tells none"
        raise ArgumentError("layout", rule, f"a weight of shape {recurrent.shape}")
    if cell.gated and not (layout.framework or layout.order):
        example = "".join(cell.stack("torch"))
        remedy = f"Pass to read torch, keras, onnx, flax, or the letters in their order, such as {example}."
        raise ArgumentError("layout", f"must say the order of the gates of a cell {cell}", "none", remedy)
    order = layout.order or cell.stack(layout.framework or "torch")
    if stacked != len(order) * n:
        blocks = f"{len(order)} square blocks" if len(order) > 1 else "one square matrix"
        raise ShapeError(str(recurrent), f"must be {blocks} for a cell {cell}", f"shape {recurrent.shape}")
    if projection is not None and cell is not Cell.LSTM:
        raise ArgumentError(str(projection), "must be of an LSTM", f"a cell {cell}")
    return _Weights(parts, cell, order, n, rows)


@dataclass(frozen=True, eq=False)
class _Part:
    """A tensor in its role, loaded."""

    role: str
    name: str
    array: np.ndarray

    @classmethod
    def of(cls, role: str, name: str, tensors: Mapping[str, StoredTensor]) -> _Part:
        """Load a tensor and drop the axes of length 1 that it may have beside those of its role."""
        tensor = tensor_named(name, tensors)
        if not tensor.dtype.startswith(("float", "bfloat", "complex")):
            raise ArgumentError(f"{role} {name}", "must hold floating-point numbers", f"type {tensor.dtype}")
        axes = 1 if role.endswith("bias") else 2
        shape = tensor.shape
        # ONNX has an axis of directions; vectors are stored as columns and rows too.
        while len(shape) > axes and 1 in shape:
            k = shape.index(1)
            shape = shape[:k] + shape[k + 1 :]
        if len(shape) not in ({1, 2} if axes == 1 else {2}) or 0 in shape:
            kind = "vector" if axes == 1 else "matrix"
            raise ShapeError(f"{role} {name}", f"must be a {kind}", f"shape {tensor.shape}")
        return cls(role, name, tensor.load().reshape(shape))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def __str__(self) -> str:
        return f"{self.role} {self.name}"


@dataclass(frozen=True, eq=False)
class _Weights:
    """The parts of a layer, whose gates stand in some order, and how to get them in the order of a framework."""

    parts: Mapping[str, _Part]
    cell: Cell
    order: tuple[str, ...]
    n: int
    rows: bool

    @property
    def kind(self) -> Cell:
        """The cell without its leak."""
        return Cell.RNN_TANH if self.cell is Cell.LEAKY_RNN else self.cell

    def stack(self, role: str, framework: str, *, rows: bool = False) -> np.ndarray | None:
        """Return a matrix with its gates in the order of a framework, one below the other, or beside each other."""
        part = self.parts.get(role)
        if part is None:
            return None
        array, size = part.array.T if self.rows else part.array, len(self.order) * self.n
        if len(array) != size:
            rule = f"must have shape {f'(m, {size})' if self.rows else f'({size}, m)'}"
            raise ShapeError(str(part), rule, f"shape {part.shape}", _beside(self.parts["recurrent"]))
        array = self._ordered(array, framework)
        return array.T if rows else array

    def bias(self, role: str, framework: str) -> np.ndarray | None:
        """Return a bias with its gates in the order of a framework."""
        part = self.parts.get(role)
        if part is None:
            return None
        size = len(self.order) * self.n
        shapes, array = [(size,)], part.array
        if self.cell is Cell.GRU and role == "recurrent_bias":
            shapes.append((self.n,))
            if part.shape == (self.n,):  # only the bias inside the reset product
                array = np.zeros(size, part.array.dtype)
                k = self.order.index("n")
                array[k * self.n : (k + 1) * self.n] = part.array
        elif framework == "keras":
            shapes += [(2, size)] if "recurrent_bias" not in self.parts else []
        elif framework == "onnx" and "recurrent_bias" not in self.parts:
            shapes.append((2 * size,))
        if part.shape not in shapes:
            rule = f"must have shape {' or '.join(map(str, shapes))}"
            raise ShapeError(str(part), rule, f"shape {part.shape}", _beside(self.parts["recurrent"]))
        if array.size == 2 * size:
            return np.stack([self._ordered(half, framework) for half in array.reshape(2, size)])
        return self._ordered(array, framework)

    def bias_pair(self, framework: str) -> np.ndarray | None:
        """Return the biases of the input and of the state ``(2, k n)``; one that is not there is zero."""
        pair = [self.bias(role, framework) for role in ("bias", "recurrent_bias")]
        present = next((bias for bias in pair if bias is not None), None)
        if present is None or present.ndim == 2:
            return present
        return np.stack([np.zeros_like(present) if bias is None else bias for bias in pair])

    def _ordered(self, stack: np.ndarray, framework: str) -> np.ndarray:
        wanted = self.cell.stack(framework)
        if wanted == self.order:
            return stack
        blocks = dict(zip(self.order, np.split(stack, len(self.order)), strict=True))
        return np.concatenate([blocks[gate] for gate in wanted])


def _from_torch(weights: _Weights, options: Mapping[str, Any]) -> RecurrentLayer:
    projection = weights.parts.get("projection")
    return from_torch(
        weights.stack("recurrent", "torch"),
        cell=weights.kind,
        weight_ih=weights.stack("input", "torch"),
        bias_ih=weights.bias("bias", "torch"),
        bias_hh=weights.bias("recurrent_bias", "torch"),
        weight_hr=None if projection is None else projection.array,
        **options,
    )


def _from_keras(weights: _Weights, options: Mapping[str, Any]) -> RecurrentLayer:
    pair = "recurrent_bias" in weights.parts
    return from_keras(
        weights.stack("recurrent", "keras", rows=True),
        cell=weights.kind,
        kernel=weights.stack("input", "keras", rows=True),
        bias=weights.bias_pair("keras") if pair else weights.bias("bias", "keras"),
        # Of a SimpleRNN the activation decides, not the cell.
        activation=ACTIVATIONS.get(weights.kind, "tanh"),
        **options,
    )


def _from_onnx(weights: _Weights, options: Mapping[str, Any]) -> RecurrentLayer:
    biases, inputs = weights.bias_pair("onnx"), weights.stack("input", "onnx")
    (layer,) = from_onnx(
        np.asarray(weights.stack("recurrent", "onnx"))[None],
        cell=weights.kind,
        W=None if inputs is None else inputs[None],
        B=None if biases is None else biases.reshape(1, -1),
        activations=() if weights.kind.gated else [ACTIVATIONS.get(weights.kind, "tanh")],
        **options,
    )
    return layer


_MAKERS = {"keras": _from_keras, "onnx": _from_onnx}


def _acts_on_rows(framework: str, recurrent: _Part, inputs: _Part | None) -> bool:
    """Return whether the state stands on the left; without a layout the shapes tell."""
    if framework:
        return framework in {"keras", "flax"}
    rows, columns = recurrent.shape
    if rows == columns and inputs is not None:
        return inputs.shape[0] != rows
    return columns > rows


def _beside(recurrent: _Part) -> str:
    return f"The recurrent weight has shape {recurrent.shape}."
