"""TensorFlow Lite: the recurrent operators of a graph, their weights dequantized."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._flatbuffer import Table
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, by_blocks, elements
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import Cell, RecurrentLayer, from_torch

_TYPES = {0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 6: "bool", 7: "int16", 9: "int8",
          10: "float64"}  # fmt: skip
_OPERATORS = {
    6: "DEQUANTIZE", 16: "LSTM", 24: "RNN", 27: "SVDF", 35: "UNIDIRECTIONAL_SEQUENCE_RNN",
    44: "UNIDIRECTIONAL_SEQUENCE_LSTM", 46: "BIDIRECTIONAL_SEQUENCE_RNN", 52: "BIDIRECTIONAL_SEQUENCE_LSTM",
    119: "WHILE",
}  # fmt: skip
_FLOATS = {"float16", "float32", "float64"}
_ACTIVATIONS = {0: Cell.LINEAR, 1: Cell.RNN_RELU, 4: Cell.RNN_TANH}
_RECURRENT = re.compile(r"lstm|gru|rnn", re.IGNORECASE)
MAX_TENSORS = 100_000
MAX_OPERATORS = 2000
"""Recurrent operators of one file."""


def read_tflite(path: Path, /) -> Contents:
    """Return the constants of a TensorFlow Lite model, and the layers of its recurrent operators."""
    memory = map_file(path)
    model = Table.root(memory)
    buffers = list(model.tables(4))
    codes = [max(code.integer(0, "<b"), code.integer(3, "<i")) for code in model.tables(1)]
    work = _Work(str(path), {}, [], [], [], {})
    looped = False
    graphs = list(model.tables(2))
    if not graphs:
        message = "it holds no graph: truncated or hostile"
        raise CheckpointError(message)
    for place, graph in enumerate(graphs):
        prefix = f"{place}/" if place else ""
        names = [work.add(prefix, index, tensor, buffers, memory) for index, tensor in enumerate(graph.tables(0))]
        for operator in graph.tables(3):
            index = operator.integer(0, "<I")
            kind = _OPERATORS.get(codes[index]) if index < len(codes) else None
            looped |= kind == "WHILE"
            if kind is not None and kind in _READERS:
                work.read(kind, operator, [_name(names, place) for place in operator.numbers(1, "<i", most=64)])
            elif kind == "DEQUANTIZE":
                for output, given in zip(operator.numbers(2, "<i"), operator.numbers(1, "<i"), strict=False):
                    if _name(names, given) is not None and 0 <= output < len(names):
                        names[int(output)] = _name(names, given)
            elif kind == "SVDF":
                work.notes.append("its SVDF operators remember a window of inputs: they have no recurrent weight")
    named = sorted({match[0].lower() for name in work.tensors if (match := _RECURRENT.search(name))})
    loop = "a loop (WHILE)" if looped else "operators of its graph"
    what = " and ".join(named) or "a recurrence"
    suspects = [f"{what} that the converter has spread over {loop}: not read; convert the model to ONNX"]
    return Contents(
        work.tensors,
        layers=work.layers,
        notes=tuple(dict.fromkeys(work.notes)),
        unread=tuple(work.unread),
        suspects=tuple(suspects if named or looped else ()),
        by_name=False,
    )


def _name(names: Sequence[str | None], place: int | float) -> str | None:
    """Return the name of a tensor that has values, by its place in the graph; an operator omits one by -1."""
    return names[int(place)] if 0 <= place < len(names) else None


@dataclass
class _Work:
    file: str
    tensors: dict[str, StoredTensor]
    layers: list[RecurrentLayer]
    notes: list[str]
    unread: list[str]
    seen: dict[str, int]

    def add(self, prefix: str, index: int, tensor: Table, buffers: Sequence[Table], memory: memoryview) -> str | None:
        """Take in a tensor of a graph, and return its name, or None where it has no values."""
        place = tensor.integer(2, "<I")
        content = _content(buffers[place], memory) if place < len(buffers) else memoryview(b"")
        if not content:
            return None
        name = prefix + (tensor.text(3) or str(index))
        self.seen[name] = self.seen.get(name, -1) + 1
        name = f"{name}#{self.seen[name]}" if self.seen[name] else name
        if len(self.tensors) >= MAX_TENSORS:
            message = f"it holds more than {MAX_TENSORS} tensors: hostile"
            raise CheckpointError(message)
        self.tensors[name] = _tensor(name, tensor, content)
        return name

    def read(self, kind: str, operator: Table, inputs: Sequence[str | None]) -> None:
        """Make the layers of a recurrent operator."""
        if len(self.layers) + len(self.unread) > MAX_OPERATORS:
            message = f"it holds more than {MAX_OPERATORS} recurrent operators: hostile"
            raise CheckpointError(message)
        if kind == "LSTM" and len(inputs) == 5:
            parts, kind = _BASIC, "LSTM (basic)"
        else:
            parts = _READERS[kind]
        known = dict(enumerate(inputs))
        for part in parts:
            _, recurrent, others, extra = part
            names = [known.get(place) for place in recurrent]
            if not all(name and self.tensors[name].is_matrix for name in names) or any(map(known.get, extra)):
                what = "with peepholes, layer normalization, a coupled input gate or weights of integers"
                self.unread.append(f"an operator {kind} {what}: not read")
                continue
            used = [name for place in (*recurrent, *others) if (name := known.get(place)) is not None]
            try:
                self.layers.append(self._layer(kind, operator, part, used, known))
            except ValueError as error:  # ArgumentError is one
                self.unread.append(f"an operator {kind} whose weights do not fit together: not read ({error})")

    def _layer(
        self, kind: str, operator: Table, part: Part, used: list[str], /, known: Mapping[int, str | None]
    ) -> RecurrentLayer:
        def load(places: Sequence[int]) -> Any:
            names = [name for place in places if (name := known.get(place)) is not None]
            tensors = [self.tensors[name] for name in names if self.tensors[name].dtype in _FLOATS]
            if len(tensors) != len(places) or not tensors or any(not one.shape for one in tensors):
                return None
            # One after the other: all of them and their stack would take twice the room.
            stack = np.empty((sum(one.shape[0] for one in tensors), *tensors[0].shape[1:]), np.dtype(tensors[0].dtype))
            start = 0
            for one in tensors:
                stack[start : start + one.shape[0]] = one.load()
                start += one.shape[0]
            return stack

        label, recurrent, others, _ = part
        options: dict[str, Any] = {"name": used[0], "direction": "reverse" if label == "backward" else "forward"}
        options["source"] = source_of(self.file, tuple(used), "tflite", self.tensors[used[0]].dtype)
        # A bias of integers without a scale says nothing.
        if any("int" in self.tensors[name].dtype for name in used):
            options["unknown"] = frozenset({"bias"})
        if kind == "LSTM (basic)":
            return _basic(load(recurrent), load(others), options)
        if "LSTM" in kind:
            options |= {"weight_ih": load(others[:4]), "bias_ih": load(others[4:8]), "weight_hr": load(others[8:])}
            return from_torch(load(recurrent), cell=Cell.LSTM, **options)
        table = operator.table(4)
        activation = 0 if table is None else table.integer(1 if "SEQUENCE" in kind else 0, "<b")
        if activation not in _ACTIVATIONS:
            raise ArgumentError("activation", "must be none, tanh or relu", str(activation))
        options |= {"weight_ih": load(others[:1]), "bias_ih": load(others[1:])}
        return from_torch(load(recurrent), cell=_ACTIVATIONS[activation], **options)


def _basic(weights: Any, bias: Any, options: dict[str, Any]) -> RecurrentLayer:
    """Return the layer of the older LSTM operator: one matrix on [x, h], gates i g f o."""
    i, g, f, o = np.split(weights, 4)
    stack = np.concatenate([i, f, g, o])
    order = None if bias is None else np.concatenate([np.split(bias, 4)[gate] for gate in (0, 2, 1, 3)])
    m = stack.shape[1] - len(i)
    return from_torch(stack[:, m:], cell=Cell.LSTM, weight_ih=stack[:, :m], bias_ih=order, **options)


Part = tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...]]
# Of every direction: the places of the recurrent weights (i f c o, read as torch's i f g o), of the other parts (input
# weights, biases, projection), and of what is not read.
_LSTM: Part = ("", (5, 6, 7, 8), (1, 2, 3, 4, 12, 13, 14, 15, 16), (9, 10, 11, 17, 20, 21, 22, 23))
_BASIC: tuple[Part, ...] = (("", (2,), (3,), ()),)
_READERS: Mapping[str, tuple[Part, ...]] = {
    "LSTM": (_LSTM,),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": (_LSTM,),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (
        ("forward", (5, 6, 7, 8), (1, 2, 3, 4, 12, 13, 14, 15, 16), (9, 10, 11, 17)),
        ("backward", (22, 23, 24, 25), (18, 19, 20, 21, 29, 30, 31, 32, 33), (26, 27, 28, 34)),
    ),
    "RNN": (("", (2,), (1, 3), ()),),
    "UNIDIRECTIONAL_SEQUENCE_RNN": (("", (2,), (1, 3), ()),),
    "BIDIRECTIONAL_SEQUENCE_RNN": (("forward", (2,), (1, 3), ()), ("backward", (6,), (5, 7), ())),
}


def _content(buffer: Table, memory: memoryview) -> memoryview:
    """Return the bytes of a buffer, which lie behind the flatbuffer in files of more than 2 GB."""
    offset, size = buffer.integer(1, "<Q"), buffer.integer(2, "<Q")
    if offset <= 1:
        return buffer.content(0)
    if size > len(memory) - offset:
        message = "a buffer lies behind the end of the file: truncated or hostile"
        raise CheckpointError(message)
    return memory[offset : offset + size]


def _tensor(name: str, tensor: Table, content: memoryview) -> StoredTensor:
    shape = tuple(int(side) for side in tensor.numbers(0, "<i"))
    kind = tensor.integer(1, "<b")
    dtype = _TYPES.get(kind)
    if dtype is None or len(shape) > 8 or min(shape, default=0) < 0:
        return StoredTensor(shape, f"type {kind}", lambda: np.empty(0))
    if math.prod(shape) * ITEMSIZE[dtype] != len(content):
        message = f"tensor {name!r:.80} of shape {shape!s:.80} has {len(content)} bytes: truncated or hostile"
        raise CheckpointError(message)
    load: Callable[[], np.ndarray] = partial(elements, content, dtype, shape)
    table = tensor.table(4)
    scale = np.array(() if table is None else table.numbers(2, "<f"), np.float32)
    if not scale.size or not dtype.startswith(("int", "uint")):
        return StoredTensor(shape, dtype, load)
    assert table is not None
    zero = np.array(table.numbers(3, "<q") or (0,) * scale.size)
    axis = table.integer(6, "<i")
    if zero.size != scale.size or (scale.size > 1 and not (axis < len(shape) and shape[axis] == scale.size)):
        message = f"tensor {name!r:.80} has {scale.size} scales, which do not fit its shape {shape!s:.80}: damaged"
        raise CheckpointError(message)
    sides = [scale.size if place == axis else 1 for place in range(len(shape))] if scale.size > 1 else [1] * len(shape)
    return StoredTensor(shape, "float32", partial(_dequantized, load, scale.reshape(sides), zero.reshape(sides)))


def _dequantized(load: Callable[[], np.ndarray], scale: np.ndarray, zero: np.ndarray) -> np.ndarray:
    return by_blocks(load(), np.dtype(np.float32), lambda x, s, z: (x.astype(np.float64) - z) * s, scale, zero)
