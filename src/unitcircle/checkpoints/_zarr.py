"""Zarr arrays of version 2 and 3: a folder with a description and one file for every chunk."""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import math
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._json_text import parse_json
from unitcircle.checkpoints._room import ask, left, work
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError, MissingExtraError

# Why not zarr.open_array: its codecs allocate what a compressed chunk declares. The codec of zstd comes with zarr.

DESCRIPTIONS = (".zarray", "zarr.json")
"""Files that describe an array of version 2, and an array or group of version 3."""
MAX_CHUNKS = 100_000
STEPS_OF_CHUNK = 20
MAX_DESCRIPTION = 1 << 20
_KINDS = {"f": "float", "i": "int", "u": "uint", "c": "complex"}


@dataclass(frozen=True)
class _Array:
    shape: tuple[int, ...]
    chunk: tuple[int, ...]
    dtype: str
    codecs: Sequence[Any]
    key: Callable[[tuple[int, ...]], str]
    big_endian: bool = False
    by_columns: bool = False


def zarr_array(folder: Path, /, *, name: str) -> StoredTensor | None:
    """Return the array of a folder, or None where it describes a group."""
    path = next(folder / description for description in DESCRIPTIONS if (folder / description).is_file())
    if path.stat().st_size > MAX_DESCRIPTION:
        raise _damaged(name, f"a description of more than {MAX_DESCRIPTION} bytes")
    try:
        described = parse_json(path.read_bytes())
        if described.get("node_type") == "group":
            return None
        array = _version_2(described) if path.name == ".zarray" else _version_3(described)
        sound = len(array.shape) == len(array.chunk) and min(array.chunk, default=1) > 0 <= min(array.shape, default=0)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise _damaged(name, f"a description that cannot be read ({type(error).__name__})") from error
    if not sound or len(array.shape) > 32:
        raise _damaged(name, f"chunks {array.chunk!s:.80} that do not fit its shape {array.shape!s:.80}")
    if array.dtype not in ITEMSIZE:
        return StoredTensor(array.shape, array.dtype[:40], lambda: np.empty(0))
    size = ITEMSIZE[array.dtype]
    grid = [math.ceil(side / step) for side, step in zip(array.shape, array.chunk, strict=True)]
    if max(math.prod(array.shape), math.prod(array.chunk)) * size > left() or math.prod(grid) > MAX_CHUNKS:
        raise _damaged(name, f"shape {array.shape!s:.80} in chunks {array.chunk!s:.80}, more than its files can hold")

    def load() -> np.ndarray:
        values = np.zeros(array.shape, elements(memoryview(b""), array.dtype, (0,)).dtype)
        for place in itertools.product(*map(range, grid)):
            file = folder / array.key(place)
            work(STEPS_OF_CHUNK, "its chunks")
            if file.is_file():  # a chunk that is not there is zero
                piece = _decoded(name, memoryview(file.read_bytes()), array, array.chunk, array.codecs)
                _put(values, place, array.chunk, piece)
        return values

    return StoredTensor(array.shape, array.dtype, load)


def _version_2(described: dict[str, Any]) -> _Array:
    code = str(described["dtype"])
    match = re.fullmatch(r"([<>|])([fiucb])(\d+)", code)
    dtype = "bool" if match and match[2] == "b" else f"{_KINDS[match[2]]}{8 * int(match[3])}" if match else code
    mark = str(described.get("dimension_separator", "."))
    compressor = described["compressor"]
    if described.get("filters"):
        dtype = "filtered"
    return _Array(
        _sides(described["shape"]),
        _sides(described["chunks"]),
        dtype,
        [] if compressor is None else [{"name": compressor["id"]}],
        lambda place: mark.join(map(str, place)) or "0",
        match is not None and match[1] == ">",
        described.get("order") == "F",
    )


def _version_3(described: dict[str, Any]) -> _Array:
    encoding = described["chunk_key_encoding"]
    plain = encoding["name"] == "v2"
    mark = str(encoding.get("configuration", {}).get("separator", "." if plain else "/"))
    start = () if plain else ("c",)
    return _Array(
        _sides(described["shape"]),
        _sides(described["chunk_grid"]["configuration"]["chunk_shape"]),
        str(described["data_type"]),
        list(described["codecs"]),
        lambda place: mark.join([*start, *map(str, place)]) or "0",
    )


def _sides(value: Any) -> tuple[int, ...]:
    if any(type(side) is not int for side in value):
        raise TypeError(value)
    return tuple(value)


def _put(values: np.ndarray, place: tuple[int, ...], chunk: tuple[int, ...], piece: np.ndarray) -> None:
    """Write a chunk into an array, of which it may stand out."""
    starts = [index * side for index, side in zip(place, chunk, strict=True)]
    target = values[tuple(slice(start, start + side) for start, side in zip(starts, chunk, strict=True))]
    target[...] = piece[tuple(slice(side) for side in target.shape)]


