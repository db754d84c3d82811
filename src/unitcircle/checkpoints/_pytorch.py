"""PyTorch files: zip archives (state dicts, TorchScript, whole modules) and the older bare pickles."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

from unitcircle.checkpoints._archive import Archive
from unitcircle.checkpoints._contents import Contents
from unitcircle.checkpoints._objects import Storage, named_tensors
from unitcircle.checkpoints._pickle import Global, Inert, unpickle
from unitcircle.checkpoints._quantized import dequantized
from unitcircle.checkpoints._sparse import sparse_tensor
from unitcircle.checkpoints._stream import Stream
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

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
    "QInt8": "int8",
    "QUInt8": "uint8",
    "QInt32": "int32",
}


class TorchCalls:
    """What stands for torch's own calls in a pickle; ``content`` finds the bytes of a storage when they are needed."""

    def __init__(self, content: Callable[[str], memoryview]) -> None:
        self.content = content
        self.big_endian = False
        self.storages: dict[str, Storage] = {}

    def persistent(self, identifier: Any) -> Any:
        """Return a storage, or for a module that brought its source code along, its class."""
        match identifier:
            case ("storage", Global(name=name), str(key), _, int(), *rest) if not rest or rest == [None]:
                kind = name.rpartition(".")[2].removesuffix("Storage")
                if key not in self.storages:
                    self.storages[key] = Storage(_STORAGES.get(kind, kind), key, self.content)
                return self.storages[key]
            case ("module", Global() as cls, *_):
                return cls
            case _:
                message = "a storage is described in a way that cannot be read; load and save it with a newer torch"
                raise CheckpointError(message)

    def build(self, call: Inert) -> Any:
        """Return a tensor for torch's rebuilding functions, and for every other call its record."""
        match call.name.removeprefix("torch._utils."), call.arguments:
            case "_rebuild_tensor_v3", (Storage() as storage, offset, shape, strides, _, _, Global() as kind, *_):
                made = self.tensor(storage, kind.name.rpartition(".")[2], offset, shape, strides)
            case "_rebuild_tensor" | "_rebuild_tensor_v2", (Storage() as storage, offset, shape, strides, *_):
                made = self.tensor(storage, storage.dtype, offset, shape, strides)
            case "_rebuild_qtensor", (Storage() as storage, offset, shape, strides, quantizer, *_):
                integers = self.tensor(storage, storage.dtype, offset, shape, strides)
                made = dequantized(integers, quantizer)
            case "_rebuild_sparse_tensor" | "_rebuild_sparse_csr_tensor", (_, tuple() as parts, *_):
                made = _sparse(parts)
            case "_rebuild_parameter" | "_rebuild_parameter_with_state", (StoredTensor() as tensor, *_):
                made = tensor
            case "torch._tensor._rebuild_from_type_v2", (Global() as function, _, tuple() as arguments, *_):
                made = self.build(Inert(function.name, arguments))
            case (
                "torch.jit._pickle.build_tensorlist"
                | "torch.jit._pickle.build_intlist"
                | "torch.jit._pickle.build_doublelist"
                | "torch.jit._pickle.restore_type_tag",
                (list() as items, *_),
            ):
                made = items
            case _:
                made = None
        return call if made is None else made

    def tensor(self, storage: Storage, dtype: str, offset: Any, shape: Any, strides: Any) -> StoredTensor:
        """Return a tensor that is not loaded; whether it lies inside its storage is checked when it is."""
        numbers = [offset, *_sizes(shape), *_sizes(strides)]
        if len(_sizes(shape)) != len(_sizes(strides)) or any(type(number) is not int for number in numbers):
            message = "a tensor's shape or strides are no numbers: the file is damaged"
            raise CheckpointError(message)
        if any(not 0 <= number < 1 << 62 for number in numbers):
            message = "a tensor's offset, shape or strides are out of range: the file is damaged or hostile"
            raise CheckpointError(message)

        def load(*, raw: bool = False) -> Any:
            content, big = storage.content(storage.key), self.big_endian
            return elements(content, dtype, shape, offset=offset, strides=strides, big_endian=big, raw=raw)

        identity = (storage, dtype, offset, shape, strides)
        return StoredTensor(shape, dtype, load, identity, partial(load, raw=True))


def _sizes(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) and len(value) <= 64 else (None,)


def _sparse(parts: tuple[Any, ...]) -> StoredTensor | None:
    match parts:
        case (StoredTensor() as places, StoredTensor() as values, tuple() as shape, *_) if places.shape[:1] == (2,):
            rows, columns = (
                StoredTensor(places.shape[1:], places.dtype, partial(_row, places, axis)) for axis in range(2)
            )
            return sparse_tensor(shape, values, rows, columns)
        case (StoredTensor() as starts, StoredTensor() as columns, StoredTensor() as values, tuple() as shape, *_):
            return sparse_tensor(shape, values, starts, columns, pointers=0)
        case _:
            return None


def _row(places: StoredTensor, axis: int) -> Any:
    return places.load()[axis]


def read_zip(archive: Archive, /) -> Contents:
    """Return the tensors of a PyTorch zip archive: a state dict in any nesting, TorchScript, or a whole module."""
    pickles = [name for name in archive.names if name.rpartition("/")[2] == "data.pkl"]
    if len(pickles) != 1:
        message = f"it should hold one data.pkl and holds {len(pickles)}; save a state_dict again"
        raise CheckpointError(message)
    folder = pickles[0].removesuffix("data.pkl")
    calls = TorchCalls(lambda key: archive.read(f"{folder}data/{key}"))
    if f"{folder}byteorder" in archive:
        calls.big_endian = bytes(archive.read(f"{folder}byteorder")) == b"big"
    root = unpickle(Stream(archive.read(pickles[0])), persistent=calls.persistent, build=calls.build)
    return named_tensors(root, alone=archive.path.stem)


def read_legacy(memory: memoryview, /, *, alone: str = "array") -> Contents:
    """Return the tensors of a PyTorch file from before the zip format, or saved without it."""
    return named_tensors(unpickle_legacy(memory), alone=alone)


def unpickle_legacy(memory: memoryview, /) -> Any:
    """Return the object that a PyTorch file without zip holds, with tensors that are not loaded."""
    # Five pickles follow each other (magic number, protocol, system, object, storage keys), then every storage as
    # its length and its bytes.
    contents: dict[str, memoryview] = {}

    def content(key: str) -> memoryview:
        if key not in contents:
            message = f"storage {key!r:.80} is missing: the file is damaged"
            raise CheckpointError(message)
        return contents[key]

    calls = TorchCalls(content)
    stream = Stream(memory)

    def read_next() -> Any:
        return unpickle(stream, persistent=calls.persistent, build=calls.build)

    _, _, system, root, keys = (read_next() for _ in range(5))
    calls.big_endian = isinstance(system, Inert) and ("little_endian", False) in system.entries
    position = stream.tell()
    for key in keys if isinstance(keys, list) else []:
        if not isinstance(key, str) or key not in calls.storages or len(memory) < position + 8:
            message = "the list of its storages is damaged or truncated"
            raise CheckpointError(message)
        count = struct.unpack_from(">q" if calls.big_endian else "<q", memory, position)[0]
        length = count * ITEMSIZE.get(calls.storages[key].dtype, 1)
        position += 8
        if count < 0 or position + length > len(memory):
            message = f"storage {key!r:.80} is truncated"
            raise CheckpointError(message)
        contents[key] = memory[position : position + length]
        position += length
    return root
