"""A copy of a file with other values in some of its tensors; everything else stays as it is, byte for byte."""

from __future__ import annotations

import json
import mmap
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from unitcircle._files import written_whole
from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._format import Format
from unitcircle.checkpoints._hdf5_rewrite import rewrite_hdf5, rewrite_keras
from unitcircle.checkpoints._note import KEY, Entries, joined, with_onnx_note
from unitcircle.checkpoints._objects import Storage
from unitcircle.checkpoints._readers import READERS, File
from unitcircle.checkpoints._tensor import StoredTensor, bfloat16_bits, of_bfloat16
from unitcircle.checkpoints._zip_rewrite import mend_archive, pack_again
from unitcircle.errors import CheckpointError

ZIPPED = {Format.PYTORCH, Format.TORCHSCRIPT, Format.NPZ}
BY_LIBRARY = {Format.KERAS, Format.HDF5, Format.MATLAB_HDF5}
"""Formats that h5py writes, compressed or not."""
_REMEDY = "initialize the model in its framework and save it again"


def rewrite(path: Path, out: Path, /, values: Mapping[str, np.ndarray], *, note: Entries = ()) -> None:
    """Write a copy of a file in which some tensors have other values.

    The tensors are stored in their own element type, at their own place. A note goes to the metadata of the file,
    where the format has such, behind the notes of earlier copies: of safetensors, ONNX and HDF5 under the key
    ``"unitcircle"``, of zip archives into the comment, which holds 64 KB: of a longer note the last entries give way
    to their number.

    Parameters
    ----------
    path
        The file.
    out
        Where to write; replaced only when the copy is complete. It may be the file itself.
    values
        Name of a tensor → its new values, in its shape.
    note
        The entries of the note; none by default.

    Raises
    ------
    CheckpointError
        The file keeps a tensor compressed, quantized, or in a way that this does not write.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     path, copy = Path(folder, "weights.npz"), Path(folder, "mended.npz")
    ...     np.savez(path, W=np.eye(2), b=np.ones(2))
    ...     rewrite(path, copy, {"W": 3 * np.eye(2)})
    ...     after = np.load(copy)
    ...     after["W"].tolist(), after["b"].tolist()
    ([[3.0, 0.0], [0.0, 3.0]], [1.0, 1.0])
    """
    file = _written(path)
    kind = file.kind
    if kind in BY_LIBRARY:
        (rewrite_keras if kind is Format.KERAS else rewrite_hdf5)(path, out, values, note)
        return
    tensors = READERS[kind].contents(file).tensors
    if kind is Format.NPZ and not all(file.archive.is_stored(f"{name}.npy") for name in values):
        pack_again(path, out, values, note)
        return
    places = {name: _place(name, tensors[name], path) for name in values}
    with written_whole(out) as copy:
        with path.open("rb") as original:
            shift = _safetensors_head(original, copy, note) if kind is Format.SAFETENSORS and note else 0
            shutil.copyfileobj(original, copy)
        if values:
            _patch(copy, values, places, shift)
        if kind in ZIPPED:
            mend_archive(copy, [place.offset for place in places.values()], note)
        elif kind is Format.ONNX and note:
            with_onnx_note(copy, note)


