"""The wire format of protocol buffers: fields out of bytes, each counted before it costs memory."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

from unitcircle.checkpoints._room import take, work

# Why not the onnx package: it brings protobuf, whose compiled parser builds the whole model, weights included, before
# any check of ours, and may die on a hostile file. We need six of its message types, and drop the dependency.

# Wire types 3 and 4, groups, are obsolete, and onnx.proto has none.
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
VARINT_BITS = 70
"""Ten bytes of seven bits: the longest encoding of a 64-bit integer."""
COST_OF_FIELD = 300
"""Bytes that Python keeps for a field, which takes two in the file: a hostile file of 20 MB would fill 1 GB."""
COST_OF_NUMBER = 8


class WireError(ValueError):
    """The bytes are not a protocol buffer."""


def fields(message: memoryview, /) -> Iterator[tuple[int, int | memoryview]]:
    """Iterate over the fields of a message."""
    position, end = 0, len(message)
    while position < end:
        take(COST_OF_FIELD, "the fields of its messages")
        work(1, "the fields of its messages")
        key, position = _varint(message, position)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield number, value
            continue
        if kind == BYTES:
            length, position = _varint(message, position)
        elif kind in {FIXED32, FIXED64}:
            length = 4 if kind == FIXED32 else 8
        else:
            error = f"wire type {kind} does not exist"
            raise WireError(error)
        # A slice beyond the end would be cut silently, and the field taken for a shorter one.
        if length > end - position:
            error = f"a field of {length} bytes where {end - position} are left"
            raise WireError(error)
        yield number, message[position : position + length]
        position += length


def integers(value: int | memoryview, /) -> array[int]:
    """Return the signed integers of a repeated field: one, or as many as are packed into its bytes."""
    if isinstance(value, int):
        return array("q", [_to_signed(value)])
    take(COST_OF_NUMBER * len(value), "its lists of integers")
    work(len(value) >> 1, "its lists of integers")
    numbers = array("q")
    position = 0
    while position < len(value):
        number, position = _varint(value, position)
        numbers.append(_to_signed(number))
    return numbers


def _varint(data: memoryview, position: int) -> tuple[int, int]:
    """Return an unsigned integer and the position after it."""
    # Little-endian groups of seven bits; the high bit of a byte says that another follows.
    result = shift = 0
    while True:
        if position >= len(data) or shift >= VARINT_BITS:
            message = "a number does not end"
            raise WireError(message)
        byte = data[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            # Ten bytes hold 70 bits; protobuf drops those beyond 64.
            return result & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7


def _to_signed(value: int) -> int:
    # onnx.proto uses int64, which is stored as two's complement, and never the zigzag of sint64.
    return value - (1 << 64) if value >= 1 << 63 else value
