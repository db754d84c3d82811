"""Layers from recurrent cells that were taken apart: which variable is the state, and the weights in their order."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._onnx_affine import Affine, Affines, Value, producer
from unitcircle.checkpoints._onnx_folding import WHAT, Constant
from unitcircle.checkpoints._onnx_graph import Tensor
from unitcircle.checkpoints._onnx_unrolled import UnrolledCell
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._unknown import marked
from unitcircle.errors import ArgumentError
from unitcircle.recurrence import Cell, RecurrentLayer, from_onnx

_OF_STATE = re.compile(r"hh(\b|_|$)|recurrent|hidden|h2h|MatMul_1\b|(^|[._/])(U|R)\d*$")

Leaves = tuple[tuple[str, Tensor], ...]


def same_weights(cells: Iterable[UnrolledCell], /) -> list[list[UnrolledCell]]:
    """Return cells in groups: the steps in time of one layer, which all have its weights."""
    groups: dict[tuple[object, ...], list[UnrolledCell]] = defaultdict(list)
    for cell in cells:
        tensors = dict.fromkeys(tensor for weight in cell.weights for _, tensor in weight.leaves)
        # Two directions may lie in one tensor, so that the place of a weight in it counts too.
        last = next(reversed([*cell.weights]), None)
        start = 0 if last is None else last.value.__array_interface__["data"][0]
        shared = (cell.cell, *tensors, start) if tensors else (cell.place, cell.scope)
        groups[shared].append(cell)
    return list(groups.values())


def layer_of(steps: list[UnrolledCell], affines: Affines, path: str, /) -> tuple[RecurrentLayer, Leaves] | None:
    """Return the layer whose steps these are, with its stored tensors, or None where its weights cannot be told."""
    after = {affines.variable(*cell.after) for cell in steps}
    parts = [_parts(cell, affines, after) for cell in steps]
    evidence = [_Evidence(cell, affines, one, after) for cell, one in zip(steps, parts, strict=True) if one is not None]
    projected = any(one.projected for one in evidence)
    # The first step may start from a constant, and then shows no product of the state.
    for proof in (_carried, _fed_back, _from_cell_state, _only_square, _from_inputs, _named):
        for one in evidence if proof is not _only_square or not projected else ():
            state = proof(one)
            if state is not None:
                try:
                    with np.errstate(all="ignore"):  # what is not finite in a damaged weight is for a finding to say
                        return _layer(one.cell, one.parts, state, path)
                except ArgumentError:
                    continue
    return None


@dataclass(frozen=True)
class _Evidence:
    """What may tell which variable of a step is the state."""

    cell: UnrolledCell
    affines: Affines
    parts: _Parts
    after: set[Value]  # The states that the steps of this layer make

    @property
    def projected(self) -> bool:
        """Whether a variable is a product of a state that such a step made."""
        for value in self.parts.weights:
            node = producer(value)
            product = node is not None and node.op in {"MatMul", "Gemm"} and value not in self.parts.square
            if node is not None and product and self.affines.variable(value[0], node.input(0)) in self.after:
                return True
        return False


class _Parts:
    """The weights of a cell, gate by gate, by the variable they multiply."""

    def __init__(self, units: int, order: tuple[str, ...], weights: dict[Value, dict[str, Constant]]) -> None:
        self.units, self.order, self.weights = units, order, weights
        self.opaque = False
        self.square = [value for value, one in weights.items() if self._is_state(one)]

    def _is_state(self, weights: dict[str, Constant]) -> bool:
        shape = (self.units, self.units)
        return set(weights) == set(self.order) and all(weight.value.shape == shape for weight in weights.values())


def _parts(cell: UnrolledCell, affines: Affines, after: set[Value]) -> _Parts | None:
    gates = dict(cell.gates)
    widths = {affine.columns for affine in (*gates.values(), cell.inner) if affine.columns}
    order = cell.cell.stack("onnx")
    if len(widths) != 1:
        return None
    units = widths.pop()
    weights: dict[Value, dict[str, Constant]] = defaultdict(dict)
    opaque = False
    for gate in order:
        terms = [*gates[gate].terms.items(), *(cell.inner.terms.items() if gate == "n" else ())]
        for value, weight in terms:
            if weight is None:
                opaque = True  # an input, or what was made of it, whose weights are not here
            elif gate in weights[value]:
                return None
            else:
                weights[value][gate] = weight
    weights = {value: one for value, one in weights.items() if one}
    weights = _separated(cell, affines, weights, units, after)
    parts = _Parts(units, order, weights)
    parts.opaque = opaque
    return parts


def _separated(
    cell: UnrolledCell, affines: Affines, weights: dict[Value, dict[str, Constant]], units: int, after: set[Value]
) -> dict[Value, dict[str, Constant]]:
    """Return the weights with the product of a concatenated [x, h] or [h, x] taken apart."""
    result: dict[Value, dict[str, Constant]] = {}
    for value, one in weights.items():
        node = producer(value)
        rows = next(iter(one.values())).value.shape[0]
        ends = {} if node is None else {0: node.inputs[:1], -1: node.inputs[-1:]}
        states = [
            (place, end)
            for place, names in ends.items()
            for end in (affines.variable(value[0], name) for name in names)
            if node is not None and node.op == "Concat" and rows > units and _is_state(cell, affines, end, after)
        ]
        if len(states) != 1:
            result[value] = one
            continue
        ((place, end),) = states
        cuts = (slice(0, units), slice(units, None)) if place == 0 else (slice(-units, None), slice(0, rows - units))
        # In the product for the candidate of a GRU the reset state stands in the place of the state.
        keys = (end, value)
        if cell.cell is Cell.GRU and node is not None:
            keys = (cell.before[0], affines.variable(value[0], node.inputs[-1 - place]))
        for key, cut in zip(keys, cuts, strict=True):
            blocks = {gate: Constant(weight.value[cut], parts=(weight,)) for gate, weight in one.items()}
            result[key] = result.get(key, {}) | blocks
    return result


def _is_state(cell: UnrolledCell, affines: Affines, value: Value, after: set[Value]) -> bool:
    """Whether a value is the state before the step, or the reset state in its place."""
    if value in after or value in cell.before or (value[0] is cell.scope and value[1] in cell.scope.states):
        return True
    if cell.cell is Cell.LSTM:
        return affines.root(*value) in cell.before
    node = producer(value)
    return (
        node is not None
        and node.op == "Mul"
        and any(affines.variable(value[0], name) in cell.before for name in node.inputs)
    )


def _carried(one: _Evidence) -> Value | None:
    """Return the state of a loop whose value after the step is the cell's."""
    scope, square = one.cell.scope, one.parts.square
    after = one.affines.variable(*one.cell.after)
    for name, output in scope.states.items():
        if (scope, name) in square and one.affines.variable(scope, output) == after:
            return scope, name
    return _single(value for value in square if value[0] is scope and value[1] in scope.states)


