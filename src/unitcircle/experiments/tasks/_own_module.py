"""A task that a function of the user's makes, named in a study file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._content import digest_of
from unitcircle.experiments.tasks._task import Batch, Split, Task


@dataclass(frozen=True)
class OwnModule(Task):
    """The task that ``package.module:function`` returns, imported from the working directory too.

    The function takes no argument and returns a task: what :func:`from_data` makes of arrays or of an iterable of
    (x, y), or a subclass of :class:`Task`, whose parameters should tell it completely.

    Parameters
    ----------
    factory
        ``package.module:function``.
    digest
        Of the task that was made, filled in when it is empty; else what is made is checked.
    """

    name = "module"

    factory: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if not all(part.isidentifier() for part in self.factory.replace(":", ".", 1).split(".")) or (
            ":" not in self.factory
        ):
            raise ArgumentError("factory", "must be written package.module:function", repr(self.factory))
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(str(_made(self.factory)).encode()))

    @property
    def task(self) -> Task:
        """What the factory made."""
        made = _made(self.factory)
        found = digest_of(str(made).encode())
        if found != self.digest:
            remedy = "The data or the parameters have changed; leave the digest out to make a task of the new ones."
            raise ArgumentError("factory", f"must make the task whose digest is {self.digest}", found, remedy)
        return made

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        return self.task.sample(rng, size)

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        return self.task.held_out(split)


def _that_of_the_task(name: str) -> property:
    return property(lambda self: getattr(self.task, name), doc="That of the task.")


for _name in (
    "every_step",
    "classes",
    "higher_is_better",
    "unit",
    "whole",
    "signature",
    "ragged",
    "architecture",
    "inputs",
    "outputs",
    "baseline",
    "threshold",
    "losses",
    "scores",
    "score_of_all",
    "solved",
    "decode",
    "corpus_score",
):
    setattr(OwnModule, _name, _that_of_the_task(_name))


@cache
def _made(factory: str) -> Task:
    module, _, name = factory.partition(":")
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        function = getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ArgumentError("factory", "must name a function that can be imported", f"{factory} ({error})") from error
    finally:
        sys.path.remove(here)
    made = function()
    if not isinstance(made, Task):
        raise ArgumentError("factory", "must return a task", type(made).__name__, "from_data makes one of (x, y).")
    return made
