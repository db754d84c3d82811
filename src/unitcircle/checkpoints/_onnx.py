"""ONNX files: the LSTM, GRU and RNN nodes, wherever they are, with the weights that constants make up."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, partial
from hashlib import blake2b
from pathlib import Path

import numpy as np

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._onnx_activations import named_in_order
from unitcircle.checkpoints._onnx_folding import DEFAULT_DOMAINS, Constant, Folding, Scope
from unitcircle.checkpoints._onnx_graph import ExternalDataError, Function, Model, Node, Tensor
from unitcircle.checkpoints._onnx_unrolled import UnrolledCell, unrolled_cells
from unitcircle.checkpoints._onnx_wire import WireError
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._unknown import marked
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import Cell, RecurrentLayer, Source, from_onnx

MAX_BYTES = 1 << 31
"""Protocol buffers end here; a larger model has its tensors in other files."""
MAX_DEPTH = 32
MAX_SCOPES = 10_000
"""Bodies, branches and calls. Two calls in each function of a chain make 2^n of a few hundred bytes."""
_CELLS = {"LSTM": Cell.LSTM, "GRU": Cell.GRU, "RNN": Cell.RNN}
_INEXPRESSIBLE = ("clip", "input_forget")


def read_onnx(path: str | Path, /) -> tuple[list[RecurrentLayer], Coverage]:
    """Read the recurrent layers of an ONNX file, with no other library."""
    # A node's weights may be stored, or be what a chain of Slice, Concat, Transpose, ... makes of stored tensors.
    # Nodes in different branches of an If that hold the same weights are one layer.
    path = Path(path)
    with _refusals(path):
        return _read(_model(path), Folding(path.stat().st_size), str(path))


def onnx_tensors(path: str | Path, /) -> dict[str, StoredTensor]:
    """Return the stored floating-point tensors of an ONNX file, from which a person may choose recurrent weights."""
    path = Path(path)

    def load(tensor: Tensor) -> np.ndarray:
        with _refusals(path):
            array = tensor.array
        assert array is not None  # a floating type is a known one
        return array

    with _refusals(path):
        tensors: dict[str, Tensor] = {}
        for scope in _scopes(_model(path)):
            for tensor, name in _stored_tensors(scope):
                tensors.setdefault(name, tensor)
    return {name: StoredTensor(tensor.dims, tensor.dtype, partial(load, tensor)) for name, tensor in tensors.items()}


@contextmanager
def _refusals(path: Path) -> Generator[None]:
    try:
        yield
    except ExternalDataError as error:
        message = f"{path} is refused: {error}. Save it with onnx.save(model, path, save_as_external_data=False)."
        raise CheckpointError(message) from error
    except WireError as error:
        message = f"{path} cannot be read: not a sound ONNX model ({error}). Copy or export it again."
        raise CheckpointError(message) from error


def _model(path: Path) -> Model:
    if (size := path.stat().st_size) > MAX_BYTES:
        message = f"{path} is refused: {size} bytes are more than a protocol buffer may have. Export the model again."
        raise CheckpointError(message)
    return Model.parse(path.read_bytes())


@dataclass(frozen=True, eq=False)
class _RecurrentNode:
    """A recurrent node and its constant inputs."""

    scope: Scope
    node: Node
    inputs: dict[str, Constant | None]

    @property
    def name(self) -> str:
        return self.node.name or next(filter(None, self.node.outputs), self.node.op)

    @cached_property
    def leaves(self) -> tuple[tuple[str, Tensor], ...]:
        return tuple(leaf for constant in self.inputs.values() if constant is not None for leaf in constant.leaves)

    @cached_property
    def weights(self) -> tuple[object, ...]:
        """Equal for nodes of one kind whose weights have equal values."""
        return self.node.op, *(None if value is None else _digest(value.value) for value in self.inputs.values())


class _Distinct:
    """The recurrent nodes met, to recognise those that are one layer with another."""

    def __init__(self) -> None:
        self._stored: set[tuple[object, ...]] = set()
        self._branches: dict[tuple[object, ...], set[str]] = defaultdict(set)

    def repeats(self, one: _RecurrentNode) -> bool:
        """Whether a node holds the weights of another: the same, or equal ones of which only one can run."""
        return (one.weights, *(tensor for _, tensor in one.leaves)) in self._stored or any(
            self._branches[key] - {branch} for key, branch in self._forks(one)
        )

    def add(self, one: _RecurrentNode) -> None:
        """Record a node."""
        self._stored.add((one.weights, *(tensor for _, tensor in one.leaves)))
        for key, branch in self._forks(one):
            self._branches[key].add(branch)

    def _forks(self, one: _RecurrentNode) -> Iterator[tuple[tuple[object, ...], str]]:
        """Iterate over every If around a node: the way to it with the weights, and the branch the node is in."""
        way = one.scope.branches
        for depth, (node, branch) in enumerate(way):
            if node.op == "If":
                yield (one.weights, way[:depth], node), branch


def _read(model: Model, folding: Folding, path: str) -> tuple[list[RecurrentLayer], Coverage]:
    layers: list[RecurrentLayer] = []
    distinct = _Distinct()
    analysed: dict[Tensor, Entry] = {}
    skipped: dict[Tensor | None, Entry] = {}
    notes: list[str] = []
    unrolled: list[UnrolledCell] = []
    constants: dict[Tensor, str] = {}
    repeated = 0
    for scope in _scopes(model):
        constants |= dict(_stored_tensors(scope))
        unrolled += unrolled_cells(scope, folding)
        for node in scope.graph.nodes:
            if node.op not in _CELLS or node.domain not in DEFAULT_DOMAINS:
                if "LSTM" in node.op or "GRU" in node.op:
                    notes.append(
                        f"the node {node.name or node.op!r} ({node.domain}.{node.op}) is no standard one: not read"
                    )
                continue
            places = {"W": 1, "R": 2, "B": 3} | ({"P": 7} if node.op == "LSTM" else {})
            inputs = {key: folding.constant(scope, node.input(place)) for key, place in places.items()}
            one = _RecurrentNode(scope, node, inputs)
            if distinct.repeats(one):
                repeated += 1
                continue
            layers_of_node = _layers(one, path)
            if isinstance(layers_of_node, str):
                shape = () if inputs["R"] is None else inputs["R"].value.shape
                tensor = one.leaves[0][1] if one.leaves else None
                skipped[tensor] = Entry(f"{one.name}:R", shape, layers_of_node)
                continue
            distinct.add(one)
            layers += layers_of_node
            analysed |= {tensor: Entry(name, tensor.dims, one.name) for name, tensor in one.leaves}
            notes += _unread(one, places)
    if repeated:
        notes.append(f"{repeated} further recurrent node(s) hold weights already counted: other branches, or shared")
    notes += _unrolled_notes(unrolled, bool(layers))
    for cell in unrolled:
        skipped |= {tensor: entry for tensor, entry in cell.candidates if tensor not in analysed}
    rest = {tensor: name for tensor, name in constants.items() if tensor not in analysed and tensor not in skipped}
    for tensor, name in rest.items():
        if len(tensor.dims) == 2 and tensor.dims[0] == tensor.dims[1] > 1:
            skipped[tensor] = Entry(name, tensor.dims, "square, but no recurrent node uses it")
    other = sum(tensor not in skipped for tensor in rest)
    return layers, Coverage(tuple(analysed.values()), tuple(skipped.values()), tuple(dict.fromkeys(notes)), other)


def _scopes(model: Model) -> Iterator[Scope]:
    """Iterate over the main graph, and every body, branch and call of a function in it, outermost first."""
    pending, count = [(Scope(model.graph), 0)], 1
    while pending:
        scope, depth = pending.pop()
        yield scope
        inner: list[tuple[Scope, int]] = []
        for node in scope.graph.nodes:
            for name, graph in node.subgraphs:
                inner.append((Scope(graph, scope, (*scope.branches, (node, name)), {}, scope.attributes), depth + 1))
            function = model.functions.get((node.domain, node.op))
            if function is not None:
                inner.append((_scope_of_call(function, node, scope), depth + 1))
            if count + len(inner) > MAX_SCOPES:
                message = f"it unfolds to more than {MAX_SCOPES} graphs"
                raise WireError(message)
        if inner and depth >= MAX_DEPTH:
            message = f"functions and graphs are nested deeper than {MAX_DEPTH}"
            raise WireError(message)
        count += len(inner)
        pending += reversed(inner)


def _scope_of_call(function: Function, node: Node, scope: Scope) -> Scope:
    bindings = {name: (scope, value) for name, value in zip(function.inputs, node.inputs, strict=False) if value}
    resolved = {name: scope.attribute(node, name) for name in node.attributes}
    attributes = {name: attribute for name, attribute in resolved.items() if attribute is not None}
    return Scope(function.body, None, (*scope.branches, (node, "call")), bindings, attributes)


def _stored_tensors(scope: Scope) -> Iterator[tuple[Tensor, str]]:
    for name, tensor in scope.graph.tensors.items():
        if tensor.floating:
            yield tensor, name
    for node in scope.graph.nodes:
        value = node.attributes.get("value") if node.op == "Constant" else None
        if value is not None and value.tensor is not None and value.tensor.floating:
            yield value.tensor, node.outputs[0] if node.outputs else node.name


def _layers(one: _RecurrentNode, path: str) -> tuple[RecurrentLayer, ...] | str:
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
    kinds = {tensor.dtype for _, tensor in R.leaves}
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
                source=Source(path, tuple(name for name, _ in R.leaves), dtype=kinds.pop() if len(kinds) == 1 else ""),
            )
            return tuple(marked(layer) for layer in layers)
    except ArgumentError as error:
        return f"the weights of {one.name} do not fit together: {error}"


def _unread(one: _RecurrentNode, places: dict[str, int]) -> Iterator[str]:
    for key, place in places.items():
        if one.node.input(place) and one.inputs[key] is None:
            yield f"the input {key} of {one.name} is computed when the model runs, and is taken for absent"
    for name in _INEXPRESSIBLE:
        attribute = one.scope.attribute(one.node, name)
        if attribute is not None and (attribute.number or attribute.floats):
            yield f"{one.name} has the attribute {name}, which is not taken into account"


def _unrolled_notes(cells: list[UnrolledCell], layers: bool) -> Iterator[str]:
    for cell in cells:
        yield (
            f"{'further recurrence' if layers else 'no recurrent node'}; {cell.place} looks like an unrolled "
            f"{cell.cell} exported as MatMul + Split: the order of its gates is not in the file; "
            "read the model it was exported from"
        )
    if not cells and not layers:
        yield "no recurrent node found"


def _digest(array: np.ndarray) -> tuple[object, ...]:
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    return array.shape, array.dtype, blake2b(data, digest_size=16).digest()
