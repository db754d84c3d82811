"""Whether a recurrence is gated: its update multiplies something that depends on the state by a bounded gate."""

from __future__ import annotations

from collections.abc import Collection

from torch import Tensor

from unitcircle.dynamics._carried_values import CarriedValues, Variable
from unitcircle.dynamics._run_graph import Value

_FACTORS = {
    "Mul": (("self", 0), ("other", 1)),
    "Addcmul": (("tensor1", 1), ("tensor2", 2)),
    "Lerp": (("weight", 2),),
}
"""Operation → its factors: under what name they are saved, and which input they are."""
_BOUNDED = {"Sigmoid", "Hardsigmoid", "Tanh", "Hardtanh", "Clamp", "Exp"}
"""Operations whose results are bounded, or are so where their values are seen to be."""
_AFFINE = {
    *{"Add", "Sub", "Rsub", "Neg", "Mul", "Div", "Alias", "AsStrided", "Cat", "Chunk", "Clone", "Expand", "Index"},
    *{"Permute", "Repeat", "Reshape", "ReshapeAlias", "Select", "Slice", "Split", "SplitWithSizes", "Squeeze"},
    *{"Stack", "T", "ToCopy", "Transpose", "Unbind", "UnsafeSplit", "UnsafeView", "Unsqueeze", "View"},
}
"""Operations that scale, shift and arrange values."""
_WHOLE = {"Glu", "ThnnFusedGruCell", "ThnnFusedLstmCell"}
"""Operations that multiply by a sigmoid inside."""


def is_gated(loop: CarriedValues, group: Collection[Variable], /) -> bool:
    """Return whether the update of a state multiplies a value that depends on it by a gate."""
    # A gate is computed from the input or the state by a bounded function, scaled and shifted, in the step or for all
    # steps before the loop, and its values lie in [0, 1]. A leak that parameters alone give is none.
    variables = set(group)
    middle = loop.count // 2  # the first iteration may begin with constants

    def depends(value: Value | None) -> bool:
        if value is None or value.node not in loop.places:
            return False
        earlier = loop.iteration(value.node) != middle
        return loop.variable_of(value) in variables if earlier else bool(loop.influences[value.node] & variables)

    for node in loop.between(variables):
        if loop.iteration(node) != middle:
            continue
        kind, edges = _kind(loop, node), loop.graph.edges[node]
        if kind in _WHOLE:
            return True
        for saved, slot in _FACTORS.get(kind, ()):
            others = [value for k, value in enumerate(edges) if k != slot]
            gate = edges[slot] if slot < len(edges) else None
            if gate is not None and any(map(depends, others)) and _is_bounded(loop, gate, middle):
                values = getattr(loop.graph.nodes[node], f"_saved_{saved}", None)
                if isinstance(values, Tensor) and not values.is_complex() and _is_fraction(values):
                    return True
    return False


def _kind(loop: CarriedValues, node: int) -> str:
    return loop.graph.name(node).partition("Backward")[0]


def _is_bounded(loop: CarriedValues, gate: Value, iteration: int) -> bool:
    """Return whether a value is made from bounded functions alone, scaled and shifted, in no other iteration."""
    waiting, seen, found = [gate], {gate.node}, False
    while waiting:
        node = waiting.pop().node
        if loop.graph.weights[node]:
            continue
        if node in loop.places and loop.iteration(node) != iteration:
            return False
        if (kind := _kind(loop, node)) in _BOUNDED:
            found = True
        elif kind in _AFFINE:
            new = [value for value in loop.graph.edges[node] if value is not None and value.node not in seen]
            seen |= {value.node for value in new}
            waiting += new
        else:
            return False
    return found


def _is_fraction(values: Tensor) -> bool:
    values = values.detach()
    return bool(((values >= 0) & (values <= 1)).all())
