"""Units, rows, columns and interleaved gates that a conversion put in another order."""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from unitcircle.diagnosis._decay_conversion import explains, in_double
from unitcircle.recurrence import RecurrentLayer

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
