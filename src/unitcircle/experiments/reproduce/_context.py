"""How thoroughly a source is reproduced, where results are kept, and how studies are run for it."""

from __future__ import annotations

__all__ = ["Context"]

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from unitcircle.experiments.studies import Store, Study, compare, execute
from unitcircle.report import Comparison

T = TypeVar("T")


@dataclass(frozen=True)
class Context:
    """What a reproduction may spend, and where it keeps what it has.

    Attributes
    ----------
    folder
        Of the results; studies resume from there.
    full
        Whether a night or a GPU is at hand, or ten minutes on two cores for everything.
    workers
        Processes that train; None: one a core.
    seed
        Of everything random.
    say
        Told what goes on, a line at a time.
    """

    folder: Path
    full: bool = False
    workers: int | None = None
    seed: int = 0
    say: Callable[[str], None] = lambda _: None

    def pick(self, quick: T, full: T, /) -> T:
        """Return one of two settings."""
        return full if self.full else quick

    def store(self, study: Study, /) -> Store:
        """Return the store of a study's records below our folder."""
        return Store(self.folder / "studies" / study.name)

    def study(self, study: Study, /) -> Comparison:
        """Run a study, or what is missing of it, and return its comparison."""
        execute(study, self.folder / "studies" / study.name, workers=self.workers)
        return compare(study, self.store(study).get)
