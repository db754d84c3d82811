"""Sparse matrices as dense tensors, within a size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError

MAX_ENTRIES = 1 << 23
"""Entries of the dense matrices of one file: a reservoir of 2,896 units, 64 MB."""


def sparse_tensor(
    shape: Any, data: Any, rows: Any, columns: Any, /, *, pointers: int | None = None, identity: object = None
) -> StoredTensor | None:
    """Return the dense tensor of a matrix given by coordinates, or None if the parts are not those of one."""
    # ``pointers`` is the axis, if any, whose coordinates are compressed to where each row or column starts.
    parts = (data, rows, columns)
    if not all(isinstance(part, StoredTensor) and len(part.shape) == 1 for part in parts):
        return None
    if (
        not isinstance(shape, tuple)
        or len(shape) != 2
        or any(type(n) is not int or not 0 <= n < 1 << 31 for n in shape)
    ):
        return None

    def load() -> np.ndarray:
        values, *places = (part.load() for part in parts)
        if pointers is not None:
            extent = shape[pointers]
            expanded = rows_of_entries(places[pointers], extent, len(values))
            if expanded is None:
                message = (
                    f"the {extent} row pointers of a sparse matrix do not fit its {len(values)} entries: the file is "
                    "damaged"
                )
                raise CheckpointError(message)
            places[pointers] = expanded
        dense = from_coordinates(values, places, shape)
        if dense is None:
            message = f"the indices of a sparse matrix of shape {shape} do not fit it: the file is damaged"
            raise CheckpointError(message)
        return dense

    return StoredTensor(shape, data.dtype, load, ("sparse", identity or id(data)))


# SciPy's own conversions are compiled and trust their input: a damaged file ended the process.
def from_coordinates(values: np.ndarray, places: Sequence[np.ndarray], shape: tuple[int, int], /) -> np.ndarray | None:
    """Return the dense matrix of values at their rows and columns; None where the parts do not fit each other."""
    fit = (places_fit(place, len(values), extent) for place, extent in zip(places, shape, strict=True))
    if values.ndim != 1 or not all(fit):
        return None
    dense = np.zeros(shape, values.dtype)
    np.add.at(dense, tuple(places), values)
    return dense


def rows_of_entries(starts: np.ndarray, extent: int, count: int, /) -> np.ndarray | None:
    """Return the row of every entry, from where each row starts; None where the starts are not in order."""
    if starts.ndim != 1 or starts.dtype.kind not in "iu" or len(starts) != extent + 1 or starts[0] != 0:
        return None
    counts = np.diff(starts.astype(np.int64))
    return np.repeat(np.arange(extent), counts) if np.all(counts >= 0) and starts[-1] == count else None


def places_fit(places: np.ndarray, count: int, extent: int, /) -> bool:
    """Whether there is a place inside of an extent for every entry."""
    return places.dtype.kind in "iu" and places.shape == (count,) and bool(np.all((places >= 0) & (places < extent)))
