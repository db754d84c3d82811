"""A tensor of a file: its shape and element type at once, its values only when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.checkpoints._room import take
from unitcircle.errors import CheckpointError

ITEMSIZE = {
    "bool": 1,
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "uint32": 4,
    "int64": 8,
    "uint64": 8,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
    "float16": 2,
    "bfloat16": 2,
    "float32": 4,
    "float64": 8,
    "complex64": 8,
    "complex128": 16,
}
"""Bytes per element of every element type that can be read."""

BLOCK = 1 << 16
"""Entries of an array that are converted at once."""
_LOADED = {"float8_e4m3fn": "float32", "float8_e5m2": "float32", "bfloat16": "float32"}
_RAW = {"float8_e4m3fn": "uint8", "float8_e5m2": "uint8", "bfloat16": "uint16"}


@dataclass(frozen=True, eq=False, slots=True)
class StoredTensor:
    """A tensor of a file that has been found, and checked to lie inside the file, but not loaded."""

    shape: tuple[int, ...]  # Its shape
    dtype: str  # Name of its element type, "bfloat16" and the 8-bit floats included
    values: Callable[[], np.ndarray]  # Returns them; 8-bit floats and bfloat16 as float32, all others in their own type
    identity: object = None  # Equal for tensors that are one and the same memory under several names
    raw: Callable[[], np.ndarray] | None = None  # Returns its bytes as they are stored, where NumPy lacks the type

    def load(self) -> np.ndarray:
        """Return its values; what they take is counted before."""
        size = ITEMSIZE.get(_LOADED.get(self.dtype, self.dtype), 0)
        take(math.prod(self.shape) * size, "the values of its tensors")
        return self.values()

    @property
    def is_matrix(self) -> bool:
        """Whether it is a non-empty matrix of floating-point numbers."""
        return len(self.shape) == 2 and 0 not in self.shape and self.dtype.startswith(("float", "bfloat", "complex"))


def elements(
    buffer: memoryview,
    dtype: str,
    shape: tuple[int, ...],
    /,
    *,
    offset: int = 0,
    strides: tuple[int, ...] | None = None,
    big_endian: bool = False,
    raw: bool = False,
) -> np.ndarray:
    """Return the values of a tensor in a buffer, as a view wherever NumPy has the element type; raw, always."""
    size = ITEMSIZE.get(dtype)
    if size is None:
        message = f"elements of type {dtype!r:.80} cannot be read; convert them to float32"
        raise CheckpointError(message)
    if 0 in shape:
        # NumPy counts the bytes of an empty array as if its empty sides had one element.
        if min(shape) < 0 or math.prod(max(extent, 1) for extent in shape) * size >= 1 << 62:
            message = f"a tensor claims the shape {shape!r:.200}: the file is damaged or hostile"
            raise CheckpointError(message)
        return np.zeros(shape, _LOADED.get(dtype, dtype))
    if strides is None:
        strides = tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))
    count = len(buffer) // size
    last = offset + sum((extent - 1) * step for extent, step in zip(shape, strides, strict=True))
    if min((offset, *strides, *shape)) < 0 or last >= count:
        message = f"a tensor of shape {shape!r:.200} does not lie inside its storage of {count} elements"
        raise CheckpointError(message)
    # A view that repeats its storage could be any size without a byte in the file.
    if math.prod(shape) > count:
        message = f"a tensor of shape {shape!r:.200} repeats its storage of {count} elements; call contiguous() first"
        raise CheckpointError(message)
    kind = np.dtype(_RAW.get(dtype, dtype)).newbyteorder(">" if big_endian else "<")
    # Steps along a side of one element do not matter, and may be anything.
    steps = tuple(step * size if extent > 1 else 0 for extent, step in zip(shape, strides, strict=True))
    view = np.ndarray(shape, kind, buffer, offset * size, steps)
    view.flags.writeable = False
    if raw:
        return view
    if dtype in _WIDER:
        return by_blocks(view, np.dtype(np.float32), _WIDER[dtype])
    return view if view.dtype.isnative else view.astype(view.dtype.newbyteorder("="))


def bfloat16_bits(values: np.ndarray, /) -> np.ndarray:
    """Return the 16 bits of the nearest numbers of bfloat16, ties to even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).reshape(values.shape)


def by_blocks(
    stored: np.ndarray, dtype: np.dtype[Any], convert: Callable[..., np.ndarray], /, *others: np.ndarray
) -> np.ndarray:
    """Return ``convert(stored)``, computed block by block, so that no step of it takes room for the whole array."""
    arrays = (stored, *others)
    kinds = [array.dtype.newbyteorder("=") for array in arrays]
    nditer: Any = np.nditer  # its stubs know no lists of flags that are computed
    with nditer(
        [*arrays, None],
        ["external_loop", "buffered", "zerosize_ok"],
        [*[["readonly"]] * len(arrays), ["writeonly", "allocate"]],
        op_dtypes=[*kinds, dtype],
        buffersize=BLOCK,
    ) as blocks:
        for *parts, result in blocks:
            result[...] = convert(*parts)
        return blocks.operands[-1]


def of_bfloat16(bits: np.ndarray, /) -> np.ndarray:
    """Return the float32 numbers whose upper halves some 16 bits are."""
    return by_blocks(bits, np.dtype(np.float32), _of_bfloat16)


def _of_bfloat16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _e4m3() -> np.ndarray:
    # Sign, four bits of exponent with bias 7, three of mantissa; no infinity, and only 0x7f and 0xff are NaN.
    code = np.arange(256)
    exponent, mantissa = (code >> 3) & 15, (code & 7) / 8.0
    value = np.where(exponent > 0, np.ldexp(1.0 + mantissa, exponent - 7), np.ldexp(mantissa, -6))
    value = np.where(code & 127 == 127, np.nan, value)
    return np.where(code & 128, -value, value).astype(np.float32)


_E4M3 = _e4m3()
_E5M2 = (np.arange(256, dtype=np.uint16) << 8).view(np.float16).astype(np.float32)
_WIDER: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "bfloat16": _of_bfloat16,
    "float8_e4m3fn": _E4M3.__getitem__,
    "float8_e5m2": _E5M2.__getitem__,
}
"""How the bits of element types that NumPy lacks become float32."""
