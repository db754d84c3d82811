"""The tensors inside the records of a pickle, by the names a state dict would give them."""

from __future__ import annotations

from typing import Any

from unitcircle.checkpoints._pickle import Inert
from unitcircle.checkpoints._tensor import StoredTensor

MAX_NAME = 1000
"""Characters of a name: names of nested containers would otherwise grow as the square of the file."""
_TRANSPARENT = {"_parameters", "_buffers", "_modules"}
_SWITCHES = {"mode", "nonlinearity"}


def named_tensors(root: Any, /) -> tuple[dict[str, StoredTensor], dict[str, str]]:
    """Return every tensor reachable from an object, and the texts that name the nonlinearity of a plain RNN."""
    # A module's attributes count as a dictionary, and its _parameters, _buffers and _modules add no
    # part to the name: a whole pickled module gives the names of its state dict. Every container is visited once.
    tensors: dict[str, StoredTensor] = {}
    texts: dict[str, str] = {}
    seen: set[int] = set()
    ahead: list[tuple[str, Any]] = [("", root)]
    while ahead:
        name, value = ahead.pop()
        if isinstance(value, StoredTensor):
            tensors[name if name not in tensors else f"{name}#{len(tensors)}"] = value
        elif isinstance(value, str):
            if name.rpartition(".")[2] in _SWITCHES and len(value) < MAX_NAME:
                texts[name] = value
        elif isinstance(value, Inert | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            ahead += reversed([(_join(name, key), child) for key, child in _children(value) if _short(name, key)])
    return tensors, texts


def _children(value: Inert | list[Any] | tuple[Any, ...]) -> list[tuple[Any, Any]]:
    if not isinstance(value, Inert):
        return list(enumerate(value))
    children = [(index if key is None else key, item) for index, (key, item) in enumerate(value.entries)]
    states = value.state if isinstance(value.state, tuple) else (value.state,)
    children += [(None, state) for state in states]
    return children + [(None, argument) for argument in value.arguments]


def _short(name: str, key: Any) -> bool:
    return len(name) + (len(key) if isinstance(key, str) else 20) < MAX_NAME


def _join(name: str, key: Any) -> str:
    if key is None or (isinstance(key, str) and key in _TRANSPARENT):
        return name
    part = str(key) if isinstance(key, str | int) and not (isinstance(key, int) and key.bit_length() > 63) else "?"
    return f"{name}.{part}" if name else part
