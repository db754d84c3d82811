"""What may be a recurrent cell whose parts cannot be told: a product that is split into gates."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from unitcircle.checkpoints._coverage import Entry
from unitcircle.checkpoints._onnx_folding import Folding, Scope
from unitcircle.checkpoints._onnx_graph import Node, Tensor

_GATE_ACTIVATIONS = frozenset({"Sigmoid", "HardSigmoid"})
_FORWARD = frozenset({"Add", "Mul", "Identity", "Squeeze", "Unsqueeze"})
_BACKWARD = frozenset({"Add", "Identity", "Squeeze", "Unsqueeze", "Reshape", "Transpose"})
_PRODUCTS = frozenset({"MatMul", "Gemm"})
_HOPS = 4


@dataclass(frozen=True)
class SplitProduct:
    """A product that is split as the gates of one cell are."""

    cell: str  # "LSTM" or "GRU"
    place: str  # The Split that separates its gates
    # The stored matrices of the shape of a recurrent stack in the products that feed it.
    candidates: tuple[tuple[Tensor, Entry], ...]


def split_products(scope: Scope, folding: Folding, /) -> list[SplitProduct]:
    """Return the products of a graph that are split into gates."""
    # A product is split into the gates of a cell: four, three of which go through a sigmoid (LSTM), or three, two
    # of which do (GRU).
    consumers: dict[str, list[Node]] = defaultdict(list)
    splits = [node for node in scope.graph.nodes if node.op == "Split" and len(node.outputs) in {3, 4}]
    if not splits:
        return []
    for node in scope.graph.nodes:
        for name in node.inputs:
            consumers[name].append(node)
    cells: list[SplitProduct] = []
    for node in splits:
        count = len(node.outputs)
        gates = sum(_reaches_gate(name, consumers) for name in node.outputs)
        if gates == count - 1:
            candidates = tuple(_candidates(scope, folding, node, count))
            # The products of x and of h of a GRU are split apart from each other: each names its own matrix.
            if candidates:
                cells.append(SplitProduct("LSTM" if count == 4 else "GRU", node.name or node.outputs[0], candidates))
    return cells


def _reaches_gate(name: str, consumers: dict[str, list[Node]]) -> bool:
    reached = {name}
    for _ in range(2):
        nodes = [node for value in reached for node in consumers.get(value, [])[:_HOPS]]
        if any(node.op in _GATE_ACTIVATIONS for node in nodes):
            return True
        if any(node.op == "Tanh" for node in nodes):
            return False
        reached = {value for node in nodes if node.op in _FORWARD for value in node.outputs}
    return False


def _candidates(scope: Scope, folding: Folding, split: Node, count: int) -> Iterator[tuple[Tensor, Entry]]:
    values = {split.input(0)}
    for _ in range(_HOPS):
        producers = [scope.graph.producers[value][0] for value in values if value in scope.graph.producers]
        for node in producers:
            if node.op not in _PRODUCTS:
                continue
            for factor in (folding.constant(scope, name) for name in node.inputs):
                for name, tensor in factor.leaves if factor is not None else ():
                    if len(tensor.dims) == 2 and max(tensor.dims) == count * min(tensor.dims) > count:
                        reason = (
                            f"a factor of the product that {split.name or split.outputs[0]} splits into {count} gates"
                        )
                        yield tensor, Entry(name, tensor.dims, reason, undecided=True)
        values = {value for node in producers if node.op in _BACKWARD for value in node.inputs}
