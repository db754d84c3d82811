"""MATLAB's ``.mat`` files of version 5 to 7.2: elements with a tag, compressed or not."""

from __future__ import annotations

import itertools
import math
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from unitcircle.checkpoints._archive import PIECE, map_file
from unitcircle.checkpoints._contents import MAX_DEPTH, Contents, joined
from unitcircle.checkpoints._room import left, take, work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError

# Why not scipy.io: it allocates what a file declares before it reads it, and unpacks without a bound.

_MATRIX, _COMPRESSED = 14, 15
_ELEMENTS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL, _STRUCT, _OBJECT, _SPARSE, _HANDLE, _OPAQUE = 1, 2, 3, 5, 16, 17
_NUMBERS = {6: "float64", 7: "float32", 8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32",
            14: "int64", 15: "uint64"}  # fmt: skip
"""Classes of MATLAB whose arrays hold numbers."""
_COMPLEX = 0x800
COST_OF_ARRAY = 1000
"""Bytes that Python keeps for the views of an array besides its tensor and its name."""
COST_OF_FIELD = 64
"""Bytes that Python keeps for the name of a field of a structure."""


def read_matlab(path: Path, /) -> Contents:
    """Return the numeric arrays of a ``.mat`` file; fields of structures and cells are joined to names by dots."""
    memory = map_file(path)
    order = {b"IM": "<", b"MI": ">"}.get(bytes(memory[126:128]))
    if order is None:
        message = "it is a MATLAB file whose header is damaged"
        raise CheckpointError(message)
    work = _Matlab(order)
    for kind, content in work.elements(memory[128:]):
        if kind == _COMPRESSED:
            for inner, unpacked in work.elements(work.unpacked(content)):
                work.variable("", inner, unpacked, 0)
        else:
            work.variable("", kind, content, 0)
    what = f"{work.objects} objects of classes of MATLAB, such as dlnetwork, which only MATLAB can read; save their"
    suspects = [f"{what} weights as plain matrices: not read"] if work.objects else []
    return Contents(work.tensors, suspects=tuple(suspects))


def read_matlab_hdf5(path: Path, /) -> Contents:
    """Return the arrays of a ``.mat`` file of version 7.3, which is HDF5 with the sides in reverse order."""
    # Imported here: users of the other formats do not wait for this reader.
    from unitcircle.checkpoints._keras import keras_tensors  # noqa: PLC0415

    tensors = {name: tensor for name, tensor in keras_tensors(path).items() if not name.startswith("#refs#")}
    return Contents(
        {
            name: StoredTensor(tensor.shape[::-1], tensor.dtype, partial(_transposed, tensor))
            for name, tensor in tensors.items()
        }
    )


def _transposed(tensor: StoredTensor) -> np.ndarray:
    return tensor.load().T


Element = tuple[int, memoryview]
"""Type and content of an element."""


