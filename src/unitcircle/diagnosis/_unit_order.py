"""Units, rows, columns and interleaved gates that a conversion put in another order."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from unitcircle.diagnosis._decay_conversion import explains, in_double, relative_distance
from unitcircle.recurrence import RecurrentLayer

SAME = 2.0**-7
"""Weights of half precision in another order are as near."""
MOST_UNITS = 2048
"""Of more units the orders are not tried: they cost the square of their number."""


def orders(before: RecurrentLayer, after: RecurrentLayer, kinds: Collection[str]) -> Iterator[str]:
    """Yield the orders of gates and units that explain a change of the weights of a layer."""
    gates = before.cell.gates
    if before.hidden_size > MOST_UNITS or after.hidden_size != before.hidden_size:
        return
    for kind, noun, old, new in (
        ("recurrent", "recurrent weights", before.gates, after.gates),
        ("input", "input weights", before.inputs, after.inputs),
    ):
        if kind not in kinds or not all(gate in blocks for blocks in (old, new) for gate in gates):
            continue
        x, y = (np.stack([in_double(blocks[gate]) for gate in gates]) for blocks in (old, new))
        if x.shape != y.shape or not (np.isfinite(x).all() and np.isfinite(y).all()):
            continue
        yield from _of_stack(noun, x, y, square=kind == "recurrent")


def orders_of_units(pairs: Sequence[tuple[RecurrentLayer, RecurrentLayer]], /) -> dict[int, np.ndarray]:
    """Return the id of each layer that does what it did with its units in another order -> that order."""
    found: dict[int, np.ndarray] = {}
    for before, after in pairs:
        order = _reordered(before, after, found.values())
        if order is not None:
            found[id(before)] = order
    return found


def _reordered(before: RecurrentLayer, after: RecurrentLayer, inputs: Iterable[np.ndarray]) -> np.ndarray | None:
    """Return the one order in which all of a layer is, with inputs in one of some orders or as before; None if none."""
    # Rows and columns of the recurrent weights, rows of the input weights, and biases.
    gates = before.cell.gates
    if not gates or before.hidden_size > MOST_UNITS or after.hidden_size != before.hidden_size:
        return None
    w, v = (np.stack([in_double(layer.gates[gate]) for gate in gates]) for layer in (before, after))
    finite = not np.array_equal(w, v) and np.isfinite(w).all() and np.isfinite(v).all()
    units = _order(_signature(w), _signature(v)) if finite else None
    found = np.arange(before.hidden_size) if units is None else units
    columns = [np.arange(before.input_size or 0), *(order for order in inputs if len(order) == before.input_size)]
    same = _alike(w[:, found][:, :, found], v) and all(
        old.keys() == new.keys() and all(_alike(in_double(old[gate])[found], in_double(new[gate])) for gate in old)
        for old, new in ((before.biases, after.biases), (before.recurrent_biases, after.recurrent_biases))
    )
    fed = before.inputs.keys() == after.inputs.keys() and any(
        all(_alike(in_double(before.inputs[gate])[found][:, order], in_double(after.inputs[gate])) for gate in gates)
        for order in (columns if before.inputs else ())
    )
    return found if same and (fed or not before.inputs) else None


def _alike(x: np.ndarray, y: np.ndarray) -> bool:
    return relative_distance(x, y) < SAME or not (x.any() or y.any())


def _of_stack(noun: str, x: np.ndarray, y: np.ndarray, *, square: bool) -> Iterator[str]:
    """Yield what explains a stack of all gates ``(gates, units, columns)`` by another order of its entries."""
    interleaved = {
        f"the {noun} have their gates interleaved, unit by unit": x.swapaxes(0, 1).reshape(x.shape),
        f"the {noun} have their units interleaved, gate by gate": x.reshape(x.shape[1], x.shape[0], -1).swapaxes(0, 1),
    }
    for text, candidate in interleaved.items():
        if len(x) > 1 and explains(candidate, x, y):
            yield text
            return
    rows = _order(x.swapaxes(0, 1), y.swapaxes(0, 1))
    if rows is not None and explains(x[:, rows], x, y):
        yield f"the rows of the {noun} are in another order"
        return
    columns = _order(x.transpose(2, 0, 1), y.transpose(2, 0, 1))
    if columns is not None and explains(x[:, :, columns], x, y):
        yield f"the columns of the {noun} are in another order"
        return
    if square:
        # Sorted rows, sorted columns and the diagonal stay with their unit wherever it goes.
        units = _order(_signature(x), _signature(y))
        if units is not None and explains(x[:, units][:, :, units], x, y):
            yield f"the units of the {noun} are in another order"


def _signature(x: np.ndarray) -> np.ndarray:
    """Return what belongs to each unit in any order of the units ``(units, ...)``."""
    rows, columns = np.sort(x, axis=2).swapaxes(0, 1), np.sort(x, axis=1).transpose(2, 0, 1)
    diagonal = np.diagonal(x, axis1=1, axis2=2).T[:, :, None]
    return np.concatenate([rows, columns, diagonal * x.shape[1] ** 0.5], axis=2)


def _order(x: np.ndarray, y: np.ndarray) -> np.ndarray | None:
    """Return which unit of x each unit of y is nearest to, where that is an order other than theirs."""
    one, two = x.reshape(len(x), -1), y.reshape(len(y), -1)
    distances = (one**2).sum(1)[None] - 2 * two @ one.T  # up to what depends on y alone
    order = distances.argmin(1)
    moved = len(np.unique(order)) == len(order) and (order != np.arange(len(order))).any()
    return order if moved else None
