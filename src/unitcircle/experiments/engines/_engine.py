"""The interface of an engine, which applies a function to tasks: in processes of this machine or on a cluster."""

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
    """The result of a task.

    Attributes
    ----------
    task
        The task.
    value
        Return value of the function; None if it did not return.
    error
        Traceback of the exception, or how the process died; empty if the function returned.

    Examples
    --------
    >>> Reply(task=2, value=4).value, Reply(task=3, error="killed by signal 9").error
    (4, 'killed by signal 9')
    """

    task: Any
    value: Any = None
    error: str = ""


class Engine(ABC):
    """Applies one function to tasks. A task that raises or whose process dies gives a reply with an error."""

    @property
    @abstractmethod
    def slots(self) -> int:
        """Number of tasks that can run at the same time; it may change."""

    @property
    def waiting_for(self) -> str:
        """What no task can begin without, for a message; empty if nothing is missing, or it is not known."""
        return "" if self.slots else "workers to connect"

    @abstractmethod
    def submit(self, task: Any, /) -> None:
        """Start a task.

        Parameters
        ----------
        task
            Argument of the function; picklable.
        """

    @abstractmethod
    def wait(self, seconds: float, /) -> list[Reply]:
        """Wait until a task ends.

        Parameters
        ----------
        seconds
            Longest time to wait.

        Returns
        -------
        list of Reply
            Replies of tasks that have ended since the last call; empty if the time is over.
        """

    def has_begun(self, task: Any, /) -> bool:  # noqa: ARG002 - an engine may not know
        """Return whether a worker has begun a task, or still starts.

        Parameters
        ----------
        task
            One that was submitted and has not ended.

        Returns
        -------
        bool
            True where it is not known.
        """
        return True

    def abandon(self, task: Any, /) -> None:  # noqa: B027 - an engine may be unable to
        """Give up a task that takes too long: it has no reply.

        Parameters
        ----------
        task
            One that was submitted and has not ended.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop at once; tasks that are running are abandoned."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class EngineKind(ABC):
    """The options from which an engine is started.

    Attributes
    ----------
    shared
        Whether the workers see the folder of results under the same path and write to it themselves.
    """

    shared: bool

    @property
    def needs(self) -> str:
        """What starting the engine waits for, for a message; empty if it takes no time."""
        return ""

    def room(self, device: torch.device, /) -> float:  # noqa: ARG002 - the memory of other machines is unknown
        """Return the memory that one worker may fill, in bytes.

        Parameters
        ----------
        device
            Device on which the worker trains.

        Returns
        -------
        float
            inf if it is unknown.
        """
        return math.inf

    @abstractmethod
    def start(self, function: Callable[[Any], Any], /) -> Engine:
        """Start the engine.

        Parameters
        ----------
        function
            Function applied to every task; picklable.

        Returns
        -------
        Engine
            A running engine; close it, or use it as a context manager.
        """
