"""The calling process as an engine: one stack after the other, for a study shorter than the start of a worker."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from unitcircle.experiments.engines._capacity import WORKER, memory_here
from unitcircle.experiments.engines._engine import Engine, EngineKind, Reply


@dataclass(frozen=True)
class Here(EngineKind):
    """The calling process itself: nothing is started, and nothing protects it from a run that ends the process."""

    shared = False

    def room(self, device: torch.device, /) -> float:
        """Return the memory of this machine, less that of a GPU's context or of the libraries."""
        return memory_here(device) - WORKER

    def start(self, function: Callable[[Any], Any], /) -> HereEngine:
        """Return the engine; there is nothing to start."""
        return HereEngine(function)


class HereEngine(Engine):
    """Tasks in the order they came, each done by the call that waits for it."""

    def __init__(self, function: Callable[[Any], Any], /) -> None:
        self._function = function
        self._tasks: list[Any] = []

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, task: Any, /) -> None:
        """Put a task last."""
        self._tasks.append(task)

    def wait(self, seconds: float, /) -> list[Reply]:  # noqa: ARG002 - a task is not left before it has ended
        """Do the first task, whatever time it takes."""
        if not self._tasks:
            return []
        task = self._tasks.pop(0)
        try:
            return [Reply(task, value=self._function(task))]
        except Exception:
            return [Reply(task, error=traceback.format_exc())]

    def close(self) -> None:
        """Forget the tasks that were not begun."""
        self._tasks.clear()
