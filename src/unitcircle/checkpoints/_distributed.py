"""Checkpoints of ``torch.distributed.checkpoint``: a folder with ``.metadata`` and the shards of every rank."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import Archive, map_file
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._pickle import Global, Inert, unpickle
from unitcircle.checkpoints._pytorch import read_legacy, read_zip
from unitcircle.checkpoints._stream import Stream
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

METADATA = ".metadata"
_Places = dict[tuple[str, tuple[int, ...]], tuple[str, int, int]]
_PLACE = ("relative_path", "offset", "length")
_DAMAGED = "its .metadata does not describe tensors as torch.distributed.checkpoint does: damaged, or of a new version"


@dataclass(frozen=True)
class _Chunk:
    """One part of a tensor: where it lies in the tensor, and where its bytes are."""

    offsets: tuple[int, ...]
    sizes: tuple[int, ...]
    file: str
    start: int
    length: int


@dataclass(frozen=True)
class _Folder:
    path: Path

    @cached_property
    def lengths(self) -> dict[str, int]:
        """The sizes of its files in bytes."""
        return {file.name: file.stat().st_size for file in self.path.iterdir() if file.is_file()}

    @cached_property
    def size(self) -> int:
        """The size of all files together in bytes."""
        return sum(self.lengths.values())

    @cached_property
    def files(self) -> dict[str, memoryview]:
        """The shards that have been opened."""
        return {}

    def load(self, chunk: _Chunk, dtype: str) -> np.ndarray:
        """Return the values of one part."""
        if chunk.file not in self.files:
            self.files[chunk.file] = map_file(self.path / chunk.file)
        content = self.files[chunk.file][chunk.start : chunk.start + chunk.length]
        zipped = bytes(content[:2]) == b"PK"
        contents = read_zip(Archive(Path(chunk.file), content)) if zipped else read_legacy(content)
        tensors = list(contents.tensors.values())
        if len(tensors) != 1 or tensors[0].shape != chunk.sizes or tensors[0].dtype != dtype:
            message = f"{chunk.file!r:.200} does not hold the part of shape {chunk.sizes} that .metadata lists"
            raise CheckpointError(message)
        return tensors[0].load()


def read_distributed(path: Path, /) -> Contents:
    """Return the tensors of a distributed checkpoint, put together from their parts when they are loaded."""
    memory = map_file(path / METADATA)
    folder = _Folder(path)
    root = unpickle(Stream(memory), persistent=lambda identifier: identifier, build=lambda call: call)
    attributes = _attributes(root)
    places = _places(attributes.get("storage_data"))
    tensors: dict[str, StoredTensor] = {}
    for name, value in _entries(attributes.get("state_dict_metadata")):
        if isinstance(name, str) and isinstance(value, Inert) and value.name.endswith("TensorStorageMetadata"):
            tensors[name.encode("utf-8", "replace").decode()] = _tensor(folder, name, _attributes(value), places)
    distinct = {tensor.identity: tensor for tensor in tensors.values()}.values()
    if sum(math.prod(tensor.shape) * ITEMSIZE.get(tensor.dtype, 1) for tensor in distinct) > 2 * folder.size:
        message = "its tensors are larger than its files: damaged or hostile"
        raise CheckpointError(message)
    return Contents(tensors)


def _places(stored: Any) -> _Places:
    """Return where the part of a tensor at some offsets lies: the file, its first byte, the number of its bytes."""
    places: _Places = {}
    for key, value in _entries(stored):
        index, info = _attributes(key), _attributes(value)
        if info.get("transform_descriptors"):
            message = "its shards are compressed by a transform; load and save it with torch.save"
            raise CheckpointError(message)
        match index.get("fqn"), _sizes(index.get("offset")), *(info.get(part) for part in _PLACE):
            case str(name), tuple() as offsets, str(file), int(start), int(length):
                places[name, offsets] = file, start, length
            case _:
                pass  # an object, which is no tensor
    return places


def _entries(mapping: Any) -> list[tuple[Any, Any]]:
    if not isinstance(mapping, Inert):
        raise CheckpointError(_DAMAGED)
    return mapping.entries


def _attributes(record: Any) -> dict[str, Any]:
    """Return the attributes of a record of an object by their names."""
    state = record.state if isinstance(record, Inert) else None
    return {key: value for key, value in state.entries if isinstance(key, str)} if isinstance(state, Inert) else {}


def _sizes(value: Any) -> tuple[int, ...] | None:
    """Return the numbers of a torch.Size."""
    match value:
        case Inert(name="torch.Size", arguments=(tuple() as numbers, *_)) if len(numbers) <= 64:
            return numbers if all(type(number) is int and 0 <= number < 1 << 62 for number in numbers) else None
        case _:
            return None


def _dtype(properties: Any) -> str | None:
    """Return the name of the element type that the properties of a tensor give."""
    state = properties.state if isinstance(properties, Inert) else None
    match state[:1] if isinstance(state, tuple) else (_attributes(properties).get("dtype"),):
        case (Global(name=name),) if name.startswith("torch."):
            return name.removeprefix("torch.")[:80]
        case _:
            return None


def _tensor(
    folder: _Folder, name: str, described: dict[str, Any], places: dict[Any, tuple[str, int, int]]
) -> StoredTensor:
    shape, chunks, properties = _sizes(described.get("size")), described.get("chunks"), described.get("properties")
    dtype = _dtype(properties)
    if shape is None or dtype is None or not isinstance(chunks, list):
        raise CheckpointError(_DAMAGED)
    parts: list[_Chunk] = []
    for entry in chunks:
        offsets, sizes = (_sizes(_attributes(entry).get(key)) for key in ("offsets", "sizes"))
        if offsets is None or sizes is None or not len(offsets) == len(sizes) == len(shape):
            raise CheckpointError(_DAMAGED)
        if any(start + extent > side for start, extent, side in zip(offsets, sizes, shape, strict=True)):
            message = f"a part of {name!r:.200} lies outside of its shape {shape!r:.200}: the file is damaged"
            raise CheckpointError(message)
        if 0 in sizes:
            continue
        if (name, offsets) not in places:
            message = f"a part of {name!r:.200} is in no shard: the checkpoint is not complete"
            raise CheckpointError(message)
        parts.append(_Chunk(offsets, sizes, *places[name, offsets]))
        _check(folder, parts[-1])
    if sum(math.prod(part.sizes) for part in parts) != math.prod(shape):
        message = f"the parts of {name!r:.200} are not the whole of it: the checkpoint is not complete"
        raise CheckpointError(message)

    def load() -> np.ndarray:
        if len(parts) == 1:
            return folder.load(parts[0], dtype)
        if not parts:
            return elements(memoryview(b""), dtype, shape)
        first = folder.load(parts[0], dtype)
        whole = np.zeros(shape, first.dtype)
        for part in parts:
            place = tuple(slice(start, start + size) for start, size in zip(part.offsets, part.sizes, strict=True))
            whole[place] = folder.load(part, dtype)
        return whole

    return StoredTensor(shape, dtype, load, (shape, *((part.file, part.start) for part in parts)))


def _check(folder: _Folder, part: _Chunk) -> None:
    """Raise unless a part lies in a file of the folder."""
    if not part.file or any(mark in part.file for mark in "/\\\0:"):
        message = f"it names a shard outside of its folder, {part.file!r:.80}"
        raise CheckpointError(message)
    if part.file not in folder.lengths:
        message = f"its shard {part.file!r:.80} is not there"
        raise CheckpointError(message)
    if min(part.start, part.length) < 0 or part.start + part.length > folder.lengths[part.file]:
        message = f"its shard {part.file!r:.80} is truncated"
        raise CheckpointError(message)
