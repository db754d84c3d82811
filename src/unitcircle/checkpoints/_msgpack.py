"""Flax files (``.msgpack``): a tree of maps whose leaves are arrays in an extension type of their own."""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import MAX_DEPTH, Contents, joined
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

# Why not the msgpack package: it builds every object, 70 bytes for one byte of a hostile file, and copies every array.
# What is needed of the format is its table of first bytes.

_ARRAY, _SCALAR = 1, 3
"""Extension types of flax: an array, and a scalar with an element type."""
_CHUNKED = "__msgpack_chunked_array__"
"""Key of an array of more than 2^30 bytes, which flax cuts into pieces."""
MAX_AXES = 64


class Token(NamedTuple):
    """The start of an object: its kind, its length (entries, bytes or the number itself), where its content starts."""

    kind: str
    length: Any
    start: int
    extension: int = 0


_SIZED: dict[int, tuple[str, str]] = {
    0xC4: ("bytes", ">B"), 0xC5: ("bytes", ">H"), 0xC6: ("bytes", ">I"),
    0xC7: ("extension", ">Bb"), 0xC8: ("extension", ">Hb"), 0xC9: ("extension", ">Ib"),
    0xCA: ("number", ">f"), 0xCB: ("number", ">d"),
    0xCC: ("number", ">B"), 0xCD: ("number", ">H"), 0xCE: ("number", ">I"), 0xCF: ("number", ">Q"),
    0xD0: ("number", ">b"), 0xD1: ("number", ">h"), 0xD2: ("number", ">i"), 0xD3: ("number", ">q"),
    0xD9: ("text", ">B"), 0xDA: ("text", ">H"), 0xDB: ("text", ">I"),
    0xDC: ("list", ">H"), 0xDD: ("list", ">I"), 0xDE: ("map", ">H"), 0xDF: ("map", ">I"),
}  # fmt: skip
"""First bytes that a length, or a number, follows."""


def token(memory: memoryview, place: int, /) -> Token:
    """Return the object that starts at a place; what is inside it must lie inside the file."""
    if place >= len(memory):
        message = "its tree ends in the middle: truncated"
        raise CheckpointError(message)
    first = memory[place]
    if first in _SIZED:
        kind, code = _SIZED[first]
        size = struct.calcsize(code)
        if place + 1 + size > len(memory):
            message = "its tree ends in the middle: truncated"
            raise CheckpointError(message)
        found = Token(kind, *_with_start(struct.unpack_from(code, memory, place + 1), place + 1 + size))
    elif first < 0x80 or first >= 0xE0:
        found = Token("number", first if first < 0x80 else first - 256, place + 1)
    elif first < 0xC0:
        kind, low = ("map", 0x80) if first < 0x90 else ("list", 0x90) if first < 0xA0 else ("text", 0xA0)
        found = Token(kind, first - low, place + 1)
    elif 0xD4 <= first <= 0xD8 and place + 1 < len(memory):
        found = Token("extension", 1 << (first - 0xD4), place + 2, struct.unpack_from("b", memory, place + 1)[0])
    elif first in {0xC0, 0xC2, 0xC3}:
        found = Token("number", first == 0xC3, place + 1)
    else:
        message = f"byte {first:#x} starts no object: damaged"
        raise CheckpointError(message)
    if found.kind != "number" and found.length > len(memory) - found.start:
        message = f"a {found.kind} of {found.length} does not fit into the file: truncated or hostile"
        raise CheckpointError(message)
    return found


def _with_start(numbers: tuple[Any, ...], start: int) -> tuple[Any, ...]:
    return (numbers[0], start, *numbers[1:])


def read_msgpack(path: Path, /) -> Contents:
    """Return the arrays of a file of ``flax.serialization``, named by the keys on their way, joined by slashes."""
    memory = map_file(path)
    tree = _Tree(memory)
    end = tree.visit("", 0, 0)
    if end != len(memory):
        message = f"{len(memory) - end} bytes follow the end of its tree: damaged, or no file of flax"
        raise CheckpointError(message)
    return Contents(_whole(tree.tensors, tree.numbers))


