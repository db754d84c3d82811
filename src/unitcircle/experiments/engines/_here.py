"""The calling process as an engine, for studies that take less time than starting a worker."""

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
    """The calling process itself: no worker is started, and a run that kills its process ends the study.

    Examples
    --------
    >>> Here()
    Here()
    """

    shared = False

    def room(self, device: torch.device, /) -> float:
        """Return the bytes that runs may fill on a device: its memory less that of the libraries or a GPU context."""
        return memory_here(device) - WORKER

    def start(self, function: Callable[[Any], Any], /) -> HereEngine:
        """Return the engine."""
        return HereEngine(function)


class HereEngine(Engine):
    """Tasks in the order of submission, each run by the call that waits for it."""

    def __init__(self, function: Callable[[Any], Any], /) -> None:
        self._function = function
        self._tasks: list[Any] = []

    @property
    def slots(self) -> int:
        """One."""
        return 1

    def submit(self, task: Any, /) -> None:
        """Append a task to the queue."""
        self._tasks.append(task)

    def wait(self, seconds: float, /) -> list[Reply]:  # noqa: ARG002 - a task cannot be interrupted
        """Run the first task to its end, whatever time it takes."""
        if not self._tasks:
            return []
        task = self._tasks.pop(0)
        try:
            return [Reply(task, value=self._function(task))]
        except Exception:
            return [Reply(task, error=traceback.format_exc())]

    def close(self) -> None:
        """Discard the tasks that were not started."""
        self._tasks.clear()