def _decoded(name: str, data: memoryview, array: _Array, chunk: tuple[int, ...], codecs: Sequence[Any]) -> np.ndarray:
    """Return the values of a chunk, by undoing its codecs from the last to the first."""
    size, big_endian = math.prod(chunk) * ITEMSIZE[array.dtype], array.big_endian
    ask(size, "its chunks")
    work(STEPS_OF_CHUNK + (size >> 10), "its chunks")
    for codec in reversed(codecs):
        kind = _kind(codec)
        options = codec.get("configuration") if isinstance(codec, dict) else None
        options = options if isinstance(options, dict) else {}
        if kind == "sharding_indexed":
            return _from_shard(name, data, array, chunk, options)
        if kind == "bytes":
            big_endian = options.get("endian") == "big"
        elif kind == "crc32c":
            data = data[:-4]
        elif kind in {"gzip", "zlib", "zstd"}:
            data = _unpacked(name, data, kind, size)
        else:
            raise _damaged(name, f"chunks coded by {kind!r:.40}, which are not read; save it again with zstd or gzip")
    if len(data) < size:
        raise _damaged(name, f"a chunk of {len(data)} bytes where {size} belong")
    sides = chunk[::-1] if array.by_columns else chunk
    values = elements(data[:size], array.dtype, sides, big_endian=big_endian)
    return values.T if array.by_columns else values


def _kind(codec: Any) -> str:
    """Return the name of a codec, whatever stands in its place."""
    return str(codec.get("name") if isinstance(codec, dict) else codec)[:100]


def _from_shard(
    name: str, data: memoryview, array: _Array, chunk: tuple[int, ...], options: dict[str, Any]
) -> np.ndarray:
    """Return a chunk that is made of smaller ones, whose places stand at its end."""
    try:
        inner, codecs, index = _sides(options["chunk_shape"]), list(options["codecs"]), list(options["index_codecs"])
        grid = [math.ceil(side / step) for side, step in zip(chunk, inner, strict=True)]
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as error:
        raise _damaged(name, "a description of shards that cannot be read") from error
    names = [_kind(codec) for codec in [*codecs, *index]]
    if "sharding_indexed" in names or options.get("index_location", "end") != "end" or min(inner, default=1) < 1:
        raise _damaged(name, "shards of an unusual kind, which are not read")
    count, tail = math.prod(grid), 4 if "crc32c" in names[len(codecs) :] else 0
    if count > MAX_CHUNKS or len(data) < 16 * count + tail or math.prod(inner) > 2 * math.prod(chunk) + MAX_CHUNKS:
        raise _damaged(name, "a shard that is shorter than its index")
    start = len(data) - 16 * count - tail
    places = np.frombuffer(data[start : start + 16 * count], "<u8").reshape(-1, 2)
    values = np.zeros(chunk, elements(memoryview(b""), array.dtype, (0,)).dtype)
    for place, (offset, length) in zip(itertools.product(*map(range, grid)), places.tolist(), strict=True):
        if offset == length == (1 << 64) - 1:
            continue
        if offset + length > len(data):
            raise _damaged(name, "a shard with a chunk behind its end")
        _put(values, place, inner, _decoded(name, data[offset : offset + length], array, inner, codecs))
    return values


def _unpacked(name: str, data: memoryview, kind: str, size: int) -> memoryview:
    try:
        if kind != "zstd":
            return memoryview(zlib.decompressobj(47).decompress(data, size + 1))
        if importlib.util.find_spec("numcodecs") is None:
            raise MissingExtraError("reading orbax checkpoints", "zarr", "formats")
        if _declared(data) not in {None, size}:
            raise _damaged(name, f"a chunk that unpacks to {_declared(data)} bytes where {size} belong")
        # Into memory of the right size: the codec refuses what holds more.
        return memoryview(importlib.import_module("numcodecs.zstd").decompress(data, np.empty(size, np.uint8)))
    except (zlib.error, RuntimeError, ValueError) as error:
        raise _damaged(name, f"a chunk that {kind} cannot unpack") from error


def _declared(frame: memoryview) -> int | None:
    """Return how many bytes a zstd frame declares to hold, or None where it does not say (RFC 8878, 3.1.1.1)."""
    header = frame[4] if len(frame) > 4 else 0
    single, flag = header >> 5 & 1, header >> 6
    if not single and not flag:
        return None
    start = 5 + (not single) + (0, 1, 2, 4)[header & 3]
    size = int.from_bytes(frame[start : start + (1, 2, 4, 8)[flag]], "little")
    return size + 256 if flag == 1 else size


def _damaged(name: str, what: str) -> CheckpointError:
    return CheckpointError(f"its array {name!r:.100} has {what}: damaged or hostile")
