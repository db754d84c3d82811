"""PyTorch files: zip archives (state dicts, TorchScript, whole modules) and the older bare pickles."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unitcircle.checkpoints._archive import Archive, map_file
from unitcircle.checkpoints._objects import named_tensors
from unitcircle.checkpoints._pickle import Global, Inert, unpickle
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

Named = tuple[dict[str, StoredTensor], dict[str, str]]

_STORAGES = {
    "Bool": "bool",
    "Byte": "uint8",
    "Char": "int8",
    "Short": "int16",
    "Int": "int32",
    "Long": "int64",
    "Half": "float16",
    "BFloat16": "bfloat16",
    "Float": "float32",
    "Double": "float64",
    "ComplexFloat": "complex64",
    "ComplexDouble": "complex128",
    "Untyped": "uint8",
}


@dataclass(frozen=True, slots=True)
class _Storage:
    key: str
    dtype: str


class _Tensors:
    """What stands for torch's own calls in a pickle; ``content`` finds the bytes of a storage when they are needed."""

    def __init__(self, content: Callable[[str], memoryview]) -> None:
        self.content = content
        self.big_endian = False
        self.dtypes: dict[str, str] = {}

    def persistent(self, identifier: Any) -> Any:
        """Return a storage, or for a module that brought its source code along, its class."""
        match identifier:
            case ("storage", Global(name=name), str(key), _, int(), *rest) if not rest or rest == [None]:
                kind = name.rpartition(".")[2].removesuffix("Storage")
                dtype = _STORAGES.get(kind, kind)
                self.dtypes[key] = dtype
                return _Storage(key, dtype)
            case ("module", Global() as cls, *_):
                return cls
            case _:
                message = "a storage is described in a way that cannot be read; load and save it with a newer torch"
                raise CheckpointError(message)

    def build(self, call: Inert) -> Any:
        """Return a tensor for torch's rebuilding functions, and for every other call its record."""
        match call.name, call.arguments:
            case "torch._utils._rebuild_tensor_v3", (
                _Storage() as storage,
                offset,
                shape,
                strides,
                _,
                _,
                Global() as kind,
                *_,
            ):
                return self.tensor(storage.key, kind.name.rpartition(".")[2], offset, shape, strides)
            case (
                "torch._utils._rebuild_tensor" | "torch._utils._rebuild_tensor_v2",
                (_Storage() as storage, offset, shape, strides, *_),
            ):
                return self.tensor(storage.key, storage.dtype, offset, shape, strides)
            case (
                "torch._utils._rebuild_parameter" | "torch._utils._rebuild_parameter_with_state",
                (StoredTensor() as tensor, *_),
            ):
                return tensor
            case "torch._tensor._rebuild_from_type_v2", (Global() as function, _, tuple() as arguments, *_):
                return self.build(Inert(function.name, arguments))
            case _:
                return call

    def tensor(self, key: str, dtype: str, offset: Any, shape: Any, strides: Any) -> StoredTensor:
        """Return a tensor that is not loaded; whether it lies inside its storage is checked when it is."""
        numbers = [offset, *_sizes(shape), *_sizes(strides)]
        if len(_sizes(shape)) != len(_sizes(strides)) or any(type(number) is not int for number in numbers):
            message = "a tensor's shape or strides are no numbers: the file is damaged"
            raise CheckpointError(message)
        if any(not 0 <= number < 1 << 62 for number in numbers):
            message = "a tensor's offset, shape or strides are out of range: the file is damaged or hostile"
            raise CheckpointError(message)

        def load() -> Any:
            content = self.content(key)
            return elements(content, dtype, shape, offset=offset, strides=strides, big_endian=self.big_endian)

        return StoredTensor(shape, dtype, load, (key, dtype, offset, shape, strides))


def _sizes(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) and len(value) <= 64 else (None,)


def read_zip(path: Path, archive: Archive, /) -> Named:
    """Return the tensors of a PyTorch zip archive: a state dict in any nesting, TorchScript, or a whole module."""
    pickles = [name for name in archive.names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        message = f"{path.name} should hold one data.pkl and holds {len(pickles)}; save a state_dict again"
        raise CheckpointError(message)
    folder = pickles[0].removesuffix("data.pkl")
    tensors = _Tensors(lambda key: archive.read(f"{folder}data/{key}"))
    if f"{folder}byteorder" in archive:
        tensors.big_endian = bytes(archive.read(f"{folder}byteorder")) == b"big"
    stream = io.BytesIO(archive.read(pickles[0]))
    return named_tensors(unpickle(stream, persistent=tensors.persistent, build=tensors.build))


def read_legacy(path: Path, /) -> Named:
    """Return the tensors of a PyTorch file from before the zip format, or saved without it."""
    # Five pickles follow each other (magic number, protocol, system, object, storage keys), then every storage as
    # its length and its bytes.
    memory = map_file(path)
    contents: dict[str, memoryview] = {}

    def content(key: str) -> memoryview:
        if key not in contents:
            message = f"storage {key!r} is missing: the file is damaged"
            raise CheckpointError(message)
        return contents[key]

    tensors = _Tensors(content)
    with path.open("rb") as stream:

        def read_next() -> Any:
            return unpickle(stream, persistent=tensors.persistent, build=tensors.build)

        _, _, system, root, keys = (read_next() for _ in range(5))
        tensors.big_endian = isinstance(system, Inert) and ("little_endian", False) in system.entries
        position = stream.tell()
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in tensors.dtypes or len(memory) < position + 8:
            message = "the list of its storages is damaged or truncated"
            raise CheckpointError(message)
        count = struct.unpack_from(">q" if tensors.big_endian else "<q", memory, position)[0]
        length = count * ITEMSIZE.get(tensors.dtypes[key], 1)
        position += 8
        if count < 0 or position + length > len(memory):
            message = f"storage {key!r} is truncated"
            raise CheckpointError(message)
        contents[key] = memory[position : position + length]
        position += length
    return named_tensors(root)
