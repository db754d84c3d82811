"""GGUF files of llama.cpp: metadata, a table of tensors, and their blocks."""

from __future__ import annotations

import importlib
import importlib.util
import math
import struct
from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from unitcircle.checkpoints._archive import map_file
from unitcircle.checkpoints._contents import COST_OF_TENSOR, Contents
from unitcircle.checkpoints._counted_layer import counted_layer, reserve, source_of
from unitcircle.checkpoints._room import take, work
from unitcircle.checkpoints._tensor import BLOCK, ITEMSIZE, StoredTensor, elements
from unitcircle.errors import ArgumentError, CheckpointError, MissingExtraError
from unitcircle.recurrence import RecurrentLayer

# Why not gguf.GGUFReader: it makes several objects of every word of a vocabulary, so that a small hostile file takes
# gigabytes. Quantized blocks are decoded by the package.

_PLAIN = {0: "float32", 1: "float16", 28: "float64", 30: "bfloat16", 24: "int8", 25: "int16", 26: "int32", 27: "int64"}
"""Types of elements that NumPy has, by GGUF's number."""
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of every value of metadata that is a number."""
_TEXT, _LIST = 8, 9
MAX_NAME = 1000
MAX_TENSORS = 100_000


class _Cursor:
    """A place in a file that moves on as it is read."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory
        self.place = 0

    def take(self, size: int) -> memoryview:
        """Return some bytes, and move on."""
        if size > len(self.memory) - self.place:
            message = "its header claims more than the file holds: truncated or hostile"
            raise CheckpointError(message)
        self.place += size
        return self.memory[self.place - size : self.place]

    def number(self, code: str) -> int:
        """Return a number, and move on."""
        return struct.unpack(code, self.take(struct.calcsize(code)))[0]

    def text(self) -> str:
        """Return a text, and move on."""
        return str(self.take(self.number("<Q"))[:MAX_NAME], "utf-8", "replace")

    def value(self, kind: int) -> Any:
        """Return a value of metadata, or None for a list, and move on."""
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            kind, count = self.number("<I"), self.number("<Q")
            if kind in _SIZES:
                self.take(_SIZES[kind] * count)
            elif kind == _TEXT:
                work(min(count, len(self.memory)), "a list of its metadata")
                for _ in range(min(count, len(self.memory))):
                    self.take(self.number("<Q"))
            else:
                message = f"its metadata hold a list of type {kind}: damaged, or newer than this reader"
                raise CheckpointError(message)
            return None
        if kind not in _SIZES:
            message = f"its metadata hold a value of type {kind}: damaged, or newer than this reader"
            raise CheckpointError(message)
        return int.from_bytes(self.take(_SIZES[kind]), "little")


