"""Errors of a conversion that take all gates of a weight at once: scales, cuts, shapes, bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from contextlib import suppress

import numpy as np

from unitcircle.diagnosis._decay_conversion import FEWEST, GROWN, SHIFT, SHRUNK, explains, in_double, relative_distance
from unitcircle.recurrence import RecurrentLayer

FITTED = 0.1
"""The share of a weight that a fitted scale or shift may leave: what further training moves."""
INVERTED = 512
"""Of more units the inverse is not tried."""
SAME = 0.99
"""The share of entries that bytes of another meaning give exactly."""
_ELEMENTWISE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "are their absolute values": np.abs,
    "have lost their negative entries": lambda x: np.maximum(x, 0),
    "have lost their positive entries": lambda x: np.minimum(x, 0),
    "are squared": np.square,
    "are rounded to whole numbers": np.rint,
}
_SQUARE: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "have lost all but their diagonals": lambda x: x * np.eye(x.shape[-1]),
    "have lost their diagonals": lambda x: x * (1 - np.eye(x.shape[-1])),
    "have lost what is above their diagonals": np.tril,
    "have lost what is below their diagonals": np.triu,
    "have the identity added": lambda x: x + np.eye(x.shape[-1]),
    "have the identity taken away": lambda x: x - np.eye(x.shape[-1]),
    "are replaced by the identity": lambda x: np.broadcast_to(np.eye(x.shape[-1]), x.shape),
}


def stack_errors(before: RecurrentLayer, after: RecurrentLayer, kinds: Set[str]) -> Iterator[str]:
    """Yield what explains a change of the weights of a layer by one operation on all its gates."""
    gates = before.cell.gates
    stacks: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    for kind, old, new in (("recurrent", before.gates, after.gates), ("input", before.inputs, after.inputs)):
        if gates and all(gate in blocks for blocks in (old, new) for gate in gates):
            x, y = (np.stack([in_double(blocks[gate]) for gate in gates]) for blocks in (old, new))
            if x.shape == y.shape and np.isfinite(x).all() and np.isfinite(y).all():
                stacks[kind] = x, y
    if len(stacks) == 2 and kinds >= {"recurrent", "input"}:
        (w, v), (u, z) = stacks["recurrent"], stacks["input"]
        if w.shape == u.shape and explains(u, w, v) and explains(w, u, z):
            yield "the recurrent and the input weights are exchanged"
            return
    for kind, (x, y) in stacks.items():
        if kind in kinds and (text := _of_stack(x, y, square=kind == "recurrent")):
            yield f"the {kind} weights {text}"


def _of_stack(x: np.ndarray, y: np.ndarray, *, square: bool) -> str:
    """Return what explains a stack of all gates ``(gates, units, columns)``, without its noun; or ""."""
    if (y == y.flat[0]).all() and np.ptp(x) > 0:
        return f"are all {y.flat[0]:.4g}"
    whole, count = x.reshape(-1, x.shape[-1]), len(x)
    shapes = {
        "are reshaped where they should be transposed": whole.T.reshape(x.shape),
        "are transposed where they should be reshaped": whole.reshape(whole.shape[::-1]).T.reshape(x.shape),
        "have all their rows in reverse order": whole[::-1].reshape(x.shape),
    }
    for shards in (2, 4, 8):
        if x.shape[1] % shards == 0:
            first = x[:, : x.shape[1] // shards]
            shapes[f"hold the first of {shards} shards {shards} times"] = np.tile(first, (1, shards, 1))
        if count == 1 or len(whole) % shards:
            continue
        shapes[f"hold the first of {shards} shards of all gates {shards} times"] = np.tile(
            whole[: len(whole) // shards], (shards, 1)
        ).reshape(x.shape)
    candidates = shapes | {text: op(x) for text, op in _ELEMENTWISE.items()}
    if square:
        candidates |= {text: op(x) for text, op in _SQUARE.items()}
        if x.shape[1] <= INVERTED:
            with suppress(np.linalg.LinAlgError):
                candidates["are inverted"] = np.linalg.inv(x)
    best = min(candidates, key=lambda text: relative_distance(candidates[text], y))
    left = relative_distance(candidates[best], y)
    if left < 2 * FITTED and left < relative_distance(x, y) / 4:
        return best
    return _zero_part(x, y) or _clipped(x, y) or _scaled(x, y) or _other_bytes(x, y)


def _zero_part(x: np.ndarray, y: np.ndarray) -> str:
    """Return which units are zero where the others are what they were."""
    for noun, axis in (("rows", (0, 2)), ("columns", (0, 1))):
        zero = np.asarray((y == 0).all(axis=axis) & (x != 0).any(axis=axis))
        keep = np.expand_dims(~zero, axis)
        if zero.any() and not zero.all() and explains(x * keep, x, y):
            return f"have {zero.sum()} of {zero.size} {noun} of zeros (from {int(zero.argmax())})"
    return ""


def _clipped(x: np.ndarray, y: np.ndarray) -> str:
    low, high = float(y.min()), float(y.max())
    many = min((y == low).sum(), (y == high).sum()) > 1
    return f"are clipped to ({low:.3g}, {high:.3g})" if many and explains(np.clip(x, low, high), x, y) else ""


def _scaled(x: np.ndarray, y: np.ndarray) -> str:
    """Return the factor, or the factors of rows or columns, that a weight was multiplied by."""
    for noun, axis in (("", None), ("rows", 2), ("columns", (0, 1))):
        kept = axis is not None
        with np.errstate(all="ignore"):
            factor = np.asarray((x * y).sum(axis=axis, keepdims=kept) / (x * x).sum(axis=axis, keepdims=kept))
        low, high = float(factor.min()), float(factor.max())
        if not np.isfinite(factor).all() or relative_distance(y, factor * x) > FITTED or x.size < FEWEST * factor.size:
            continue
        if noun == "" and not SHRUNK < low < GROWN:
            return f"are multiplied by {low:.3g}"
        if noun and low > 0 and not SHRUNK < low <= high < GROWN:
            return f"have their {noun} multiplied by {low:.3g} to {high:.3g}"
    return ""


def _other_bytes(x: np.ndarray, y: np.ndarray) -> str:
    """Return how bytes were read that were written as another type."""
    single = x.astype(np.float32)
    bits = single.view(np.uint32)
    brain = ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    half = x.astype(np.float16).view(np.uint16)
    with np.errstate(all="ignore"):
        readings = {
            "are bfloat16 read as float16": brain.view(np.float16),
            "are float16 read as bfloat16": (half.astype(np.uint32) << 16).view(np.float32),
            "are read in the other order of bytes": single.byteswap(),
        }
        return next((text for text, one in readings.items() if (one == y.astype(one.dtype)).mean() > SAME), "")


def bias_errors(before: RecurrentLayer, after: RecurrentLayer) -> Iterator[str]:
    """Yield what explains a change of the biases by a scale, a shift of one gate, or an order of units."""
    zero = np.zeros(before.hidden_size)
    gates = before.cell.gates
    if not gates or before.hidden_size < FEWEST:
        return
    x, y = (np.stack([in_double(layer.biases.get(gate, zero)) for gate in gates]) for layer in (before, after))
    if not (np.isfinite(x).all() and np.isfinite(y).all() and x.any()):
        return
    shifts = {gate: (float(d.mean()), float(d.std())) for gate, d in zip(gates, y - x, strict=True)}
    even = {gate: mean for gate, (mean, spread) in shifts.items() if abs(mean) > SHIFT and spread < FITTED * abs(mean)}
    if even:
        for gate, mean in even.items():
            yield f"the bias of gate {gate} is {'higher' if mean > 0 else 'lower'} by {abs(mean):.3g} in all units"
        return
    factor = float((x * y).sum() / (x * x).sum())
    if relative_distance(y, factor * x) < FITTED and not SHRUNK < factor < GROWN:
        yield f"the biases are multiplied by {factor:.3g}"
        return
    order = ((y.T[:, None] - x.T) ** 2).sum(-1).argmin(1)  # of each unit, which it was
    moved = len(np.unique(order)) == len(order) and (order != np.arange(len(order))).any()
    if moved and explains(x[:, order], x, y):
        yield "the units of the biases are in another order"