def _fed_back(one: _Evidence) -> Value | None:
    """Return the variable that a step with the same weights made, or that the update of a GRU keeps."""
    before = one.cell.before if one.cell.cell is not Cell.LSTM else ()
    return _single(value for value in one.parts.square if value in one.after or value in before)


def _from_cell_state(one: _Evidence) -> Value | None:
    """Return the variable that comes from where the cell state comes from."""
    return _single(value for value in one.parts.square if one.affines.root(*value) in one.cell.before)


def _only_square(one: _Evidence) -> Value | None:
    """Return the only variable of as many entries as there are units, beside another."""
    starts = any(one.affines.folding.constant(*value) is not None for value in one.cell.before)
    others = [value for value in one.parts.weights if value not in one.parts.square]
    # With a projection the state has fewer entries than there are units.
    small = any(_is_state(one.cell, one.affines, value, one.after) for value in others)
    return _single(one.parts.square) if others and not (one.parts.opaque or starts or small) else None


def _from_inputs(one: _Evidence) -> Value | None:
    """Return the only variable that comes from an input of a graph."""
    roots = {value: one.affines.root(*value) for value in one.parts.square}
    return _single(value for value, root in roots.items() if len(roots) > 1 and root[1] in root[0].graph.inputs)


def _named(one: _Evidence) -> Value | None:
    """Return the variable whose weight has the name of a recurrent one."""

    def says(value: Value) -> bool:
        leaves = (leaf for weight in one.parts.weights[value].values() for leaf in weight.leaves)
        return any(_OF_STATE.search(name) for name, _ in leaves)

    return _single(value for value in one.parts.square if says(value)) if len(one.parts.square) > 1 else None


def _single(values: Iterable[Value]) -> Value | None:
    found = list(values)
    return found[0] if len(found) == 1 else None


