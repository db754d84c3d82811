"""What carries out tasks somewhere else, a few at a time: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch


@dataclass(frozen=True, eq=False)
class Reply:
    """What became of a task.

    Attributes
    ----------
    task
        The task.
    value
        What the function returned; None if it did not.
    error
        The traceback of what it raised, or how its process died; empty if it returned.
    """

    task: Any
    value: Any = None
    error: str = ""


class Engine(ABC):
    """Applies one function to tasks. A task that raises or loses its process is a reply like any other."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """How many tasks can be worked on at the same time; it may change."""

    @abstractmethod
    def submit(self, task: Any, /) -> None:
        """Begin a task.

        Parameters
        ----------
        task
            What the function is given; picklable.
        """

    @abstractmethod
    def wait(self, seconds: float, /) -> list[Reply]:
        """Wait for tasks to end.

        Parameters
        ----------
        seconds
            At most.

        Returns
        -------
        list of Reply
            Of the tasks that have ended since the last call, none if the time is over.
        """

    @abstractmethod
    def close(self) -> None:
        """End at once; tasks in flight are given up."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EngineKind(ABC):
    """Where a study runs, and how: what an engine is started from.

    Attributes
    ----------
    shared
        Whether the workers write to the folder of results themselves, which they see under the same path.
    """

    shared: bool

    def room(self, device: torch.device, /) -> float:  # noqa: ARG002 - nothing is known of other machines
        """Return the memory that one worker may fill, in bytes.

        Parameters
        ----------
        device
            On which it trains.

        Returns
        -------
        float
            inf where nobody here knows.
        """
        return math.inf

    @abstractmethod
    def start(self, function: Callable[[Any], Any], /) -> Engine:
        """Start the engine.

        Parameters
        ----------
        function
            What it applies to every task; picklable.

        Returns
        -------
        Engine
            To be closed.
        """
