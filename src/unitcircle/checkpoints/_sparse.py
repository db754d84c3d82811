"""Sparse matrices as dense tensors, within a size."""

from __future__ import annotations

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
            places[pointers] = _expanded(places[pointers], shape[pointers], len(values))
        sound = all(
            place.dtype.kind in "iu" and len(place) == len(values) and np.all((place >= 0) & (place < extent))
            for place, extent in zip(places, shape, strict=True)
        )
        if not sound:
            message = f"the indices of a sparse matrix of shape {shape} do not fit it: the file is damaged"
            raise CheckpointError(message)
        dense = np.zeros(shape, values.dtype)
        np.add.at(dense, tuple(places), values)
        return dense

    return StoredTensor(shape, data.dtype, load, ("sparse", identity or id(data)))


def _expanded(starts: np.ndarray, extent: int, count: int) -> np.ndarray:
    """Return the index of the row (or column) of every stored entry."""
    counts = np.diff(starts.astype(np.int64)) if starts.dtype.kind in "iu" and len(starts) == extent + 1 else None
    if counts is None or starts[0] != 0 or np.any(counts < 0) or counts.sum() != count:
        message = f"the {extent} row pointers of a sparse matrix do not fit its {count} entries: the file is damaged"
        raise CheckpointError(message)
    return np.repeat(np.arange(extent), counts)
