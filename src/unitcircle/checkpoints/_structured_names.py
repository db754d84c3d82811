"""Recurrences that are given by a few numbers per unit: linear ones by their decay, low-rank ones by their factors."""

from __future__ import annotations

from dataclasses import replace

from unitcircle.checkpoints._cell_names import cell_layer
from unitcircle.checkpoints._inventory import Inventory
from unitcircle.checkpoints._linear_names import linear_layer
from unitcircle.checkpoints._room import take
from unitcircle.recurrence import RecurrentLayer, from_low_rank


def structured_layer(work: Inventory, name: str, /) -> RecurrentLayer | None:
    """Return the layer whose first part a tensor is, if its other parts are there."""
    return linear_layer(work, name) or cell_layer(work, name) or _low_rank(work, name)


def _low_rank(work: Inventory, name: str) -> RecurrentLayer | None:
    """Return the low-rank network of the factors m and n."""
    if name != "m" and not name.endswith((".m", "/m", "_m")):
        return None
    prefix = name[:-1]
    names = [name, f"{prefix}n"]
    if any(full not in work.free for full in names):
        return None
    m, n = map(work.load, names)
    if m.ndim != 2 or m.shape != n.shape or 2 * m.shape[1] > m.shape[0] or m.dtype.kind != "f":
        return None
    take(8 * len(m) ** 2, "the products of its factors")
    # Such networks have a leak, which stands in the code.
    label = prefix.rstrip("./_")
    layer = from_low_rank(m, n, unknown=frozenset({"leak"}), name=label or name, source=work.source(names))
    return replace(layer, name=work.layer_name(prefix, layer.cell) if label else name)
