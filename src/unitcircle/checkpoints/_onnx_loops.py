"""Bodies of Loop and Scan nodes: what their inputs stand for, and what multiplies their state."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.checkpoints._onnx_folding import DEFAULT_DOMAINS, Constant, Folding, Scope
from unitcircle.checkpoints._onnx_graph import Graph, Node

MAX_COPIES = 16
"""Identity operations between an input of a body and the output that carries it on."""
LOOPS = frozenset({"Loop", "Scan"})
_PRODUCTS = frozenset({"MatMul", "Gemm", "FusedMatMul", "MatMulInteger", "QLinearMatMul", "Conv"})
# What these give is no longer the state, but an index, a size or a decision.
_ENDS = frozenset(
    {"And", "ArgMax", "ArgMin", "Constant", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "NonZero"}
    | {"Not", "Or", "Shape", "Size", "TopK"}
)


def body_scope(node: Node, name: str, graph: Graph, outer: Scope, /) -> Scope:
    """Return the scope of a body or branch: of a loop with its states, and the values that no step changes."""
    branches = (*outer.branches, (node, name))
    if node.op not in LOOPS or node.domain not in DEFAULT_DOMAINS:
        return Scope(graph, outer, branches, {}, outer.attributes)
    formals = list(graph.inputs)
    given = list(node.inputs)
    if node.op == "Loop":  # iteration, condition, states; the outputs begin with the condition
        count, shift = len(formals), 1
        first = 2
    else:  # states, then slices; the outputs begin with the states. The oldest Scan has lengths before them.
        slices = node.attributes.get("num_scan_inputs")
        count = min(max(len(formals) - int(slices.number if slices is not None else 0), 0), len(formals))
        shift = first = 0
        given = given[len(given) - len(formals) :] if len(given) > len(formals) else given
    bindings: dict[str, tuple[Scope, str]] = {}
    states: dict[str, str] = {}
    for place in range(first, count):
        formal, output = formals[place], graph.outputs[place - shift : place - shift + 1]
        source = given[place] if place < len(given) else ""
        if output and _copied(graph, output[0]) == formal:
            if source:
                bindings[formal] = outer, source
        elif output:
            states[formal] = output[0]
    sliced = {formal: (outer, source) for formal, source in zip(formals[count:], given[count:], strict=False) if source}
    return Scope(graph, outer, branches, bindings, outer.attributes, states, sliced)


def _copied(graph: Graph, name: str) -> str:
    for _ in range(MAX_COPIES):
        node, _place = graph.producers.get(name, (None, 0))
        if node is None or node.op != "Identity":
            break
        name = node.input(0)
    return name


def products_of_state(scope: Scope, folding: Folding, /) -> Iterator[tuple[str, Constant | None]]:
    """Iterate over the products of a loop's state that its next state depends on: their names and weights."""
    if not scope.states:
        return
    reached = set(scope.states)
    products: list[tuple[Node, str]] = []
    for node in scope.graph.nodes:
        data = node.inputs[:1] if node.op == "Gather" else node.inputs
        if node.op in _ENDS or reached.isdisjoint(data):
            continue
        reached.update(node.outputs)
        weight = next((name for name in reversed(node.inputs[:4]) if name and name not in reached), "")
        if node.op in _PRODUCTS and weight:
            products.append((node, node.input(3) if node.op == "QLinearMatMul" else node.input(1)))
    needed = set(scope.states.values())
    pending = list(needed)
    while pending:
        node, _ = scope.graph.producers.get(pending.pop(), (None, 0))
        if node is not None and node.op not in _ENDS:
            fresh = [name for name in node.inputs[: 1 if node.op == "Gather" else None] if name not in needed]
            needed.update(fresh)
            pending += fresh
    for node, weight in products:
        if node.outputs and node.outputs[0] in needed and scope.home(weight)[1] not in reached:
            yield weight, folding.constant(scope, weight)
