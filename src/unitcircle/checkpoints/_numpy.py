"""NumPy files: one array (``.npy``) or an archive of them (``.npz``); pickled objects are never read."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from unitcircle.checkpoints._archive import Archive, map_file
from unitcircle.checkpoints._tensor import StoredTensor, of_bfloat16
from unitcircle.errors import CheckpointError

MAX_HEADER = 12_000
"""Bytes of an array's header; NumPy itself refuses more than 10,000."""
MAX_ARRAYS = 100_000
"""Arrays of one file behind each other."""


def read_npy(path: Path, /) -> dict[str, StoredTensor]:
    """Return the array of an ``.npy`` file under the name of the file."""
    memory = map_file(path)
    tensor, _ = _tensor(path.name, bytes(memory[:MAX_HEADER]), len(memory), lambda: memory)
    if tensor.dtype == "object":
        raise CheckpointError(_PICKLED)
    return {path.stem: tensor}


def end_of_array(head: bytes, /) -> float:
    """Return where the array ends that a file starts with, or infinity where that cannot be seen."""
    try:
        return _tensor("", head, sys.maxsize, lambda: memoryview(b""))[1] or math.inf
    except CheckpointError:
        return math.inf


def arrays_behind_each_other(memory: memoryview, start: int, /) -> Iterator[StoredTensor]:
    """Yield the arrays that ``numpy.save`` wrote to one open file, from a place of it to its end."""
    for place in range(MAX_ARRAYS):
        if start == len(memory):
            return
        name = f"leaf{place}"
        content = memory[start:]
        tensor, end = _tensor(name, bytes(content[:MAX_HEADER]), len(content), partial(memoryview, content))
        if not end:
            raise CheckpointError(_PICKLED)
        yield tensor
        start += end
    message = f"it holds more than {MAX_ARRAYS} arrays: damaged or hostile"
    raise CheckpointError(message)


def read_npz(archive: Archive, /) -> dict[str, StoredTensor]:
    """Return the arrays of an ``.npz`` archive."""
    arrays: dict[str, StoredTensor] = {}
    for name in archive.names:
        if name.endswith(".npy"):
            head = archive.head(name, MAX_HEADER)
            arrays[name.removesuffix(".npy")] = _tensor(name, head, archive.size(name), _reader(archive, name))[0]
    return arrays


def _reader(archive: Archive, name: str) -> Callable[[], memoryview]:
    return lambda: archive.read(name)


def _tensor(name: str, head: bytes, size: int, content: Callable[[], memoryview]) -> tuple[StoredTensor, int]:
    """Return an array and where it ends; an array that is not one of numbers has no end."""
    start, kind, fortran, shape = _header(name, head)
    if not _NUMBERS.fullmatch(kind):
        return StoredTensor(shape, "object" if "O" in kind else f"record {kind}", lambda: np.empty(0)), 0
    # NumPy has no bfloat16: JAX saves it as two bytes of no type.
    half = kind.endswith("V2")
    dtype, count = np.dtype("<u2" if half else kind), math.prod(shape)
    if start + count * dtype.itemsize > size:
        message = f"array {name!r} claims shape {shape} and has {size - start} bytes: truncated or hostile"
        raise CheckpointError(message)

    def load(*, raw: bool = False) -> np.ndarray:
        flat = np.frombuffer(content(), dtype=dtype, count=count, offset=start)
        array = flat.reshape(shape, order="F" if fortran else "C")
        if raw:
            return array
        if half:
            return of_bfloat16(array)
        return array if dtype.isnative else array.astype(dtype.newbyteorder("="))

    tensor = StoredTensor(shape, "bfloat16" if half else dtype.name, load, raw=partial(load, raw=True))
    return tensor, start + count * dtype.itemsize


def _header(name: str, head: bytes) -> tuple[int, str, bool, tuple[int, ...]]:
    """Return where the values start, the element type, whether columns come first, and the shape."""
    # NumPy evaluates the header as a Python literal; a search for its three entries needs no parser.
    wide = head[6:7] != b"\x01"
    start = (12 if wide else 10) + int.from_bytes(head[8:12] if wide else head[8:10], "little")
    text = head[12 if wide else 10 : start].decode("latin-1")
    entries = [re.search(rf"'{key}'\s*:\s*{value}", text) for key, value in _ENTRIES.items()]
    if not head.startswith(b"\x93NUMPY") or start > len(head) or not all(entries):
        message = f"the header of array {name!r} is damaged"
        raise CheckpointError(message)
    kind, order, extents = (match[1].strip("'") for match in entries if match)
    digits = re.findall(r"\d+", extents)  # Python 2 wrote an L behind long numbers
    if len(digits) > 64 or any(len(number) > 18 for number in digits):
        message = f"array {name!r} claims shape ({extents:.80}): damaged or hostile"
        raise CheckpointError(message)
    shape = tuple(int(number) for number in digits)
    return start, kind, order == "True", shape


_PICKLED = "it holds pickled Python objects, which are never executed; save the weights as plain arrays"
_NUMBERS = re.compile(r"[<>=|]?(?:b1|[iu][1248]|f[248]|c8|c16|V2|[SU][1-9]\d{0,3})")
_ENTRIES = {
    "descr": r"('[^']{1,8}'|\[)",
    "fortran_order": r"(True|False)",
    "shape": r"\(([\d,L\s]*)\)",
}
