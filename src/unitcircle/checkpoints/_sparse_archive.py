"""A sparse matrix that ``scipy.sparse.save_npz`` wrote: several arrays of an archive that are one matrix."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError

ROOM = 200 * 2**20
"""Bytes that a matrix may take as a dense one beyond four times its file."""
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
    kind = str(np.asarray(tensors["format"].load()).astype(str))
    parts = _PARTS.get(kind, ())
    if not parts or not {*parts} <= set(tensors):
        return {}
    if tensors["shape"].shape != (2,):
        return {}
    extents = tensors["shape"].load().tolist()
    if not all(type(extent) is int and extent > 0 for extent in extents):
        message = f"a sparse matrix that claims shape {extents}: damaged or hostile"
        raise CheckpointError(message)
    data = tensors["data"]
    itemsize = np.dtype(data.dtype).itemsize
    if math.prod(extents) * itemsize > 4 * path.stat().st_size + ROOM:
        message = (
            f"a sparse matrix of shape {tuple(extents)} is too large to be examined as a dense one; its radius is "
            "unitcircle.spectral_radius(scipy.sparse.load_npz(path))"
        )
        raise CheckpointError(message)

    def load() -> np.ndarray:
        from scipy import sparse  # noqa: PLC0415  (the other readers do not need it)

        values = [tensors[name].load() for name in parts]
        try:
            content: Any = (data.load(), tuple(values)) if kind == "coo" else (data.load(), *values)
            matrix: Any = getattr(sparse, f"{kind}_array")(content, shape=tuple(extents))
            if kind in {"csr", "csc", "bsr"}:
                matrix.check_format(full_check=True)
            return matrix.toarray()
        except (ValueError, TypeError, IndexError, OverflowError) as error:
            message = f"its sparse matrix is damaged ({error})"
            raise CheckpointError(message) from error

    return {path.stem: StoredTensor(tuple(extents), data.dtype, load)}