class _Tree:
    """The arrays and numbers of a tree by name."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.tensors: dict[str, StoredTensor] = {}
        self.numbers: dict[str, Any] = {}

    def visit(self, name: str, place: int, depth: int) -> int:
        """Take in the object at a place, and return where the next one starts."""
        found = token(self.memory, place)
        if depth > MAX_DEPTH:
            message = f"its tree is deeper than {MAX_DEPTH}: refused in case it is hostile"
            raise CheckpointError(message)
        if found.kind in {"map", "list"}:
            place = found.start
            for index in range(found.length):
                key: object = index
                if found.kind == "map":
                    key, place = self._key(place)
                place = self.visit(joined(name, key, "/"), place, depth + 1)
            return place
        if found.kind == "number":
            self.numbers[name] = found.length
            return found.start
        end = found.start + found.length
        if found.kind == "extension" and found.extension in {_ARRAY, _SCALAR}:
            self.tensors[name] = _array(name, self.memory[found.start : end])
        return end

    def _key(self, place: int) -> tuple[str, int]:
        found = token(self.memory, place)
        if found.kind == "number":
            return str(found.length), found.start
        if found.kind not in {"text", "bytes"}:
            message = "a key of its tree is no text: damaged"
            raise CheckpointError(message)
        end = found.start + found.length
        return str(self.memory[found.start : end], "utf-8", "replace"), end


def _array(name: str, content: memoryview) -> StoredTensor:
    """Return an array from its shape, the name of its element type, and its bytes."""
    whole, shape_token = token(content, 0), token(content, 1)
    shape, place = [], shape_token.start
    axes = shape_token.length if whole[:2] == ("list", 3) and shape_token.kind == "list" else 0
    if axes > MAX_AXES:
        message = f"array {name!r:.80} claims {axes} axes: damaged or hostile"
        raise CheckpointError(message)
    for _ in range(axes):
        side = token(content, place)
        shape.append(side.length)
        place = side.start
    kind = token(content, place)
    data = token(content, kind.start + kind.length if kind.kind == "text" else place)
    if kind.kind != "text" or data.kind != "bytes" or any(type(side) is not int or side < 0 for side in shape):
        message = f"array {name!r:.80} lacks its shape, its element type or its bytes: damaged"
        raise CheckpointError(message)
    dtype = str(content[kind.start : kind.start + kind.length], "utf-8", "replace")
    if dtype in ITEMSIZE and data.length != math.prod(shape) * ITEMSIZE[dtype]:
        message = f"array {name!r:.80} claims shape {tuple(shape)!s:.80} of {dtype:.20} in {data.length} bytes: damaged"
        raise CheckpointError(message)
    values = content[data.start : data.start + data.length]
    return StoredTensor(tuple(shape), dtype, partial(elements, values, dtype, tuple(shape)))


def _whole(tensors: dict[str, StoredTensor], numbers: dict[str, Any]) -> dict[str, StoredTensor]:
    """Put the arrays together again that flax cut into chunks."""
    parents = [name.removesuffix(f"/{_CHUNKED}") for name in numbers if name.endswith(f"/{_CHUNKED}")]
    for parent in parents:
        sides = [numbers.get(f"{parent}/shape/{axis}") for axis in range(MAX_AXES)]
        shape = tuple(side for side in sides if type(side) is int)
        chunks: list[StoredTensor] = []
        while (piece := tensors.pop(f"{parent}/chunks/{len(chunks)}", None)) is not None:
            chunks.append(piece)
        if not chunks or math.prod(shape) != sum(math.prod(chunk.shape) for chunk in chunks):
            message = f"the chunks of array {parent!r:.80} do not fill its shape {shape!s:.80}: damaged"
            raise CheckpointError(message)
        tensors[parent] = StoredTensor(shape, chunks[0].dtype, partial(_concatenated, chunks, shape))
    return tensors


def _concatenated(chunks: Sequence[StoredTensor], shape: tuple[int, ...]) -> np.ndarray:
    return np.concatenate([chunk.load().ravel() for chunk in chunks]).reshape(shape)