def _layer(cell: UnrolledCell, parts: _Parts, state: Value, path: str) -> tuple[RecurrentLayer, Leaves]:
    n, order = parts.units, parts.order
    inputs = [one for value, one in parts.weights.items() if value != state]
    recurrent = parts.weights[state]
    kinds = [weight.value.dtype for weight in recurrent.values()]
    take(sum(weight.value.nbytes for one in parts.weights.values() for weight in one.values()), WHAT)
    R = np.concatenate([recurrent[gate].value.T for gate in order])[None]
    W = None
    if inputs:
        if any(set(one) != set(order) for one in inputs):
            raise ArgumentError("W", "must act on every gate", f"{[sorted(one) for one in inputs]}")
        W = np.concatenate([np.concatenate([one[gate].value.T for one in inputs], axis=1) for gate in order])[None]
    biases = [_biases(cell, order, side, state, n) for side in (False, True)]
    B = None
    if any(bias is not None for bias in biases):
        B = np.concatenate([np.zeros(len(order) * n, kinds[0]) if bias is None else bias for bias in biases])[None]
    leaves = _leaves(cell, [recurrent, *inputs])
    names = tuple(dict.fromkeys(name for weight in recurrent.values() for name, _ in weight.leaves))
    everything = tuple(dict.fromkeys([*names, *(name for name, _ in leaves)]))
    functions = {"lstm": "fgc", "gru": "zn"}.get(cell.cell, "h")
    gates = {cell.activations[gate] for gate in {"lstm": "ifo", "gru": "rz"}.get(cell.cell, "h")}
    if len(gates) > 1:
        raise ArgumentError("activations", "must be one function for all gates", ", ".join(sorted(gates)))
    matrices = tuple(name for name, tensor in leaves if len(tensor.dims) > 1 and max(tensor.dims) >= n)
    options: dict[str, Any] = {
        "name": _name(cell, matrices),
        "source": source_of(path, everything, dtype=_dtype(recurrent)),
    }
    (layer,) = from_onnx(
        R,
        cell=cell.cell,
        W=W,
        B=B,
        linear_before_reset=cell.reset_after,
        activations=[cell.activations[gate] for gate in functions],
        **options,
    )
    unknown = {"input", "bias"} if parts.opaque or W is None else set[str]()
    reverse = re.search(r"(^|[._/])(backward|reverse)", f"{cell.place}/{'/'.join(everything)}") is not None
    layer = replace(layer, unknown=layer.unknown | unknown, direction="reverse" if reverse else "forward")
    return marked(layer), leaves


def _biases(cell: UnrolledCell, order: tuple[str, ...], recurrent: bool, state: Value, n: int) -> np.ndarray | None:
    """Return the stacked biases that came with the product of the state, or all others."""
    columns: list[np.ndarray] = []
    found = False
    for gate in order:
        column = np.zeros(n)
        inner = gate == "n" and cell.reset_after
        parts: list[tuple[Affine, bool]] = [(cell.gates[gate], False), *([(cell.inner, True)] if inner else [])]
        for affine, inside in parts:
            for value, bias in affine.biases.items():
                if (inside or value == state) is recurrent:
                    column, found = column + bias.value, True
        columns.append(column)
    if any(column.shape != (n,) for column in columns):
        raise ArgumentError("B", f"must hold {n} entries for every gate", f"{[column.shape for column in columns]}")
    return np.concatenate(columns).astype(_kind(cell)) if found else None


def _kind(cell: UnrolledCell) -> np.dtype[Any]:
    return next(cell.weights).value.dtype


def _leaves(cell: UnrolledCell, weights: list[dict[str, Constant]]) -> Leaves:
    constants = [weight for one in weights for weight in one.values()]
    constants += [bias for affine in (*cell.gates.values(), cell.inner) for bias in affine.biases.values()]
    return tuple(dict.fromkeys(leaf for constant in constants for leaf in constant.leaves if leaf[1].dims))


def _dtype(weights: dict[str, Constant]) -> str:
    tensors = [tensor for weight in weights.values() for _, tensor in weight.leaves]
    return max(tensors, key=lambda tensor: math.prod(tensor.dims)).dtype if tensors else ""


def _name(cell: UnrolledCell, names: tuple[str, ...]) -> str:
    """Return what the names of the weights have in common before a separator, or else the name of the operation."""
    parts = [re.split(r"(?<=[./])", name) for name in names[:2]]
    shared = ""
    for one, *others in zip(*parts, strict=False):
        if any(one != other for other in others) or not one.endswith((".", "/")):
            break
        shared += one
    folder = cell.place.rpartition("/")[0]
    name = shared.rstrip("./") or folder or cell.place
    # What TensorFlow puts behind the name of a layer: "lstm/lstm_cell/MatMul/ReadVariableOp".
    while (
        place := re.search(r"/([a-z_]*_cell|while|Cast|MatMul|BiasAdd|split|ReadVariableOp)(_\d+)?$", name)
    ) is not None:
        name = name[: place.start()]
    return name
