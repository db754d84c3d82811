"""A sparse matrix that ``scipy.sparse.save_npz`` wrote: several arrays of an archive that are one matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unitcircle.checkpoints._room import left
from unitcircle.checkpoints._sparse import from_coordinates, places_fit, rows_of_entries
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor
from unitcircle.errors import CheckpointError

_PARTS = {
    "csr": ("indices", "indptr"),
    "csc": ("indices", "indptr"),
    "bsr": ("indices", "indptr"),
    "coo": ("row", "col"),
    "dia": ("offsets",),
}


def sparse_matrix(tensors: Mapping[str, StoredTensor], path: Path, /) -> dict[str, StoredTensor]:
    """Return the one matrix of an archive under the name of its file; nothing where it is no sparse matrix."""
    if not {"data", "shape", "format"} <= set(tensors):
        return {}
    kind = _text(tensors["format"])
    parts = _PARTS.get(kind, ())
    if not parts or not {*parts} <= set(tensors):
        return {}
    if tensors["shape"].shape != (2,) or tensors["data"].dtype not in ITEMSIZE:
        return {}
    extents = tensors["shape"].load().tolist()
    if not all(type(extent) is int and extent > 0 for extent in extents):
        message = f"a sparse matrix that claims shape {extents}: damaged or hostile"
        raise CheckpointError(message)
    data = tensors["data"]
    itemsize = ITEMSIZE[data.dtype]
    copies = 2 if kind == "bsr" else 1  # blocks are put in order
    if copies * math.prod(extents) * itemsize > left():
        message = (
            f"a sparse matrix of shape {tuple(extents)} is too large to be examined as a dense one; its radius is "
            "unitcircle.spectral_radius(scipy.sparse.load_npz(path))"
        )
        raise CheckpointError(message)

    def load() -> np.ndarray:
        values, *places = (tensors[name].load() for name in ("data", *parts))
        dense = _DENSE[kind](values, places, (extents[0], extents[1]))
        if dense is None:
            message = f"its sparse matrix of shape {tuple(extents)} is damaged: its parts do not fit each other"
            raise CheckpointError(message)
        return dense

    return {path.stem: StoredTensor(tuple(extents), data.dtype, load)}


def _text(tensor: StoredTensor) -> str:
    """Return the one short text that an array holds, or none."""
    value = tensor.load() if tensor.shape == () else None
    if value is None or value.dtype.kind not in "SU":
        return ""
    return value.tobytes().decode("latin-1").replace("\0", "")


def _from_blocks(values: np.ndarray, places: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray | None:
    """Return the dense matrix of blocks ``(count, r, c)``, whose block rows are compressed."""
    columns, starts = places
    if values.ndim != 3 or 0 in values.shape or shape[0] % values.shape[1] or shape[1] % values.shape[2]:
        return None
    r, c = values.shape[1:]
    blocks = shape[0] // r, shape[1] // c
    rows = rows_of_entries(starts, blocks[0], len(values))
    if rows is None or not places_fit(columns, len(values), blocks[1]):
        return None
    dense = np.zeros((*blocks, r, c), values.dtype)
    np.add.at(dense, (rows, columns), values)
    return dense.transpose(0, 2, 1, 3).reshape(shape)


def _from_rows(values: np.ndarray, places: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray | None:
    return _from_blocks(values[:, None, None], places, shape) if values.ndim == 1 else None


def _from_columns(values: np.ndarray, places: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray | None:
    dense = _from_rows(values, places, (shape[1], shape[0]))
    return None if dense is None else dense.T


def _from_diagonals(values: np.ndarray, places: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray | None:
    """Return the dense matrix of diagonals: entry j of row k of the values stands in column j, offset by place k."""
    (offsets,) = places
    if values.ndim != 2 or offsets.dtype.kind not in "iu" or offsets.shape != values.shape[:1]:
        return None
    dense = np.zeros(shape, values.dtype)
    for offset, diagonal in zip(offsets.tolist(), values, strict=True):
        columns = np.arange(max(offset, 0), min(shape[1], shape[0] + offset, len(diagonal)))
        dense[columns - offset, columns] += diagonal[columns]
    return dense


_DENSE = {
    "csr": _from_rows,
    "csc": _from_columns,
    "bsr": _from_blocks,
    "coo": from_coordinates,
    "dia": _from_diagonals,
}
