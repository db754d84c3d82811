"""Arrays in memory as the tensors of a file: state dicts, nested mappings, one array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import numpy as np

from unitcircle._array import dtype_name, to_numpy
from unitcircle.checkpoints._contents import MAX_DEPTH, Contents
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import ArgumentError, DtypeError, ShapeError

SOURCES = "a path, a state dict or other mapping of arrays, or one array"
"""What can be read."""


def stored_contents(source: Mapping[Any, Any], /) -> Contents:
    """Return the arrays and texts of a mapping by their paths, and what in it holds weights that cannot be read."""
    tensors: dict[str, StoredTensor] = {}
    texts: dict[str, str] = {}
    unread: list[str] = []
    for name, leaf in _leaves(source, (), 0):
        if isinstance(leaf, str):
            texts[name] = leaf
        elif _is_array(leaf):
            tensors[name] = _stored(name, leaf)
        elif type(leaf).__name__ == "ScriptObject":  # in which torch packs quantized weights
            unread.append(f"{name} is packed by torch (quantized weights): not read; pass the path of its file")
    if not tensors and not unread:
        keys = ", ".join(map(str, source)) or "nothing"
        raise ArgumentError("source", "must hold arrays", f"a {type(source).__name__} of {keys:.100}")
    return Contents(tensors, texts, unread=tuple(unread))


def stored_array(source: Any, /) -> StoredTensor:
    """Return one array as a tensor, or raise: it must be a matrix."""
    if isinstance(source, list | tuple):
        items = cast("list[Any]", source)
        kind = f"a {type(items).__name__} of {len(items)}"
        remedy = "Pass a mapping of names to arrays: the names say which array is which (Keras: pass the model)."
        raise ArgumentError("source", f"must be {SOURCES}", kind, remedy)
    if not _is_array(source):
        raise ArgumentError("source", f"must be {SOURCES}", type(source).__name__)
    if dtype_name(source).startswith(("int", "uint", "bool")):
        source = np.asarray(_values("W", source), dtype=np.float64)
    tensor = _stored("W", source)
    if len(tensor.shape) != 2 or 0 in tensor.shape:
        raise ShapeError("source", "must be a matrix", f"shape {tensor.shape}", "Pass a mapping of names to arrays.")
    return tensor


def _leaves(value: Any, path: tuple[str, ...], depth: int) -> Iterator[tuple[str, Any]]:
    """Yield what a tree of mappings and sequences holds, with its path."""
    if depth > MAX_DEPTH:
        raise ArgumentError("source", f"must be nested at most {MAX_DEPTH} deep", f"{'.'.join(path)[:80]}...")
    if isinstance(value, Mapping):
        items = cast("Mapping[Any, Any]", value).items()
    elif isinstance(value, list | tuple):
        items = enumerate(cast("list[Any]", value))
    else:
        yield ".".join(path), value
        return
    for key, item in items:
        yield from _leaves(item, (*path, str(key)), depth + 1)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") and hasattr(value, "dtype") and not isinstance(value, type)


def _stored(name: str, array: Any) -> StoredTensor:
    if getattr(array, "is_nested", False):
        raise DtypeError(name, "must be a rectangular array", "a nested tensor")
    kind = dtype_name(array)
    return StoredTensor(tuple(map(int, array.shape)), kind, lambda: _values(name, array), _identity(array))


def _identity(array: Any) -> object:
    """Return what is equal for two torch tensors of one memory, which are one weight; None where none is known."""
    try:
        place = array.data_ptr()
    except (AttributeError, RuntimeError):  # another library, or a sparse tensor
        return None
    return (place, tuple(array.shape), array.stride()) if place else None


def _values(name: str, array: Any) -> np.ndarray:
    try:
        if hasattr(array, "toarray"):  # SciPy
            return np.asarray(array.toarray())
        if hasattr(array, "to_dense"):  # torch, dense tensors too
            array = array.to_dense()
        return to_numpy(array, argument=name)
    except (RuntimeError, TypeError, NotImplementedError) as error:
        raise DtypeError(
            name, "must hold numbers that can be copied to NumPy", f"{type(array).__name__} ({error})"
        ) from error
