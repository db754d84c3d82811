"""The common errors of a conversion, and which of them explains a change."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from unitcircle.diagnosis._decay_conversion import EXPLAINED, decay_errors, explains, in_double, relative_distance
from unitcircle.diagnosis._unit_order import orders
from unitcircle.diagnosis._weight_conversion import bias_errors, stack_errors
from unitcircle.recurrence import RecurrentLayer

Blocks = Mapping[str, np.ndarray]
Operation = Callable[[np.ndarray], np.ndarray]


def conversion_errors(
    before: RecurrentLayer, after: RecurrentLayer, others: Sequence[RecurrentLayer], changed: Sequence[str]
) -> list[str]:
    """Return the errors that explain what changed between two layers, one sentence each."""
    errors: list[str] = []
    kinds = {part.partition(" ")[0] for part in changed}
    if kinds & {"recurrent", "input"} and (other := _weights_of_another(before, after, others)):
        return [f"it holds the weights of {other}"]
    for kind, noun, x, y in (
        ("recurrent", "recurrent weights", before.gates, after.gates),
        ("input", "input weights", before.inputs, after.inputs),
    ):
        if kind in kinds:
            errors += _of_weights(noun, x, y, square=kind == "recurrent" or before.input_size == before.hidden_size)
    if not errors and (whole := list(orders(before, after, kinds)) or list(stack_errors(before, after, kinds))):
        return whole
    if "bias" in kinds:
        errors += list(_of_biases(before, after, others)) or list(bias_errors(before, after))
    if before.linear is not None and after.linear is not None:
        errors += decay_errors(before.linear, after.linear, kinds, others)
    return list(dict.fromkeys(errors))


def _weights_of_another(before: RecurrentLayer, after: RecurrentLayer, others: Sequence[RecurrentLayer]) -> str:
    for other in others:
        if other is before or other.gates.keys() != before.gates.keys() or other.hidden_size != before.hidden_size:
            continue
        if all(
            explains(in_double(other.gates[g]), in_double(before.gates[g]), in_double(after.gates[g]))
            for g in before.gates
        ):
            return other.label
    return ""


_WORDS: dict[str, Operation] = {
    "": lambda x: x,
    "transposed": lambda x: x.T,
    "of changed sign": lambda x: -x,
    "transposed and of changed sign": lambda x: -x.T,
}


def _of_weights(noun: str, x: Blocks, y: Blocks, *, square: bool) -> Iterator[str]:
    """Yield what explains a change of weights: each gate of B is a gate of A, turned or not."""
    words = _WORDS if square else {key: value for key, value in _WORDS.items() if "transposed" not in key}
    found: dict[str, tuple[str, str]] = {}
    old = {gate: in_double(block) for gate, block in x.items()}
    for gate, block in y.items():
        new = in_double(block)
        candidates = [(relative_distance(op(old[g]), new), g, word) for g in old for word, op in words.items()]
        best, source, word = min(candidates, key=lambda item: item[0])
        own = relative_distance(old[gate], new) if gate in old else np.inf
        if best < EXPLAINED and (best < EXPLAINED * own or own < EXPLAINED):
            found[gate] = (source, word) if best < EXPLAINED * own else (gate, "")
        elif not new.any() and gate in old and old[gate].any():
            found[gate] = (gate, "zero")
    broken = [gate for gate, block in y.items() if gate in old and not np.isfinite(block).all()]
    if broken and all(np.isfinite(old[gate]).all() for gate in broken):
        yield f"the {noun} of {_gates(broken, len(y))} hold entries that are NaN or infinite"
    yield from _order(noun, {gate: source for gate, (source, _) in found.items()})
    by_word: dict[str, list[str]] = {}
    for gate, (_, word) in found.items():
        by_word.setdefault(word, []).append(gate)
    for word, gates in by_word.items():
        if word:
            yield f"the {noun} of {_gates(gates, len(y))} are {word}"


def _order(noun: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield which gates are swapped, or in another order."""
    moved = {gate: source for gate, source in sources.items() if gate != source}
    pairs = {tuple(sorted((gate, source))) for gate, source in moved.items() if moved.get(source) == gate}
    for one, two in sorted(pairs, key=lambda pair: list(sources).index(pair[0])):
        first, second = sorted((one, two), key=list(sources).index)
        yield f"the {noun} of gates {first} and {second} are swapped"
    rest = {gate: source for gate, source in moved.items() if moved.get(source) != gate}
    if rest:
        yield f"the {noun} of gates {', '.join(rest)} are those of gates {', '.join(rest.values())}"


def _of_biases(before: RecurrentLayer, after: RecurrentLayer, others: Sequence[RecurrentLayer]) -> Iterator[str]:
    gates = before.cell.gates
    zero = np.zeros(before.hidden_size)
    x, y = ({gate: in_double(layer.biases.get(gate, zero)) for gate in gates} for layer in (before, after))
    whole_x, whole_y = (np.concatenate([blocks[gate] for gate in gates]) for blocks in (x, y))
    if whole_x.any() and not whole_y.any():
        yield "the biases are missing"
        return
    if np.isfinite(whole_x).all() and not np.isfinite(whole_y).all():
        yield "the biases hold entries that are NaN or infinite"
        return
    parts = {part: _whole(blocks, gates, zero) for part, blocks in before.bias_parts.items()}
    wholes: dict[str, np.ndarray] = {"the biases are doubled": 2 * whole_x, "the biases have changed sign": -whole_x}
    for part, whole in parts.items():
        if any(other.any() for name, other in parts.items() if name != part):
            wholes[f"only the {part} part of the biases is there"] = whole
            wholes[f"the {part} part of the biases is there twice"] = 2 * whole
    for other in others:
        if other is not before and other.cell is before.cell and other.hidden_size == before.hidden_size:
            wholes[f"the biases are those of {other.label}"] = _whole(other.biases, gates, zero)
    best = min(wholes, key=lambda text: relative_distance(wholes[text], whole_y))
    if relative_distance(wholes[best], whole_y) < EXPLAINED * min(1.0, relative_distance(whole_x, whole_y)):
        yield best
        return
    moved = [gate for gate in gates if relative_distance(x[gate], y[gate]) > 0]
    if before.bias_parts.keys() == after.bias_parts.keys() and before.bias_parts:
        for part, blocks in before.bias_parts.items():
            yield from _of_weights("biases", blocks, after.bias_parts[part], square=False)
        return
    if len(moved) > 1 and all(x[gate].any() for gate in moved):
        yield from _of_weights("biases", x, y, square=False)
    yield from (f"the bias of gate {gate} is missing" for gate in moved if x[gate].any() and not y[gate].any())
    for gate in moved:
        if len(moved) == 1 and explains(-x[gate], x[gate], y[gate]):
            yield f"the bias of gate {gate} has changed sign"


def _whole(blocks: Blocks, gates: Sequence[str], zero: np.ndarray) -> np.ndarray:
    return np.concatenate([in_double(blocks.get(gate, zero)) for gate in gates])


def _gates(gates: Sequence[str], count: int) -> str:
    if len(gates) == count and count > 1:
        return "all gates"
    return f"gate {gates[0]}" if len(gates) == 1 else f"gates {', '.join(gates)}"