class _Matlab:
    """The arrays of a file by name, in its order of bytes."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.tensors: dict[str, StoredTensor] = {}
        self.objects = 0

    def elements(self, memory: memoryview) -> Iterator[Element]:
        """Iterate over the elements of some bytes: the type of each, and its content."""
        place = 0
        while place + 8 <= len(memory):
            kind, size = struct.unpack_from(f"{self.order}II", memory, place)
            start, small = place + 8, kind >> 16
            if small:  # up to four bytes lie in the tag itself
                kind, size, start = kind & 0xFFFF, min(small, 4), place + 4
            if size > len(memory) - start:
                message = "it is a MATLAB file one of whose elements does not fit into it: truncated or hostile"
                raise CheckpointError(message)
            work(2, "its elements")
            yield kind, memory[start : start + size]
            place = start + size
            if kind != _COMPRESSED:
                place += -place % 8

    def unpacked(self, content: memoryview) -> memoryview:
        """Return what a compressed element holds, within the bound of the file."""
        inflater, data = zlib.decompressobj(), bytearray()
        try:
            while not inflater.eof:
                take(PIECE, "what its variables unpack to")
                piece = inflater.decompress(content, PIECE)
                if not piece and not inflater.eof:
                    message = "it is a MATLAB file with a variable that is truncated"
                    raise CheckpointError(message)
                data += piece
                content = memoryview(inflater.unconsumed_tail)
        except zlib.error as error:
            message = f"it is a MATLAB file with a damaged compressed variable ({error})"
            raise CheckpointError(message) from error
        return memoryview(data)

    def variable(self, name: str, kind: int, content: memoryview, depth: int) -> None:
        """Take in one variable, or one entry of a structure or cell."""
        if kind != _MATRIX or not content:
            return
        if depth > MAX_DEPTH:
            message = f"it is a MATLAB file with structures deeper than {MAX_DEPTH}: refused in case it is hostile"
            raise CheckpointError(message)
        parts = self.elements(content)
        head = list(itertools.islice(parts, 3))
        if len(head) < 3 or len(head[0][1]) < 4:
            message = "it is a MATLAB file with a variable that lacks its class, shape or name: damaged"
            raise CheckpointError(message)
        flags = struct.unpack_from(f"{self.order}I", head[0][1])[0]
        own, kind = str(head[2][1][:1000], "latin-1"), flags & 0xFF
        name = joined(name, own, ".") if own else name
        if kind in _NUMBERS:
            take(COST_OF_ARRAY, "its arrays")
            self.tensors[name] = self._array(name, _NUMBERS[kind], self._shape(head[1]), list(parts), flags)
        elif kind == _SPARSE:
            self.tensors[name] = self._sparse(name, self._shape(head[1]), list(itertools.islice(parts, 3)))
        elif kind == _CELL:
            for place, (inner, entry) in enumerate(parts):
                self.variable(joined(name, place, "."), inner, entry, depth + 1)
        elif kind in {_STRUCT, _OBJECT}:
            self._fields(name, parts, math.prod(self._shape(head[1])), depth, skip=kind == _OBJECT)
        elif kind in {_HANDLE, _OPAQUE}:
            self.objects += 1

    def _fields(self, name: str, parts: Iterator[Element], count: int, depth: int, *, skip: bool) -> None:
        head = list(itertools.islice(parts, 3 if skip else 2))[skip:]
        width = int.from_bytes(head[0][1], "little" if self.order == "<" else "big") if len(head) == 2 else 0
        if not 0 < width <= 1000:
            message = f"it is a MATLAB file whose structure {name!r:.80} has no names of fields: damaged"
            raise CheckpointError(message)
        text = bytes(head[1][1])
        work(len(text) // width, "the fields of its structures")
        take(COST_OF_FIELD * (len(text) // width), "the fields of its structures")
        fields = [text[start : start + width].split(b"\0")[0].decode("latin-1") for start in range(0, len(text), width)]
        for place, (kind, entry) in enumerate(parts):
            field = fields[place % len(fields)] if fields else ""
            owner = name if count == 1 else joined(name, place // max(len(fields), 1), ".")
            self.variable(joined(owner, field, "."), kind, entry, depth + 1)

    def _shape(self, part: Element) -> tuple[int, ...]:
        sides = self._numbers(part)
        if not 0 < sides.size <= 32 or sides.min() < 0:
            message = "it is a MATLAB file with a variable without a shape: damaged"
            raise CheckpointError(message)
        return tuple(int(side) for side in sides)

    def _numbers(self, part: Element) -> np.ndarray:
        kind, content = part
        if kind not in _ELEMENTS or len(content) % np.dtype(_ELEMENTS[kind]).itemsize:
            message = f"it is a MATLAB file with numbers of type {kind}: damaged"
            raise CheckpointError(message)
        return np.frombuffer(content, self.order + _ELEMENTS[kind])

    def _array(
        self, name: str, dtype: str, shape: tuple[int, ...], parts: list[Element], flags: int, /
    ) -> StoredTensor:
        numbers = [self._numbers(part) for part in parts[: 2 if flags & _COMPLEX else 1]]
        if not numbers or any(part.size != math.prod(shape) for part in numbers):
            message = f"it is a MATLAB file whose array {name!r:.80} does not fill its shape {shape!s:.80}: damaged"
            raise CheckpointError(message)
        if dtype == "float64" and numbers[0].dtype.itemsize < 4:
            dtype = "float32"  # MATLAB stores whole numbers in few bytes

        kinds = {"float32": "complex64"}

        def load() -> np.ndarray:
            if len(numbers) == 1:
                return numbers[0].astype(dtype).reshape(shape, order="F")
            values = np.empty(numbers[0].size, kinds.get(dtype, "complex128"))
            values.real, values.imag = numbers
            return values.reshape(shape, order="F")

        return StoredTensor(shape, dtype if len(numbers) == 1 else kinds.get(dtype, "complex128"), load)

    def _sparse(self, name: str, shape: tuple[int, ...], parts: list[Element]) -> StoredTensor:
        rows, starts, values = (self._numbers(part) for part in [*parts, *[(1, memoryview(b""))] * 3][:3])
        sound = len(shape) == 2 and rows.dtype.kind in "iu" and starts.dtype.kind in "iu"
        sound = sound and starts.size == shape[1] + 1 and rows.size >= values.size == int(starts[-1])
        # Differences of unsigned numbers are never negative.
        if not sound or (starts[1:] < starts[:-1]).any() or not _below(rows[: values.size], shape[0]):
            message = f"it is a MATLAB file whose sparse array {name!r:.80} is damaged"
            raise CheckpointError(message)
        if math.prod(shape) * 8 > left():
            return StoredTensor(shape, "sparse", lambda: np.empty(0))

        def load() -> np.ndarray:
            dense = np.zeros(shape)
            dense[rows[: values.size], np.repeat(np.arange(shape[1]), np.diff(starts))] = values
            return dense

        return StoredTensor(shape, "float64", load)


def _below(places: np.ndarray, end: int) -> bool:
    """Return whether all places are from 0 to below an end."""
    return not places.size or (int(places.min()) >= 0 and int(places.max()) < end)
