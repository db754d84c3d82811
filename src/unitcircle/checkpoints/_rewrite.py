"""A copy of a file with other values in some of its tensors; everything else stays as it is, byte for byte."""

from __future__ import annotations

import json
import mmap
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from unitcircle._files import written_whole
from unitcircle.checkpoints._format import Format
from unitcircle.checkpoints._hdf5_rewrite import KEY, rewrite_hdf5, rewrite_keras
from unitcircle.checkpoints._readers import READERS, File
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError

ZIPPED = {Format.PYTORCH, Format.TORCHSCRIPT, Format.NPZ}
BY_LIBRARY = {Format.KERAS, Format.HDF5, Format.MATLAB_HDF5}
"""Formats that h5py writes, compressed or not."""
LONGEST_COMMENT = (1 << 16) - 1
_REMEDY = "initialize the model in its framework and save it again"


def rewrite(path: Path, out: Path, /, values: Mapping[str, np.ndarray], *, note: str = "") -> None:
    """Write a copy of a file in which some tensors have other values.

    The tensors are stored in their own element type, at their own place. A note goes to the metadata of the file,
    where the format has such: of safetensors, ONNX and HDF5 under the key ``"unitcircle"``, of zip archives into the
    comment.

    Parameters
    ----------
    path
        The file.
    out
        Where to write; replaced only when the copy is complete. It may be the file itself.
    values
        Name of a tensor → its new values, in its shape.
    note
        The note; empty for none.

    Raises
    ------
    CheckpointError
        The file keeps a tensor compressed, quantized, or in a way that this does not write.
    """
    file = _written(path)
    kind = file.kind
    if kind in BY_LIBRARY:
        (rewrite_keras if kind is Format.KERAS else rewrite_hdf5)(path, out, values, note)
        return
    tensors = READERS[kind].contents(file).tensors
    places = {name: _place(name, tensors[name], path) for name in values}
    with written_whole(out) as copy:
        with path.open("rb") as original:
            shift = _safetensors_head(original, copy, note) if kind is Format.SAFETENSORS and note else 0
            shutil.copyfileobj(original, copy)
        if values:
            _patch(copy, values, places, shift)
        if kind in ZIPPED:
            _mend_archive(copy, [place.offset for place in places.values()], note)
        elif kind is Format.ONNX and note:
            copy.seek(0, 2)
            copy.write(_onnx_property(note))


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
    """
    file = _written(path)
    return Tensors(path, READERS[file.kind].contents(file).tensors, by_library=file.kind in BY_LIBRARY)


class Tensors(Mapping[str, np.ndarray]):
    """The tensors of a file by name."""

    def __init__(self, path: Path, tensors: Mapping[str, StoredTensor], *, by_library: bool) -> None:
        self._path = path
        self._tensors = tensors
        self._by_library = by_library

    def __getitem__(self, name: str) -> np.ndarray:
        return self._tensors[name].load()

    def dtype(self, name: str, /) -> str:
        """Return the name of the element type in which a tensor is stored."""
        return self._tensors[name].dtype

    def can_be_written(self, name: str, /) -> bool:
        """Return whether the values of a tensor are stored one by one."""
        if self._by_library:
            return True
        try:
            _place(name, self._tensors[name], self._path)
        except CheckpointError:
            return False
        return True

    def aliases(self, name: str, /) -> list[str]:
        """Return the names under which the same memory is stored, this one first."""
        identity = self._tensors[name].identity
        others = [] if identity is None else [k for k, v in self._tensors.items() if v.identity == identity]
        return [name, *(other for other in others if other != name)]

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


def _place(name: str, tensor: StoredTensor, path: Path) -> _Place:
    """Return where a tensor is in its file; its values must be a view of the file, mapped or read in one piece."""
    view = tensor.load() if tensor.raw is None else tensor.raw()
    memory: Any = view
    while isinstance(memory, np.ndarray) or (not isinstance(memory, memoryview) and hasattr(memory, "base")):
        memory = memory.base
    owner = memory.obj if isinstance(memory, memoryview) else memory
    whole = isinstance(owner, mmap.mmap) or (isinstance(owner, bytes) and len(owner) == path.stat().st_size)
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
            view[...] = stored(value, place.stored)
            del view  # a map that is looked at cannot be closed


def stored(value: np.ndarray, dtype: str, /) -> np.ndarray:
    """Return values as they are stored: of bfloat16 the 16 bits of the nearest number, ties to even."""
    if dtype != "bfloat16":
        return value
    bits = np.ascontiguousarray(value, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).reshape(value.shape)


def _safetensors_head(original: IO[bytes], copy: IO[bytes], note: str) -> int:
    """Write the header of a safetensors file with a note in it; return how far the tensors move."""
    length = int.from_bytes(original.read(8), "little")
    header = json.loads(original.read(length))
    header["__metadata__"] = {**header.get("__metadata__", {}), KEY: note}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of 8 bytes
    copy.write(len(text).to_bytes(8, "little") + text)
    return len(text) - length


def _mend_archive(copy: IO[bytes], offsets: Sequence[int], note: str) -> None:
    """Write the new checksums of the members in which there are new values, and the comment."""
    copy.flush()
    with zipfile.ZipFile(copy) as archive:
        members, comment, start = archive.infolist(), archive.comment, archive.start_dir
    with mmap.mmap(copy.fileno(), 0) as memory:
        place = start
        for info in members:
            name, extra, text = struct.unpack_from("<HHH", memory, place + 28)
            begin = info.header_offset + 30 + sum(struct.unpack_from("<HH", memory, info.header_offset + 26))
            end = begin + info.compress_size
            if any(begin <= offset < end for offset in offsets):
                checksum = struct.pack("<I", zlib.crc32(memoryview(memory)[begin:end]))
                memory[place + 16 : place + 20] = checksum
                if info.flag_bits & 8:  # sizes and checksum stand behind the member, with or without a signature
                    behind = end + 4 * (memory[end : end + 4] == b"PK\x07\x08")
                    memory[behind : behind + 4] = checksum
                else:
                    memory[info.header_offset + 14 : info.header_offset + 18] = checksum
            place += 46 + name + extra + text
    if note:
        text = comment + (b"\n" if comment else b"") + note.encode()
        if len(text) <= LONGEST_COMMENT:
            copy.seek(-2 - len(comment), 2)
            copy.write(struct.pack("<H", len(text)) + text)


def _onnx_property(note: str) -> bytes:
    """Return an entry of ``metadata_props``, field 14 of a model: fields of a message may follow its end."""
    entry = b"".join(
        bytes([field << 3 | 2]) + _varint(len(text)) + text for field, text in ((1, KEY.encode()), (2, note.encode()))
    )
    return bytes([14 << 3 | 2]) + _varint(len(entry)) + entry


def _varint(number: int) -> bytes:
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    return bytes([*result, number])