def read_gguf(path: Path, /) -> Contents:
    """Return the tensors of a GGUF file, decoded when they are loaded, and its selective state spaces."""
    memory = map_file(path)
    cursor = _Cursor(memory)
    cursor.take(4)
    version, count, pairs = cursor.number("<I"), cursor.number("<Q"), cursor.number("<Q")
    if version not in {2, 3}:
        message = f"it is GGUF of version {version}; convert it again with the llama.cpp of today"
        raise CheckpointError(message)
    metadata: dict[str, Any] = {}
    for _ in range(min(pairs, len(memory))):
        work(4, "its metadata")
        key = cursor.text()
        value = cursor.value(cursor.number("<I"))
        if key.startswith("general."):
            metadata[key] = value
    if count > MAX_TENSORS:
        message = f"its header claims {count} tensors, more than {MAX_TENSORS}: truncated or hostile"
        raise CheckpointError(message)
    entries = [_entry(cursor) for _ in range(min(count, len(memory)))]
    alignment = metadata.get("general.alignment") or 32
    start = -(-cursor.place // alignment) * alignment if isinstance(alignment, int) else cursor.place
    tensors = {name: _tensor(name, shape, kind, memory[start:], offset) for name, shape, kind, offset in entries}
    layers = _state_spaces(tensors, str(path))
    read = {layer.source.tensors[0] for layer in layers}
    unread = [f"{name} looks like a selective state space and does not fit its ssm_dt.bias: not read"
              for name in tensors if name.endswith(".ssm_a") and name not in read]  # fmt: skip
    coded = sorted({tensor.dtype for tensor in tensors.values() if tensor.dtype.startswith("type ")})
    notes = [f"tensors quantized by {', '.join(coded)} cannot be decoded here"] if coded else []
    mixing = next((name for name in tensors if ".time_mix_" in name), None)
    suspects = [f"this looks like RWKV ({mixing}): not read"] if mixing else []
    return Contents(tensors, layers=layers, notes=tuple(notes), unread=tuple(unread[:3]), suspects=tuple(suspects))


def _entry(cursor: _Cursor) -> tuple[str, tuple[int, ...], int, int]:
    name, axes = cursor.text(), cursor.number("<I")
    take(len(name) + COST_OF_TENSOR, "its tensors")
    if axes > 8:
        message = f"tensor {name!r:.80} claims {axes} axes: damaged or hostile"
        raise CheckpointError(message)
    # GGUF lists the side first whose elements lie next to each other.
    shape = tuple(cursor.number("<Q") for _ in range(axes))[::-1]
    return name, shape, cursor.number("<I"), cursor.number("<Q")


def _tensor(name: str, shape: tuple[int, ...], kind: int, data: memoryview, offset: int) -> StoredTensor:
    count = math.prod(shape)
    if kind in _PLAIN:
        size = count * ITEMSIZE[_PLAIN[kind]]
    else:
        block = _block(kind)
        if block is None or (shape and shape[-1] % block[0]):
            return StoredTensor(shape, f"type {kind}", lambda: np.empty(0))
        size = count // block[0] * block[1]
    if offset > len(data) or size > len(data) - offset:
        message = f"tensor {name!r:.80} of shape {shape!s:.80} does not lie inside the file: truncated or hostile"
        raise CheckpointError(message)
    content = data[offset : offset + size]
    if kind in _PLAIN:
        return StoredTensor(shape, _PLAIN[kind], partial(elements, content, _PLAIN[kind], shape))
    return StoredTensor(shape, "float32", partial(_decoded, content, kind, shape))


@cache
def _block(kind: int) -> tuple[int, int] | None:
    """Return the elements and bytes of a block of a quantized type, or None where the package does not decode it."""
    if importlib.util.find_spec("gguf") is None:
        raise MissingExtraError("reading quantized GGUF files", "gguf", "formats")
    constants, quants = importlib.import_module("gguf.constants"), importlib.import_module("gguf.quants")
    try:
        quantization = constants.GGMLQuantizationType(kind)
        quants.dequantize(np.zeros((1, constants.GGML_QUANT_SIZES[quantization][1]), np.uint8), quantization)
    except (ValueError, KeyError, NotImplementedError):
        return None
    return constants.GGML_QUANT_SIZES[quantization]


def _decoded(content: memoryview, kind: int, shape: tuple[int, ...]) -> np.ndarray:
    constants, quants = importlib.import_module("gguf.constants"), importlib.import_module("gguf.quants")
    count, size = constants.GGML_QUANT_SIZES[kind]
    blocks = np.frombuffer(content, np.uint8).reshape(-1, size)
    values = np.empty((len(blocks), count), np.float32)
    rows = max(BLOCK // count, 1)
    for start in range(0, len(blocks), rows):  # the package takes several times the room of what it decodes
        part = quants.dequantize(blocks[start : start + rows], constants.GGMLQuantizationType(kind))
        values[start : start + rows] = part.reshape(-1, count)
    return values.reshape(shape)


def _state_spaces(tensors: dict[str, StoredTensor], file: str) -> list[RecurrentLayer]:
    """Return the layers of Mamba and its kin, of which GGUF keeps A = -exp(A_log)."""
    layers: list[RecurrentLayer] = []
    for name, tensor in tensors.items():
        block, end, rest = name.rpartition(".ssm_a")
        bias = f"{block}.ssm_dt.bias"
        if not end or rest or bias not in tensors:
            continue
        reserve(math.prod(tensor.shape))
        A, dt_bias = tensor.load().astype(np.float64), tensors[bias].load()
        if not A.size or not (A < 0).all():
            continue
        A = A.ravel() if A.shape[-1:] == (1,) else A  # of Mamba 2, one number a head
        try:
            source = source_of(file, (name, bias), "gguf", tensor.dtype)
            names, dtypes = {"A_log": "ssm_a", "dt_bias": "ssm_dt.bias"}, {"dt_bias": tensors[bias].dtype}
            parameters = {"A_log": np.log(-A), "dt_bias": dt_bias}
            family = _family_of_state_space(tensors, block, A.ndim)
            layers.append(counted_layer(family, parameters, names=names, dtypes=dtypes, name=block, source=source))
        except ArgumentError:
            continue
    return layers


def _family_of_state_space(tensors: Mapping[str, StoredTensor], block: str, axes: int) -> str:
    """Return the family of a block's state space: Mamba has a rate for each mode, the delta rule a β."""
    if axes > 1:
        return "Mamba"
    delta = any(f"{block}.{name}.weight" in tensors for name in ("ssm_ba", "ssm_beta", "ssm_beta_alpha"))
    return "Gated DeltaNet" if delta else "Mamba-2" if f"{block}.ssm_in.weight" in tensors else "Mamba-2/GDN"
