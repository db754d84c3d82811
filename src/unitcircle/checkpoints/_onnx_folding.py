"""Constant folding: what a value of an ONNX graph is, where it depends on nothing but constants."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from unitcircle.checkpoints._onnx_graph import DTYPES, Attribute, Graph, Node, Tensor
from unitcircle.checkpoints._onnx_wire import WireError
from unitcircle.checkpoints._room import take, work
from unitcircle.checkpoints._tensor import by_blocks
from unitcircle.errors import CheckpointError

# Exporters rarely give a recurrent node its weight as it was stored: they transpose, slice, reorder gates, cast and
# concatenate it first. These few operations are evaluated here in NumPy: a runtime is a large dependency that would
# have to be trusted with the file. The result of an operation that is not listed is unknown, never an error.

MAX_DEPTH = 200
"""Operations on a way from a stored tensor; each takes three frames of Python's stack, which has 1000."""
STEPS_OF_OPERATION = 10
MAX_PARTS = 1000
"""Constants that one weight may be made of."""
WHAT = "what its constants unfold to"
QUANTIZED = frozenset({2, 3})
"""TensorProto.DataType of uint8 and int8."""
DEFAULT_DOMAINS = frozenset({"", "ai.onnx"})


@dataclass(frozen=True, eq=False)
class Scope:
    """A graph where it stands: what its names mean."""

    graph: Graph  # The graph
    # The scope whose names a body or branch sees; None for the main graph and for functions.
    parent: Scope | None = None
    # From the main graph inwards, the node and the attribute ("then_branch") that hold this graph.
    branches: tuple[tuple[Node, str], ...] = ()
    # Inputs of a function, or of a loop's body where no step changes them -> the values they are given.
    bindings: Mapping[str, tuple[Scope, str]] = field(default_factory=dict[str, "tuple[Scope, str]"])
    # The attributes a call gives a function.
    attributes: Mapping[str, Attribute] = field(default_factory=dict[str, Attribute])
    # Inputs of a loop's body -> the outputs that are the same values one step later.
    states: Mapping[str, str] = field(default_factory=dict[str, str])
    # Inputs of a Scan's body -> the values that they are slices of.
    slices: Mapping[str, tuple[Scope, str]] = field(default_factory=dict[str, "tuple[Scope, str]"])

    def attribute(self, node: Node, name: str, /) -> Attribute | None:
        """Return an attribute of a node, or the one of the call that it refers to."""
        attribute = node.attributes.get(name)
        # Within a function an attribute may stand for one of the call's (ref_attr_name).
        return self.attributes.get(attribute.reference) if attribute is not None and attribute.reference else attribute

    def home(self, name: str, /) -> tuple[Scope, str]:
        """Return the graph where a value is made or given, and its name there."""
        scope = self
        while True:
            graph = scope.graph
            if name in scope.bindings:
                scope, name = scope.bindings[name]
            # An input of a loop's body hides what the graphs around it call by that name.
            elif name in graph.tensors or name in graph.producers or name in graph.inputs or scope.parent is None:
                return scope, name
            else:
                scope = scope.parent

    def resolve(self, name: str, /) -> tuple[Scope, Tensor | tuple[Node, int]] | None:
        """Return where a value is made: a stored tensor, or a node and the place among its outputs."""
        scope, name = self.home(name)
        origin = scope.graph.tensors.get(name) or scope.graph.producers.get(name) if name else None
        return None if origin is None else (scope, origin)


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that depends on nothing but constants."""

    value: np.ndarray  # The array
    stored: tuple[tuple[str, Tensor], ...] = ()  # The stored tensor that it is, with its name
    parts: tuple[Constant, ...] = ()  # What it was made of; each lists its own, or a chain would take the square

    @cached_property
    def leaves(self) -> tuple[tuple[str, Tensor], ...]:
        """The stored tensors of weights it was made of, with their names."""
        found: dict[tuple[str, Tensor], None] = {}
        pending: list[Constant] = [self]
        seen: set[Constant] = {self}
        while pending:
            constant = pending.pop()
            found |= dict.fromkeys(constant.stored)
            fresh = dict.fromkeys(part for part in reversed(constant.parts) if part not in seen)
            seen |= fresh.keys()
            pending += fresh
            if len(seen) > MAX_PARTS:
                message = f"a weight is made of more than {MAX_PARTS} constants"
                raise WireError(message)
        return tuple(found)


class Folding:
    """Evaluates constants, each once, and never into more memory than the file can honestly need."""

    def __init__(self) -> None:
        self._memo: dict[tuple[Scope, str], Constant | None] = {}

    def constant(self, scope: Scope, name: str, depth: int = 0, /) -> Constant | None:
        """Return the value of a name."""
        resolved = scope.resolve(name)
        if resolved is None or depth > MAX_DEPTH:
            return None
        home, origin = resolved
        if isinstance(origin, Tensor):
            return _constant_of(origin, origin.name)
        node, place = origin
        key = home, node.outputs[place]
        if key not in self._memo:
            work(STEPS_OF_OPERATION, WHAT)
            self._memo[key] = None  # a cycle, which ONNX forbids and a file can hold, ends here
            self._memo[key] = self._fold(home, node, place, depth)
        return self._memo[key]

    def _fold(self, scope: Scope, node: Node, place: int, depth: int) -> Constant | None:
        if node.domain not in DEFAULT_DOMAINS:
            return None
        if node.op == "Constant":
            return _literal(scope, node)
        operation = OPERATIONS.get(node.op)
        if operation is None:
            return None
        inputs = [self.constant(scope, name, depth + 1) for name in node.inputs]
        if any(value is None and name for value, name in zip(inputs, node.inputs, strict=True)):
            return None
        arrays = [None if value is None else value.value for value in inputs]
        try:
            with np.errstate(all="ignore"):
                results = operation(_Call(scope, node, arrays))
            value = results[place] if isinstance(results, list) else results
        except (WireError, CheckpointError):
            raise
        except (ValueError, TypeError, IndexError, KeyError, OverflowError):
            return None  # the operation is malformed, and no runtime could do it either
        return Constant(value, parts=tuple(constant for constant in inputs if constant is not None))


def _constant_of(tensor: Tensor, name: str) -> Constant | None:
    array = tensor.array
    is_weight = tensor.floating or (tensor.kind in QUANTIZED and len(tensor.dims) > 1)
    return None if array is None else Constant(array, ((name, tensor),) if is_weight else ())


def _literal(scope: Scope, node: Node) -> Constant | None:
    for kind in ("value", "value_float", "value_floats", "value_int", "value_ints"):
        attribute = scope.attribute(node, kind)
        if attribute is None:
            continue
        if attribute.tensor is not None:
            return _constant_of(attribute.tensor, node.outputs[0])
        numbers = {"value_float": attribute.number, "value_int": attribute.number}.get(kind)
        if numbers is None:
            numbers = attribute.floats or attribute.numbers
        return Constant(np.asarray(numbers, np.float32 if "float" in kind else np.int64))
    return None


@dataclass(frozen=True, eq=False)
class _Call:
    """A node with its inputs known."""

    scope: Scope
    node: Node
    arrays: Sequence[np.ndarray | None]

    def __getitem__(self, place: int) -> np.ndarray:
        array = self.arrays[place]
        if array is None:
            message = "a required input is left out"
            raise ValueError(message)
        return array

    def integer(self, name: str, default: int) -> int:
        attribute = self.scope.attribute(self.node, name)
        return default if attribute is None else int(attribute.number)

    def integers(self, name: str, place: int | None = None) -> list[int] | None:
        """Return a list of integers, an attribute in old operator sets and an input in new ones."""
        if place is not None and place < len(self.arrays) and (array := self.arrays[place]) is not None:
            return [int(number) for number in array.ravel()]
        attribute = self.scope.attribute(self.node, name)
        return None if attribute is None else list(attribute.numbers)

    def room(self, shape: Sequence[int], dtype: np.dtype[Any]) -> None:
        take(math.prod(int(side) for side in shape) * dtype.itemsize, WHAT)


def _slice(call: _Call) -> np.ndarray:
    x = call[0]
    starts, ends = call.integers("starts", 1) or [], call.integers("ends", 2) or []
    axes = call.integers("axes", 3) or list(range(len(starts)))
    steps = call.integers("steps", 4) or [1] * len(starts)
    index = [slice(None)] * x.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        # Backwards, the end -1 is the last entry, and one before the first is any number below -n.
        stop = None if step < 0 and end < -x.shape[axis] else end
        index[axis] = slice(start, stop, step)
    return x[tuple(index)]


def _concat(call: _Call) -> np.ndarray:
    parts = [call[place] for place in range(len(call.arrays))]
    take(sum(part.nbytes for part in parts), WHAT)
    return np.concatenate(parts, axis=call.integer("axis", 0))


def _unsqueeze(call: _Call) -> np.ndarray:
    return np.expand_dims(call[0], tuple(call.integers("axes", 1) or ()))


def _squeeze(call: _Call) -> np.ndarray:
    axes = call.integers("axes", 1)
    return np.squeeze(call[0], None if axes is None else tuple(axes))


def _transpose(call: _Call) -> np.ndarray:
    return np.transpose(call[0], call.integers("perm"))


def _reshape(call: _Call) -> np.ndarray:
    x, shape = call[0], call.integers("shape", 1) or []
    if not call.integer("allowzero", 0):
        # In ONNX a zero keeps the side of the input.
        shape = [x.shape[axis] if side == 0 else side for axis, side in enumerate(shape)]
    # Counted although it is often a view: reshaping a transposed weight copies it.
    call.room(x.shape, x.dtype)
    return x.reshape(shape)


def _flatten(call: _Call) -> np.ndarray:
    x, axis = call[0], call.integer("axis", 1)
    call.room(x.shape, x.dtype)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _cast(call: _Call) -> np.ndarray:
    dtype = DTYPES[call.integer("to", 0)]
    # NumPy has no bfloat16: what is cast to it keeps its own, higher, precision.
    dtype = np.dtype(np.float32) if call.integer("to", 0) == 16 else dtype
    call.room(call[0].shape, dtype)
    return call[0].astype(dtype)


def _gather(call: _Call) -> np.ndarray:
    x, indices, axis = call[0], call[1], call.integer("axis", 0)
    call.room((indices.size, x.size // max(x.shape[axis], 1)), x.dtype)
    return np.take(x, indices, axis)


def _split(call: _Call) -> list[np.ndarray]:
    x, axis, count = call[0], call.integer("axis", 0), len(call.node.outputs)
    sizes = call.integers("split", 1)
    if sizes is None:
        # Equal parts, rounded up; the last is smaller.
        side = -(-x.shape[axis] // count)
        sizes = [side] * (count - 1)
    return np.split(x, np.cumsum(sizes[: count - 1]), axis)


def _constant_of_shape(call: _Call) -> np.ndarray:
    shape = [int(side) for side in call[0].ravel()]
    if min(shape, default=0) < 0:
        message = "a side is negative"
        raise ValueError(message)
    attribute = call.scope.attribute(call.node, "value")
    value = None if attribute is None or attribute.tensor is None else attribute.tensor.array
    fill = np.zeros(1, np.float32) if value is None else value
    call.room(shape, fill.dtype)
    return np.full(shape, fill.ravel()[0])


def _arithmetic(function: Callable[..., np.ndarray]) -> Callable[[_Call], np.ndarray]:
    def operation(call: _Call) -> np.ndarray:
        call.room(np.broadcast_shapes(call[0].shape, call[1].shape), np.result_type(call[0], call[1]))
        return function(call[0], call[1])

    return operation


def _dequantize(call: _Call) -> np.ndarray:
    x, scale = call[0], call[1]
    zero = call[2] if len(call.arrays) > 2 else np.zeros((), x.dtype)
    if scale.ndim:  # one scale per slice of the axis
        sides = [1] * x.ndim
        sides[call.integer("axis", 1)] = -1
        scale, zero = scale.reshape(sides), zero.reshape(sides) if zero.ndim else zero
    call.room(np.broadcast_shapes(x.shape, scale.shape, zero.shape), scale.dtype)
    # In int32: the difference of two int8 needs nine bits.
    return by_blocks(x, scale.dtype, lambda x, z, s: (x.astype(np.int32) - z.astype(np.int32)) * s, zero, scale)


OPERATIONS: dict[str, Callable[[_Call], np.ndarray | list[np.ndarray]]] = {
    "Add": _arithmetic(np.add),
    "Cast": _cast,
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "DequantizeLinear": _dequantize,
    "Flatten": _flatten,
    "Gather": _gather,
    "Identity": lambda call: call[0],
    "Mul": _arithmetic(np.multiply),
    "Reshape": _reshape,
    "Shape": lambda call: np.asarray(call[0].shape, np.int64),
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Sub": _arithmetic(np.subtract),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""The operations that exporters put between a stored weight and the node that uses it."""
