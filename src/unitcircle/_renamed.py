"""Names of earlier releases: they still work for one release, with a DeprecationWarning that says the new one."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib import import_module
from typing import Any, ParamSpec, TypeVar

from unitcircle.errors import ArgumentError

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=type[Any])


def moved(
    module: str, names: Mapping[str, str], /, *, otherwise: Callable[[str], object] | None = None
) -> Callable[[str], object]:
    """Return the ``__getattr__`` of a module whose names moved: old name → ``"package:new name"``; else otherwise."""

    # An old name may point to a room above its own, so the target is looked up by name when it is asked for.
    def attribute(name: str) -> object:
        if name not in names:
            if otherwise is not None:
                return otherwise(name)
            message = f"module {module!r} has no attribute {name!r}"
            raise AttributeError(message)
        package, _, new = names[name].partition(":")
        place = f"{package}.{new}" if new else package
        warnings.warn(f"{module}.{name} is now {place}", DeprecationWarning, stacklevel=2)
        target = import_module(package)
        return getattr(target, new) if new else target

    return attribute


def renamed_arguments(**names: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Accept keyword arguments under their old names: ``renamed_arguments(seed="rng")``."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
            for old in names.keys() & kwargs.keys():
                new = names[old]
                if new in kwargs:
                    raise ArgumentError(old, f"is the old name of {new}; pass one of them", "both")
                warnings.warn(f"{function.__name__}({old}=) is now {new}=", DeprecationWarning, stacklevel=2)
                kwargs[new] = kwargs.pop(old)
            return function(*args, **kwargs)

        return wrapper

    return decorate


def positional_fields(cls: C, /) -> C:
    """Accept the fields of a dataclass that became keyword-only at their old positions, with a warning."""
    by_keyword = cls.__init__
    names = [f.name for f in fields(cls)]
    positional = sum(not f.kw_only for f in fields(cls))

    @functools.wraps(by_keyword)
    def init(self: object, *args: object, **kwargs: object) -> None:
        late = dict(zip(names[positional:], args[positional:], strict=False))
        # What is given twice or too often is left to the dataclass, for the message that Python gives.
        if late and len(args) <= len(names) and not late.keys() & kwargs.keys():
            by_name = ", ".join(f"{name}=" for name in late)
            warnings.warn(f"{cls.__name__} takes {by_name} by keyword now", DeprecationWarning, stacklevel=2)
            args, kwargs = args[:positional], {**late, **kwargs}
        by_keyword(self, *args, **kwargs)

    cls.__init__ = init
    return cls
