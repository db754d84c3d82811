"""ONNX files: the LSTM, GRU and RNN nodes, wherever they are, with the weights that constants make up."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from unitcircle.checkpoints._coverage import Coverage, Entry
from unitcircle.checkpoints._onnx_affine import Affines
from unitcircle.checkpoints._onnx_cells import layer_of, same_weights
from unitcircle.checkpoints._onnx_folding import Constant, Folding, Scope
from unitcircle.checkpoints._onnx_graph import ExternalDataError, Function, Model, Node, Tensor
from unitcircle.checkpoints._onnx_loops import body_scope, products_of_state
from unitcircle.checkpoints._onnx_nodes import Distinct, layers_of_node, recurrent_node, remarks
from unitcircle.checkpoints._onnx_splits import SplitProduct, split_products
from unitcircle.checkpoints._onnx_unrolled import Finder, UnrolledCell
from unitcircle.checkpoints._onnx_wire import WireError
from unitcircle.checkpoints._room import admit, work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import Cell, RecurrentLayer

MAX_BYTES = 1 << 31
"""Protocol buffers end here; a larger model has its tensors in other files."""
MAX_DEPTH = 32
STEPS_OF_NODE = 20
MAX_SCOPES = 10_000
"""Bodies, branches and calls. Two calls in each function of a chain make 2^n of a few hundred bytes."""
_RECURRENT = re.compile(r"LSTM|GRU|RNN|Recurrent|Mamba|SelectiveScan|StateSpace|DeltaNet|LinearAttention")


def read_onnx(path: str | Path, /) -> tuple[list[RecurrentLayer], Coverage]:
    """Read the recurrent layers of an ONNX file, with no other library."""
    # A node's weights may be stored, or be what a chain of Slice, Concat, Transpose, ... makes of stored tensors.
    # Nodes in different branches of an If that hold the same weights are one layer.
    path = Path(path)
    with _refusals(path):
        return _read(_model(path), Folding(), str(path))


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
    admit(path)
    return Model.parse(path.read_bytes())


@dataclass
class _Reading:
    """What has been found in a model so far."""

    folding: Folding
    path: str
    layers: list[RecurrentLayer] = field(default_factory=list[RecurrentLayer])
    analysed: dict[Tensor, Entry] = field(default_factory=dict[Tensor, Entry])
    skipped: dict[Tensor | Node, Entry] = field(default_factory=dict["Tensor | Node", Entry])
    notes: list[str] = field(default_factory=list[str])
    unread: list[str] = field(default_factory=list[str])

    def nodes(self, scope: Scope, distinct: Distinct, functions: Container[tuple[str, str]]) -> int:
        """Read the recurrent nodes of a graph; return how many repeat others."""
        repeated = 0
        for node in scope.graph.nodes:
            one = recurrent_node(scope, node, self.folding)
            if one is None:
                if _RECURRENT.search(node.op) and (node.domain, node.op) not in functions:
                    name = f"{node.domain}.{node.op}".removeprefix(".")
                    self.unread.append(f"the node {node.name or node.op!r} ({name!r}) looks recurrent: not read")
            elif distinct.repeats(one):
                repeated += 1
            else:
                made = layers_of_node(one, self.path)
                if isinstance(made, str):
                    shape = () if one.inputs["R"] is None else one.inputs["R"].value.shape
                    self.skipped[one.leaves[0][1] if one.leaves else node] = Entry(f"{one.name}:R", shape, made)
                    self.unread.append(f"the node {one.name} ({node.op}) is recurrent: not read, for {made}")
                    continue
                distinct.add(one)
                self.layers += made
                self._analyse(one.leaves, one.name)
                self.notes += remarks(one)
        return repeated

    def cells(self, cells: list[UnrolledCell], affines: Affines) -> None:
        """Read the cells that were taken apart."""
        failed: list[list[UnrolledCell]] = []
        for steps in same_weights(cells):
            made = layer_of(steps, affines, self.path)
            if made is None:
                failed.append(steps)
            else:
                self.layers.append(made[0])
                self._analyse(made[1], made[0].name)
        nameless: dict[str, list[str]] = defaultdict(list)
        for steps in failed:
            leaves = dict.fromkeys(leaf for weight in steps[0].weights for leaf in weight.leaves)
            # The first step of a layer that was read may have no state to multiply.
            if not leaves or any(tensor not in self.analysed for _, tensor in leaves):
                what = {Cell.LSTM: "an LSTM", Cell.GRU: "a GRU"}.get(steps[0].cell, "a plain RNN")
                if not leaves:
                    nameless[what].append(steps[0].place)
                    continue
                names = ", ".join(name for name, _ in leaves)
                self.unread.append(f"{steps[0].place} looks like {what} taken apart ({names:.300}): not read")
                self._doubt(leaves, f"a factor in what looks like {what} taken apart at {steps[0].place}")
        for what, places in nameless.items():
            more = f", and {len(places) - 1} more" if len(places) > 1 else ""
            reason = "its gates are no products of stored weights"
            self.unread.append(f"{places[0]}{more} looks like {what} taken apart ({reason}): not read")

    def splits(self, splits: Iterable[SplitProduct]) -> None:
        """Say what else is split as gates are."""
        for split in splits:
            if any(tensor not in self.analysed and tensor not in self.skipped for tensor, _ in split.candidates):
                names = ", ".join(entry.name for _, entry in split.candidates)
                self.unread.append(
                    f"{split.place} looks like an unrolled {split.cell} exported as MatMul + Split ({names:.300}), "
                    "whose state is not in the graph: not read"
                )
                self.skipped |= {tensor: entry for tensor, entry in split.candidates if tensor not in self.analysed}

    def loop(self, scope: Scope) -> None:
        """Say where a loop multiplies its state by weights that went into no layer."""
        found = [(name, weight) for name, weight in products_of_state(scope, self.folding) if self._is_new(weight)]
        if found:
            node = scope.branches[-1][0]
            names = ", ".join(dict.fromkeys(name for name, _ in found))
            self.unread.append(
                f"the loop {node.name or node.outputs[0]} multiplies its state by {names:.300}, which looks like a "
                "recurrent cell: not read"
            )
            leaves = dict.fromkeys(leaf for _, weight in found if weight is not None for leaf in weight.leaves)
            self._doubt(leaves, "a factor of the state of a loop")

    def coverage(self, constants: Mapping[Tensor, str]) -> Coverage:
        """Return what became of every tensor."""
        if not self.layers and not self.unread:
            self.notes.append("no recurrent node found")
        rest = {tensor: name for tensor, name in constants.items() if tensor not in self.analysed | self.skipped}
        for tensor, name in rest.items():
            if len(tensor.dims) == 2 and tensor.dims[0] == tensor.dims[1] > 1:
                self.skipped[tensor] = Entry(name, tensor.dims, "square, but no recurrent node uses it")
        other = sum(tensor not in self.skipped for tensor in rest)
        notes, unread = (tuple(dict.fromkeys(texts)) for texts in (self.notes, self.unread))
        return Coverage(tuple(self.analysed.values()), tuple(self.skipped.values()), notes, other, unread)

    def _analyse(self, leaves: Iterable[tuple[str, Tensor]], layer: str) -> None:
        self.analysed |= {tensor: Entry(name, tensor.dims, layer) for name, tensor in leaves}

    def _doubt(self, leaves: Iterable[tuple[str, Tensor]], reason: str) -> None:
        self.skipped |= {
            tensor: Entry(name, tensor.dims, reason, undecided=len(tensor.dims) == 2)
            for name, tensor in leaves
            if tensor not in self.analysed and len(tensor.dims) > 1
        }

    def _is_new(self, weight: Constant | None) -> bool:
        leaves = () if weight is None else weight.leaves
        return not leaves or any(tensor not in self.analysed for _, tensor in leaves)


def _read(model: Model, folding: Folding, path: str) -> tuple[list[RecurrentLayer], Coverage]:
    reading, distinct, affines = _Reading(folding, path), Distinct(), Affines(folding)
    constants: dict[Tensor, str] = {}
    cells: list[UnrolledCell] = []
    splits: list[SplitProduct] = []
    loops: list[Scope] = []
    repeated = 0
    for scope in _scopes(model):
        constants |= dict(_stored_tensors(scope))
        repeated += reading.nodes(scope, distinct, model.functions)
        cells += Finder(scope, affines).cells()
        splits += split_products(scope, folding)
        loops += [scope] if scope.states else []
    if repeated:
        reading.notes.append(
            f"{repeated} further recurrent node(s) hold weights already counted: other branches, or shared"
        )
    reading.cells(cells, affines)
    reading.splits(splits)
    for scope in loops:
        reading.loop(scope)
    return reading.layers, reading.coverage(constants)


def _scopes(model: Model) -> Iterator[Scope]:
    """Iterate over the main graph, and every body, branch and call of a function in it, outermost first."""
    pending, count = [(Scope(model.graph), 0)], 1
    while pending:
        scope, depth = pending.pop()
        work(STEPS_OF_NODE * len(scope.graph.nodes), "its graphs")
        yield scope
        inner: list[tuple[Scope, int]] = []
        for node in scope.graph.nodes:
            for name, graph in node.subgraphs:
                inner.append((body_scope(node, name, graph, scope), depth + 1))
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
