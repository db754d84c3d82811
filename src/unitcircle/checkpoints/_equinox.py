"""Equinox files (``.eqx``): the leaves of a tree, one array behind the other, with or without a line of JSON before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._numpy import arrays_behind_each_other
from unitcircle.checkpoints._room import work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.checkpoints._unnamed import column_layer, column_run, stack_layer
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer

MAX_HEADER = 1 << 20
"""Bytes of the line of hyperparameters before the arrays."""


def read_equinox(path: Path, /) -> Contents:
    """Return the leaves of a tree, named by their place, and the cells that their order and shapes show."""
    memory = map_file(path)
    head = bytes(memory[:MAX_HEADER])
    start = 0 if head.startswith(b"\x93NUMPY") else head.find(b"\n\x93NUMPY") + 1
    if not head.startswith(b"\x93NUMPY") and not start:
        message = "no array follows its first line: it is damaged, or no file of equinox.tree_serialise_leaves"
        raise CheckpointError(message)
    leaves = list(arrays_behind_each_other(memory, start))
    moments = _moments(leaves)
    tensors = {f"{'optimizer.' if place in moments else ''}leaf{place}": leaf for place, leaf in enumerate(leaves)}
    return _contents(tensors, str(path))


def _contents(tensors: dict[str, StoredTensor], file: str) -> Contents:
    names = [name for name in tensors if not name.startswith("optimizer.")]
    shapes = [tensors[name].shape if "float" in tensors[name].dtype else () for name in names]
    layers: list[RecurrentLayer] = []
    place = 0
    while place < len(names):
        run = column_run(shapes, place)
        if run is not None:
            layers.append(column_layer(run, names, tensors, file))
        place += run.count if run is not None else 1
    notes = ["its arrays have no names: leaf0, leaf1, ... are their places"]
    if not layers and (name := _largest_stack(dict(zip(names, shapes, strict=True)))):
        layers.append(stack_layer(name, tensors, file))
        notes.append(f"{name} is taken as a recurrent weight because of its shape {tensors[name].shape} alone")
    return Contents(tensors, layers=layers, notes=tuple(notes))


def _largest_stack(shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    """Return the largest stack ``(3n, n)`` or ``(4n, n)`` where nothing shows that it is feed-forward."""
    # A Linear has a bias, attention a square output, a feed-forward block a way back down.
    name = max(shapes, key=lambda name: math.prod(shapes[name]), default="")
    if not name or len(shapes) > 3 or any(len(shape) != 2 for shape in shapes.values()):
        return None
    rows, units = shapes[name]
    beside = {shape for other, shape in shapes.items() if other != name}
    sound = (
        units >= 4 and rows in {3 * units, 4 * units} and not beside & {(rows, units), (units, rows), (units, units)}
    )
    return name if sound else None


def _moments(leaves: Sequence[StoredTensor]) -> range:
    """Return the places of an optimizer's state: a counter, then every weight's shape twice more."""
    shapes = [leaf.shape for leaf in leaves]
    for count, leaf in enumerate(leaves[: len(leaves) // 3 + 1]):
        if leaf.shape == () and "int" in leaf.dtype:
            size = count or (len(leaves) - 1) // 3
            work(size >> 5, "the order of its arrays")
            first, second = shapes[count + 1 : count + 1 + size], shapes[count + 1 + size : count + 1 + 2 * size]
            if size and first == second and (not count or first == shapes[:count]):
                return range(count, len(leaves) if count else 1 + 2 * size)
    return range(0)
