"""The LSTM, GRU and RNN nodes of ONNX graphs, quantized ones too."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._onnx_activations import named_in_order
from unitcircle.checkpoints._onnx_folding import DEFAULT_DOMAINS, WHAT, Constant, Folding, Scope
from unitcircle.checkpoints._onnx_graph import Node, Tensor
from unitcircle.checkpoints._room import ask, take
from unitcircle.checkpoints._unknown import marked
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import Cell, RecurrentLayer, from_onnx

_CELLS = {"LSTM": Cell.LSTM, "GRU": Cell.GRU, "RNN": Cell.RNN, "DynamicQuantizeLSTM": Cell.LSTM}
_QUANTIZED = ("com.microsoft", "DynamicQuantizeLSTM")
_INEXPRESSIBLE = ("clip", "input_forget")


def recurrent_node(scope: Scope, node: Node, folding: Folding, /) -> RecurrentNode | None:
    """Return a recurrent node with its constant inputs, or None for any other operation."""
    quantized = (node.domain, node.op) == _QUANTIZED
    if not quantized and (node.op not in _CELLS or node.domain not in DEFAULT_DOMAINS):
        return None
    places = {"W": 1, "R": 2, "B": 3} | ({"P": 7} if _CELLS[node.op] is Cell.LSTM else {})
    inputs = {key: folding.constant(scope, node.input(place)) for key, place in places.items()}
    if quantized:
        for key, place in (("W", 8), ("R", 10)):
            scale, zero = (folding.constant(scope, node.input(place + shift)) for shift in (0, 1))
            inputs[key] = _dequantized(inputs[key], scale, zero)
    return RecurrentNode(scope, node, inputs, places)


def _dequantized(stored: Constant | None, scale: Constant | None, zero: Constant | None) -> Constant | None:
    """Return the weight (directions, k n, m) of 8-bit (directions, m, k n), with scales per direction or column."""
    if stored is None or scale is None or stored.value.ndim != 3 or scale.value.ndim not in {1, 2}:
        return None
    take(4 * stored.value.size, WHAT)
    ask(12 * stored.value.size, WHAT)
    offset = np.zeros(1) if zero is None else zero.value.astype(np.float32)
    try:
        whole = np.broadcast_to(_by_direction(scale.value), stored.value.shape)
        weight = (stored.value.astype(np.float32) - _by_direction(offset)) * whole
    except ValueError:
        return None
    return Constant(np.swapaxes(weight, 1, 2), parts=(stored, scale))


def _by_direction(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), 1, -1) if array.ndim else array


@dataclass(frozen=True, eq=False)
class RecurrentNode:
    """A recurrent node and its constant inputs."""

    scope: Scope
    node: Node
    inputs: dict[str, Constant | None]
    places: dict[str, int]

    @property
    def name(self) -> str:
        """Its name, or that of its output."""
        return self.node.name or next(filter(None, self.node.outputs), self.node.op)

    @cached_property
    def leaves(self) -> tuple[tuple[str, Tensor], ...]:
        """The stored tensors it uses, with their names."""
        return tuple(leaf for constant in self.inputs.values() if constant is not None for leaf in constant.leaves)

    @cached_property
    def weights(self) -> tuple[object, ...]:
        """Equal for nodes of one kind whose weights have equal values."""
        return self.node.op, *(None if value is None else _digest(value.value) for value in self.inputs.values())


class Distinct:
    """The recurrent nodes met, to recognise those that are one layer with another."""

    def __init__(self) -> None:
        self._stored: set[tuple[object, ...]] = set()
        self._branches: dict[tuple[object, ...], set[str]] = defaultdict(set)

    def repeats(self, one: RecurrentNode) -> bool:
        """Whether a node holds the weights of another: the same, or equal ones of which only one can run."""
        return (one.weights, *(tensor for _, tensor in one.leaves)) in self._stored or any(
            self._branches[key] - {branch} for key, branch in self._forks(one)
        )

    def add(self, one: RecurrentNode) -> None:
        """Record a node."""
        self._stored.add((one.weights, *(tensor for _, tensor in one.leaves)))
        for key, branch in self._forks(one):
            self._branches[key].add(branch)

    def _forks(self, one: RecurrentNode) -> Iterator[tuple[tuple[object, ...], str]]:
        """Iterate over every If around a node: the way to it with the weights, and the branch the node is in."""
        way = one.scope.branches
        for depth, (node, branch) in enumerate(way):
            if node.op == "If":
                yield (one.weights, way[:depth], node), branch


def layers_of_node(one: RecurrentNode, path: str, /) -> tuple[RecurrentLayer, ...] | str:
    """Return the layers of a node, one per direction, or why there are none."""
    R = one.inputs["R"]
    if R is None:
        return f"the recurrent weight of {one.name} is computed when the model runs"
    arrays = {key: None if value is None else value.value for key, value in one.inputs.items()}
    direction, functions = (one.scope.attribute(one.node, name) for name in ("direction", "activations"))
    constants = [
        () if attribute is None else attribute.floats
        for attribute in (one.scope.attribute(one.node, f"activation_{name}") for name in ("alpha", "beta"))
    ]
    linear = one.scope.attribute(one.node, "linear_before_reset")
    sizes = {tensor.dtype: math.prod(tensor.dims) for _, tensor in R.leaves}
    kinds = {kind for kind, size in sizes.items() if size == max(sizes.values())}
    try:
        with np.errstate(all="ignore"):  # what is not finite in a damaged weight is for a finding to say
            layers = from_onnx(
                R.value,
                cell=_CELLS[one.node.op],
                W=arrays["W"],
                B=arrays["B"],
                P=arrays.get("P"),
                direction=direction.text if direction is not None else "forward",
                linear_before_reset=linear is not None and linear.number != 0,
                activations=named_in_order(functions.texts if functions else (), *constants),
                name=one.name,
                source=source_of(path, _names(one), dtype=kinds.pop() if len(kinds) == 1 else ""),
            )
            return tuple(marked(layer) for layer in layers)
    except ArgumentError as error:
        return f"the weights of {one.name} do not fit together: {error}"


def _names(one: RecurrentNode) -> tuple[str, ...]:
    """Return the stored tensors of the weights, the recurrent ones first."""
    constants = [one.inputs.get(key) for key in ("R", "W", "B", "P")]
    return tuple(dict.fromkeys(name for constant in constants if constant is not None for name, _ in constant.leaves))


def remarks(one: RecurrentNode, /) -> Iterator[str]:
    """Iterate over what the layers of a node leave out."""
    for key, place in one.places.items():
        if one.node.input(place) and one.inputs[key] is None:
            yield f"the input {key} of {one.name} is computed when the model runs, and is taken for absent"
    for name in _INEXPRESSIBLE:
        attribute = one.scope.attribute(one.node, name)
        if attribute is not None and (attribute.number or attribute.floats):
            yield f"{one.name} has the attribute {name}, which is not taken into account"


def _digest(array: np.ndarray) -> tuple[object, ...]:
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return array.shape, array.dtype, blake2b(data, digest_size=16).digest()
