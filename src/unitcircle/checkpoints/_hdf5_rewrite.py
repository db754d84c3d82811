"""A copy of an HDF5 file or a ``.keras`` archive with other values in some of its arrays."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unitcircle._files import written_whole
from unitcircle.checkpoints._note import KEY, Entries, joined
from unitcircle.checkpoints._zip_rewrite import copy_members
from unitcircle.errors import MissingExtraError

WEIGHTS = "model.weights.h5"


def rewrite_hdf5(path: Path, out: Path, values: Mapping[str, np.ndarray], note: Entries) -> None:
    """Write a copy of an HDF5 file; the note becomes an attribute of its root."""
    try:
        import h5py  # noqa: PLC0415  (optional)
    except ImportError as error:
        raise MissingExtraError("writing Keras files", "h5py", "formats") from error
    with tempfile.TemporaryDirectory() as folder:
        # libhdf5 opens files by name, and the copy has none before it is complete.
        copy = Path(folder) / "copy.h5"
        shutil.copyfile(path, copy)
        with h5py.File(copy, "r+") as file:
            for name, value in values.items():
                file[name][...] = value  # pyright: ignore[reportIndexIssue]  (it is a dataset)
            if note:
                file.attrs[KEY] = joined(file.attrs.get(KEY, ""), note)
        with written_whole(out) as target, copy.open("rb") as content:
            shutil.copyfileobj(content, target)


def rewrite_keras(path: Path, out: Path, values: Mapping[str, np.ndarray], note: Entries) -> None:
    """Write a copy of a ``.keras`` archive, of whose members only the weights change."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as archive:
        before, after = Path(folder) / "before.h5", Path(folder) / "after.h5"
        before.write_bytes(archive.read(WEIGHTS))
        rewrite_hdf5(before, after, values, note)
        copy_members(archive, out, {WEIGHTS: after.read_bytes()}, archive.comment)
