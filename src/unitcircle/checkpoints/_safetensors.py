"""safetensors: a JSON header and one buffer."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import COST_OF_TENSOR
from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._room import take
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

# Why not the safetensors package: the format is a JSON object and a buffer, for which a compiled dependency is not
# worth its place.

HEAD = 32 << 10
"""Bytes that are asked for first: most headers lie in them."""

_DTYPES = {
    "BOOL": "bool",
    "I8": "int8",
    "U8": "uint8",
    "I16": "int16",
    "U16": "uint16",
    "I32": "int32",
    "U32": "uint32",
    "I64": "int64",
    "U64": "uint64",
    "F8_E4M3": "float8_e4m3fn",
    "F8_E5M2": "float8_e5m2",
    "F16": "float16",
    "BF16": "bfloat16",
    "F32": "float32",
    "F64": "float64",
    "C64": "complex64",
}


def read_safetensors(path: Path, /) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file, as views of the file."""
    memory = map_file(path)
    return tensors_of(Source(len(memory), lambda begin, end: memory[begin:end]))


class Source(NamedTuple):
    """Where the bytes of a file come from: a map of it, or a server that gives ranges."""

    size: int
    read: Callable[[int, int], memoryview]


def tensors_of(source: Source, /, *, largest: int | None = None) -> dict[str, StoredTensor]:
    """Return the tensors of a safetensors file, of whose bytes the header is read now, the rest when it is needed."""
    head = source.read(0, min(HEAD, source.size))
    length = int.from_bytes(head[:8], "little")
    if len(head) < 8 or length > source.size - 8 or (largest is not None and length > largest):
        message = f"its header claims {length} bytes of a file of {source.size}: truncated or hostile"
        raise CheckpointError(message)
    text = bytes(head[8 : 8 + length])
    text += source.read(8 + len(text), 8 + length) if len(text) < length else b""
    header = parse_json(text, what="its header", kept=False)
    if not isinstance(header, dict):
        message = "its header is no JSON object: damaged"
        raise CheckpointError(message)
    return {name: _tensor(name, entry, 8 + length, source) for name, entry in header.items() if name != "__metadata__"}


def _tensor(name: str, entry: Any, start: int, source: Source) -> StoredTensor:
    take(len(name) + COST_OF_TENSOR, "its tensors")
    match entry:
        case {"dtype": str(kind), "shape": list(shape), "data_offsets": [int(begin), int(end)]}:
            dtype = _DTYPES.get(kind, kind)
        case _:
            message = f"the header's entry for {name!r} lacks dtype, shape or data_offsets: damaged"
            raise CheckpointError(message)
    if len(shape) > 64 or any(type(extent) is not int or not 0 <= extent < 1 << 62 for extent in shape):
        message = f"tensor {name!r} has the shape {shape!r:.80}: damaged"
        raise CheckpointError(message)
    size = math.prod(shape) * ITEMSIZE.get(dtype, 0)
    if not 0 <= begin <= end <= source.size - start or (dtype in ITEMSIZE and end - begin != size):
        message = f"tensor {name!r} does not lie inside the file: truncated or hostile"
        raise CheckpointError(message)

    def load(*, raw: bool = False) -> np.ndarray:
        return elements(source.read(start + begin, start + end), dtype, tuple(shape), raw=raw)

    return StoredTensor(tuple(shape), dtype, load, raw=partial(load, raw=True))
