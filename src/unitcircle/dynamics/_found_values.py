"""What the parts of a model hold, remembered and given back."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from types import BuiltinFunctionType, CellType, FunctionType, MethodType, ModuleType
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

DEPTH = 8
"""How deep containers and objects inside a module's attributes are followed."""

_LEFT_ALONE = (str, bytes, int, float, type, type(None), ModuleType, BuiltinFunctionType, nn.Parameter)
"""What cannot change, what is not a part of the model, and parameters, of which a copy is run."""
_LIBRARIES = frozenset({"torch", "builtins", "numpy", "functools"})
"""Packages whose callable objects, and whose classes, are no part of a model."""
_MISSING = object()


class FoundValues:
    """Values of attributes as they were, each object once."""

    def __init__(self) -> None:
        self._restorers: list[Callable[[], None]] = []
        self._seen: dict[int, Any] = {}  # The objects are kept alive, so that no id is given to another

    def keep_module(self, module: nn.Module, /) -> None:
        """Remember the attributes of a module, and those of its class, such as a count of all calls."""
        self.keep(module.__dict__, DEPTH)
        for kind in type(module).__mro__:
            if not _is_of_library(kind.__module__) and id(kind) not in self._seen:
                self._seen[id(kind)] = kind
                self._keep_named(
                    lambda kind=kind: dict(vars(kind)), partial(setattr, kind), partial(delattr, kind), DEPTH
                )

    def keep(self, value: Any, depth: int) -> None:
        """Remember the content of an object, and of what it holds."""
        if id(value) in self._seen or isinstance(value, _LEFT_ALONE):
            return
        self._seen[id(value)] = value
        if isinstance(value, Tensor):
            self._keep_tensor(value)
        elif (generator := _generator(value)) is not None:
            self._later(*generator)
        elif isinstance(value, np.ndarray):
            self._later(lambda copy: np.copyto(value, copy), value.copy())
        elif isinstance(value, bytearray):
            self._later(lambda copy: value.__setitem__(slice(None), copy), bytes(value))
        elif isinstance(value, dict | list | set | deque):
            self._keep_container(cast("Any", value), depth)
        elif isinstance(value, tuple):
            self._keep_items(cast("tuple[Any, ...]", value), depth)
        elif isinstance(value, partial):
            self._keep_items((value.func, *value.args, *value.keywords.values()), depth)
        elif isinstance(value, MethodType):
            self._keep_items((value.__self__, value.__func__), depth)
        elif isinstance(value, FunctionType) and not _is_of_library(
            value.__module__
        ):  # a hook, which may count its calls, or write to what is around it
            self.keep(vars(value), depth)
            self._keep_cells(value, depth)
        elif isinstance(value, nn.Module):  # in a list, where it is no part of the model
            self.keep(vars(value), DEPTH)
        elif not callable(value) or not _is_of_library(type(value).__module__):
            self._keep_object(value, depth)

    def restore(self) -> None:
        """Give every object the content that it had."""
        for restore in reversed(self._restorers):
            restore()

    def _later(self, function: Callable[[Any], Any], argument: Any) -> None:
        self._restorers.append(lambda: function(argument))

    def _keep_items(self, values: Any, depth: int) -> None:
        if depth:
            for value in values:
                self.keep(value, depth - 1)

    def _keep_object(self, value: Any, depth: int) -> None:
        if hasattr(value, "__dict__"):
            self.keep(vars(value), depth)
        if names := list(_slots(type(value))):

            def read() -> dict[str, Any]:
                return {name: x for name in names if (x := getattr(value, name, _MISSING)) is not _MISSING}

            self._keep_named(read, partial(object.__setattr__, value), partial(object.__delattr__, value), depth)

    def _keep_cells(self, function: FunctionType, depth: int) -> None:
        """Remember the variables around a function that it reads or writes."""
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))

        def read() -> dict[str, Any]:
            return {name: cell.cell_contents for name, cell in cells.items() if cell != CellType()}

        def write(name: str, content: Any) -> None:
            cells[name].cell_contents = content

        def erase(name: str) -> None:
            del cells[name].cell_contents

        self._keep_named(read, write, erase, depth)

    def _keep_named(
        self,
        read: Callable[[], dict[str, Any]],
        write: Callable[[str, Any], None],
        erase: Callable[[str], None],
        depth: int,
    ) -> None:
        before = read()
        self._keep_items(before.values(), depth)

        def restore() -> None:
            now = read()
            for name in now.keys() | before.keys():
                if name not in before:
                    erase(name)
                elif now.get(name, _MISSING) is not before[name]:
                    write(name, before[name])

        self._restorers.append(restore)

    def _keep_container(self, value: Any, depth: int) -> None:
        copy = value.copy()
        self._keep_items(list(copy.values()) if isinstance(value, dict) else list(copy), depth)

        def restore() -> None:
            if _same(value, copy):
                return
            value.clear()
            (value.update if isinstance(value, dict | set) else value.extend)(copy)

        self._restorers.append(restore)

    def _keep_tensor(self, value: Tensor) -> None:
        if value.is_meta or value.is_sparse or torch.is_inference(value):
            return
        version, copy, flag = value._version, value.detach().clone(), value.requires_grad

        def restore() -> None:
            # Native code writes running statistics without a new version.
            if value._version != version or not _equal(value.detach(), copy):
                with torch.no_grad():
                    value.copy_(copy)
            if value.is_leaf and value.requires_grad != flag:
                value.requires_grad_(flag)

        self._restorers.append(restore)


def _is_of_library(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _LIBRARIES


def _equal(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold the same values, NaN at the same places."""
    return bool(((a == b) | ((a != a) & (b != b))).all())  # noqa: PLR0124


def _generator(value: Any) -> tuple[Callable[[Any], Any], Any] | None:
    """Return how the state of a generator of random numbers is set, and that state; None for other objects."""
    if isinstance(value, torch.Generator | np.random.RandomState):
        return value.set_state, value.get_state()
    if isinstance(value, np.random.Generator):
        return lambda state: setattr(value.bit_generator, "state", state), value.bit_generator.state
    return (value.setstate, value.getstate()) if isinstance(value, random.Random) else None


def _slots(kind: type) -> Iterator[str]:
    """Yield the names of the attributes that the objects of a class keep outside of a dictionary."""
    for one in kind.__mro__:
        names: Any = vars(one).get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name not in {"__dict__", "__weakref__"}:
                private = name.startswith("__") and not name.endswith("__")
                yield f"_{one.__name__.lstrip('_')}{name}" if private else name


def _same(value: Any, copy: Any) -> bool:
    """Whether a container holds the same objects as its copy, in the same order."""
    if len(value) != len(copy):
        return False
    if isinstance(value, dict):
        pairs = zip(value.items(), copy.items(), strict=True)
        return all(a == b and x is y for (a, x), (b, y) in pairs)
    return value == copy if isinstance(value, set) else all(a is b for a, b in zip(value, copy, strict=True))
