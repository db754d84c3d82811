"""Layers made of one block for each gate: those of cells whose names, or framework, tell which gate is which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from unitcircle.checkpoints._inventory import Inventory
from unitcircle.recurrence import Cell, RecurrentLayer, Source

Blocks = Mapping[str, np.ndarray]


def layer_of_blocks(
    cell: Cell,
    recurrent: Blocks,
    inputs: Blocks,
    biases: Blocks,
    /,
    *,
    name: str,
    source: Source,
    **options: Any,
) -> RecurrentLayer:
    """Return the layer of a cell whose blocks act on columns, in any order of the gates."""
    ordered = ({gate: part[gate] for gate in cell.gates if gate in part} for part in (recurrent, inputs, biases))
    gates, entering, added = ordered
    parts = {"input": added} if added else {}
    return RecurrentLayer(
        name=name, cell=cell, gates=gates, inputs=entering, biases=added, bias_parts=parts, source=source, **options
    )


def split_rows(stack: np.ndarray, order: str, /) -> dict[str, np.ndarray]:
    """Split a stack ``(k n, ...)`` into the blocks of gates in an order: ``"ifgo"``."""
    return dict(zip(order, np.split(stack, len(order)), strict=True))


def vector(work: Inventory, name: str | None, size: int, /) -> np.ndarray | None:
    """Return a bias of a size, a column or row of it too, or None where a tensor is none."""
    if name is None or name not in work.free or np.prod(work.shape(name), dtype=object) != size:
        return None
    return work.load(name).ravel()
