"""Arrays of NumPy, SciPy and JAX in a pickle: from the records of the calls that would make them."""

from __future__ import annotations

import math
import re
from typing import Any

from unitcircle.checkpoints._pickle import Global, Inert
from unitcircle.checkpoints._sparse import sparse_tensor
from unitcircle.checkpoints._tensor import ITEMSIZE, StoredTensor, elements
from unitcircle.errors import CheckpointError

_CALL = re.compile(r"numpy\.(?:_?core)\.(?:multiarray\._reconstruct|multiarray\.scalar|numeric\._frombuffer)")
_JAX = re.compile(r"jax\.[\w.]*\._?reconstruct(?:_device)?_array")
_SPARSE = re.compile(r"scipy\.sparse\.(?:_?\w+\.)?(csr|csc|coo)_(?:matrix|array)")
_NUMBER = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16)")
_KINDS = {"b": "bool", "i": "int", "u": "uint", "f": "float", "c": "complex"}


def array_of(record: Inert, /) -> StoredTensor | list[Any] | None:
    """Return the array that a record stands for (of one of objects, the objects), or None if it stands for none."""
    if _CALL.fullmatch(record.name):
        return _numpy_array(record)
    if _JAX.fullmatch(record.name):
        match record.arguments:
            case (Global(name=name), tuple() as arguments, tuple() as state, *_) if _CALL.fullmatch(name):
                array = Inert(name, arguments)
                array.state = state
                return _numpy_array(array)
            case _:
                return None
    if match := _SPARSE.fullmatch(record.name):
        return _sparse_matrix(record, match[1])
    return None


def _numpy_array(record: Inert) -> StoredTensor | list[Any] | None:
    match record.arguments, record.state:
        case (Inert(name="numpy.dtype") as dtype, content), None:
            return _tensor(dtype, (), content, fortran=False, identity=id(record))
        case (content, Inert(name="numpy.dtype") as dtype, shape, order), None:
            return _tensor(dtype, shape, content, fortran=order == "F", identity=id(record))
        case _, (*_, shape, Inert(name="numpy.dtype") as dtype, fortran, content):
            return _tensor(dtype, shape, content, fortran=fortran == 1, identity=id(record))
        case _:
            return None


def _tensor(
    dtype: Inert, shape: Any, content: Any, *, fortran: bool, identity: object
) -> StoredTensor | list[Any] | None:
    if (
        not isinstance(shape, tuple)
        or len(shape) > 64
        or any(type(n) is not int or not 0 <= n < 1 << 62 for n in shape)
    ):
        message = f"an array claims the shape {shape!r:.80}: its pickle is damaged"
        raise CheckpointError(message)
    if isinstance(content, list):
        return content
    code = dtype.arguments[0] if dtype.arguments else None
    if isinstance(code, Global):
        kind = code.name.rpartition(".")[2]
    elif isinstance(code, str) and (match := _NUMBER.fullmatch(code)):
        kind = _KINDS[match[1][0]] + ("" if match[1] == "b1" else str(8 * int(match[1][1:])))
    else:
        # A record of several fields, a text or a date: it is no weight.
        kind = "record"
    if kind not in ITEMSIZE:
        return StoredTensor(shape, kind[:80], lambda: elements(memoryview(b""), kind, shape))
    length = _length(content)
    if length is None or math.prod(shape) * ITEMSIZE[kind] > length:
        message = f"an array of shape {shape!r:.80} and type {kind} has {length} bytes: its pickle is damaged"
        raise CheckpointError(message)
    big = isinstance(dtype.state, tuple) and dtype.state[1:2] == (">",)

    def load() -> Any:
        return elements(
            memoryview(bytes_of(content)), kind, shape, strides=_fortran(shape) if fortran else None, big_endian=big
        )

    return StoredTensor(shape, kind, load, identity)


def _fortran(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(shape[:axis]) for axis in range(len(shape)))


def _length(content: Any) -> int | None:
    """Return the number of bytes of an array's content, or None if it is none."""
    content = _unwrapped(content)
    return len(content) if isinstance(content, str | bytes | bytearray) else None


def _unwrapped(content: Any) -> Any:
    # Protocols before 3 have no bytes: Python 2 writes texts, Python 3 writes a call that encodes one.
    match content:
        case Inert(name="_codecs.encode", arguments=(str(text), "latin1" | "latin-1")):
            return text
        case Inert(name="__builtin__.bytes" | "builtins.bytes" | "__builtin__.bytearray" | "builtins.bytearray"):
            return _unwrapped(content.arguments[0]) if content.arguments else b""
        case _:
            return content


def bytes_of(content: Any, /) -> bytes | bytearray:
    """Return the bytes that a record of any protocol stands for."""
    content = _unwrapped(content)
    if not isinstance(content, str | bytes | bytearray):
        message = f"there is {type(content).__name__} where bytes should be: its pickle is damaged"
        raise CheckpointError(message)
    try:
        return content.encode("latin-1") if isinstance(content, str) else content
    except UnicodeEncodeError as error:
        message = "the bytes of an array are a text with other letters: its pickle is damaged"
        raise CheckpointError(message) from error


def _sparse_matrix(record: Inert, kind: str) -> StoredTensor | None:
    state = record.state.entries if isinstance(record.state, Inert) else []
    parts: dict[Any, Any] = {
        key: array_of(value) if isinstance(value, Inert) else value for key, value in state if isinstance(key, str)
    }
    shape = parts.get("_shape", parts.get("shape"))
    if kind == "coo":
        coordinates = parts.get("coords")
        rows, columns = (
            [array_of(each) if isinstance(each, Inert) else None for each in coordinates]
            if isinstance(coordinates, tuple) and len(coordinates) == 2
            else (parts.get("row"), parts.get("col"))
        )
        return sparse_tensor(shape, parts.get("data"), rows, columns, identity=id(record))
    if kind == "csr":
        return sparse_tensor(
            shape, parts.get("data"), parts.get("indptr"), parts.get("indices"), pointers=0, identity=id(record)
        )
    return sparse_tensor(
        shape, parts.get("data"), parts.get("indices"), parts.get("indptr"), pointers=1, identity=id(record)
    )
