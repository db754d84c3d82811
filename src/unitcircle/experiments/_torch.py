"""torch, imported when something of it is first used: what only shows a study computes nothing with it."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any


class _Later(ModuleType):
    """A module under its name that is imported by the first attribute that is asked for."""

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self.__name__), name)


if TYPE_CHECKING:
    import torch as torch  # noqa: PLC0414  (exported)
else:
    torch = _Later("torch")