def tensors_of_file(path: Path, /) -> Tensors:
    """Return the tensors of a file that :func:`rewrite` can write, each loaded when it is asked for.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    Tensors
        Name → values.

    Raises
    ------
    CheckpointError
        The file is damaged, or one that is not written.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/weights.npz", W=np.eye(2), b=np.zeros(2))
    ...     {name: value.shape for name, value in tensors_of_file(Path(folder, "weights.npz")).items()}
    {'W': (2, 2), 'b': (2,)}
    """
    file = _written(path)
    # The members of a compressed archive of NumPy are packed again, as h5py packs its chunks.
    whole = file.kind in {*BY_LIBRARY, Format.NPZ}
    return Tensors(path, READERS[file.kind].contents(file).tensors, by_name=whole)


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of a file by name.

    Examples
    --------
    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     np.savez(f"{folder}/weights.npz", W=np.eye(2, dtype=np.float32))
    ...     tensors = tensors_of_file(Path(folder, "weights.npz"))
    ...     list(tensors), tensors.dtype("W"), tensors["W"].shape
    (['W'], 'float32', (2, 2))
    """

    def __init__(self, path: Path, tensors: Mapping[str, StoredTensor], *, by_name: bool) -> None:
        self._path = path
        self._tensors = tensors
        self._by_name = by_name

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[name].load()

    def dtype(self, name: str, /) -> str:
        """Return the name of the element type in which a tensor is stored."""
        return self._tensors[name].dtype

    def can_be_written(self, name: str, /) -> bool:
        """Return whether the values of a tensor are stored one by one."""
        if self._by_name:
            return True
        try:
            _place(name, self._tensors[name], self._path)
        except CheckpointError:
            return False
        return True

    def rounded(self, name: str, values: np.ndarray, /) -> np.ndarray:
        """Return values as the element type of a tensor holds them, in the type in which the tensor is loaded."""
        if (dtype := self.dtype(name)) == "bfloat16":
            return of_bfloat16(bfloat16_bits(values))
        return values.astype(dtype)

    def aliases(self, name: str, /) -> list[str]:
        """Return the names under which bytes of a tensor are stored, this one first."""
        storage = _storage(self._tensors[name])
        others = [k for k, v in self._tensors.items() if k != name and _storage(v) is storage is not None]
        mine = _view(self._tensors[name]) if others else np.empty(0)
        # By their bounds: of views that interleave, both are named.
        return [name, *(k for k in others if np.may_share_memory(mine, _view(self._tensors[k])))]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _written(path: Path) -> File:
    """Return a file of a format that can be written."""
    file = File(path)
    if file.kind in {Format.FOLDER, Format.SHARDED, Format.ARCHIVE, Format.DISTRIBUTED, Format.ORBAX}:
        message = f"{path}: a {file.kind.value}, which consists of several files, is not written; {_REMEDY}"
        raise CheckpointError(message)
    return file


class _Place(NamedTuple):
    """Where the values of a tensor are in its file."""

    offset: int  # of the first one
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: str  # Name of the element type, which NumPy may lack


def _storage(tensor: StoredTensor) -> Storage | None:
    """Return the storage of PyTorch that several tensors may be views of."""
    first = tensor.identity[0] if isinstance(tensor.identity, tuple) else None
    return first if isinstance(first, Storage) else None


def _view(tensor: StoredTensor) -> np.ndarray:
    """Return the values of a tensor as they are stored, without a copy wherever the file is mapped."""
    return tensor.load() if tensor.raw is None else tensor.raw()


def _place(name: str, tensor: StoredTensor, path: Path) -> _Place:
    """Return where a tensor is in its file; its values must be a view of the file, mapped or read in one piece."""
    view = _view(tensor)
    memory: Any = view
    while isinstance(memory, np.ndarray) or (not isinstance(memory, memoryview) and hasattr(memory, "base")):
        memory = memory.base
    owner = memory.obj if isinstance(memory, memoryview) else memory
    # What a reader unpacked may be as long as the file by chance.
    whole = isinstance(owner, mmap.mmap) or (isinstance(owner, bytes) and memoryview(owner) == map_file(path))
    if not whole or view.shape != tensor.shape:
        message = f"{path}: tensor {name!r:.200} is compressed or computed from others, and is not written; {_REMEDY}"
        raise CheckpointError(message)
    start = np.frombuffer(memoryview(owner), np.uint8).__array_interface__["data"][0]
    return _Place(view.__array_interface__["data"][0] - start, view.strides, view.dtype, tensor.dtype)


def _patch(copy: IO[bytes], values: Mapping[str, np.ndarray], places: Mapping[str, _Place], shift: int) -> None:
    """Write the values at their places."""
    copy.flush()
    with mmap.mmap(copy.fileno(), 0) as memory:
        for name, value in values.items():
            place = places[name]
            view = np.ndarray(value.shape, place.dtype, memory, place.offset + shift, place.strides)
            view[...] = bfloat16_bits(value) if place.stored == "bfloat16" else value
            del view  # a map that is looked at cannot be closed


def _safetensors_head(original: IO[bytes], copy: IO[bytes], note: Entries) -> int:
    """Write the header of a safetensors file with a note in it; return how far the tensors move."""
    length = int.from_bytes(original.read(8), "little")
    header = json.loads(original.read(length))
    metadata = header.get("__metadata__") or {}
    header["__metadata__"] = metadata | {KEY: joined(metadata.get(KEY, ""), note)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    copy.write(len(text).to_bytes(8, "little") + text)
    return len(text) - length
