"""Modules of flax nnx as trees of parameters, and back; flax is imported by the caller or not at all."""

from __future__ import annotations

import sys
from typing import Any


def _nnx() -> Any:
    return sys.modules["flax.nnx"]


def is_module(model: object, /) -> bool:
    """Whether this is an nnx module; flax is not imported."""
    return "flax.nnx" in sys.modules and isinstance(model, _nnx().Module)


def parameters_of(module: Any, /) -> Any:
    """Return the parameters of a module as nested dictionaries of arrays, shared ones once."""
    return _nnx().to_pure_dict(_nnx().state(module, _nnx().Param))


def update(module: Any, parameters: Any, /) -> None:
    """Give a module other parameters, of the form of :func:`parameters_of`."""
    state = _nnx().state(module, _nnx().Param)
    _nnx().replace_by_pure_dict(state, parameters)
    _nnx().update(module, state)


def submodule(module: Any, path: tuple[str, ...], /) -> Any:
    """Return the part of a module at the path of its parameters."""
    for name in path:
        module = getattr(module, name) if hasattr(module, name) else module[int(name) if name.isdigit() else name]
    return module
