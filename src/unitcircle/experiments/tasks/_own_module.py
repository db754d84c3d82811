"""A task that a user's function returns, for study files."""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from traceback import extract_tb
from typing import Any

from unitcircle._specification import Specification
from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._content import digest_of
from unitcircle.experiments.tasks._task import Task


@dataclass(frozen=True)
class OwnModule(Specification):
    """The task that ``package.module:function`` returns, imported from the working directory too.

    The function takes no argument and returns a task: that of :func:`from_data`, or an instance of a subclass of
    :class:`Task` whose parameters describe it completely. ``Task.parse("module(factory=...)")`` returns this task
    itself; a run identifies it by the text ``module(...)`` (:attr:`Task.key_text`).

    Parameters
    ----------
    factory
        ``package.module:function``.
    digest
        Of the task's identity, filled in when it is empty; else the task that the function returns is checked.

    Examples
    --------
    A function of ours as the factory, in place of one in a file of yours:

    >>> OwnModule("unitcircle.experiments.tasks:Adding").resolve()
    Adding(length=50)
    """

    kind = Task.kind
    registry = Task.registry
    example = Task.example
    name = "module"

    factory: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if not all(part.isidentifier() for part in self.factory.replace(":", ".", 1).split(".")) or (
            ":" not in self.factory
        ):
            raise ArgumentError("factory", "must be written package.module:function", repr(self.factory))
        if not self.digest:
            # Of the identity, not of the text: the same data have another path on another machine.
            object.__setattr__(self, "digest", digest_of(_call(self.factory).identity.encode()))

    def resolve(self) -> Task:
        """Return the task that the function returns, checked against the digest."""
        task = _call(self.factory)
        digest = digest_of(task.identity.encode())
        # Releases before 0.2 wrote the digest of the text, paths included.
        if self.digest not in {digest, digest_of(str(task).encode())}:
            remedy = "The data or the parameters have changed; leave the digest out to make a task of the new ones."
            raise ArgumentError("factory", f"must make the task whose digest is {self.digest}", digest, remedy)
        return task.with_key_text(str(self), title=self.factory)

    def __getattr__(self, name: str) -> Any:
        # Before 0.2 a module was a task that forwarded what it was asked.
        if name.startswith("_"):
            raise AttributeError(name)
        warnings.warn(f"OwnModule.{name} is now OwnModule.resolve().{name}", DeprecationWarning, stacklevel=2)
        task = self.resolve()
        return task if name == "task" else getattr(task, name)


@cache
def _call(factory: str) -> Task:
    """Import the function and return its task."""
    module, _, name = factory.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ArgumentError("factory", "must name a function that can be imported", f"{factory} ({error})") from error
    except (Exception, SystemExit) as error:  # the user's module may raise anything
        raise _users_error(error, factory) from error
    finally:
        sys.path.remove(here)
    try:
        task = function()
    except (Exception, SystemExit) as error:
        raise _users_error(error, factory) from error
    if not isinstance(task, Task):
        raise ArgumentError("factory", "must return a task", type(task).__name__, "from_data makes one of (x, y).")
    return task


def _users_error(error: Exception | SystemExit, factory: str) -> ArgumentError:
    """Return the error of a function of the user's, which says what it raised, and where."""
    *_, last = extract_tb(error.__traceback__)
    arrived = f"{factory}: {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
    return ArgumentError("factory", "must name a function that returns a task", arrived)
