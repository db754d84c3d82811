"""How thoroughly texts are reproduced, where results are kept, and how studies are run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.comparison import Comparison, compare
from unitcircle.experiments.engines import EngineKind, Here, Local
from unitcircle.experiments.studies import FIRST_TUNING_SEED, Event, Store, Study, execute
from unitcircle.report import written_whole
from unitcircle_reproduction._archive import unpack

T = TypeVar("T")

SEEDS = 10
"""The most seeds of a study: those of one repetition end where those of the next begin."""
FURTHER = 5
"""Learning rates that a contest adds at most at either end while the best of a contender is there."""
BEYOND = 3.3
"""Factor from a rate at an end to the further one."""
REPETITIONS = FIRST_TUNING_SEED // SEEDS
_DRAWS = 0x64726177
"""Added to the seed of direct draws, so that their streams differ from those of the runs, whose seeds are small."""


@dataclass(frozen=True)
class Context:
    """Effort and seed of a reproduction, and where it keeps its results.

    Attributes
    ----------
    folder
        Folder of the results; training resumes from there.
    full
        Full settings (a night, or a GPU) instead of quick ones (minutes on two cores for all texts).
    workers
        Processes that train; None: one per core.
    seed
        Seed of everything random, from 0 to 99: two seeds share no draw.
    say
        Called with a line of progress.
    on_event
        Called with the events of running studies.
    records
        Folders with the records of studies for the chapter on prediction, which then trains nothing itself.
    """

    folder: Path
    full: bool = False
    workers: int | None = None
    seed: int = 0
    say: Callable[[str], None] = lambda _: None
    on_event: Callable[[Event], None] = lambda _: None
    records: tuple[Path, ...] = ()
    _comparisons: dict[str, tuple[Study, Comparison]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if not 0 <= self.seed < REPETITIONS:
            raise ArgumentError("seed", f"must be from 0 to {REPETITIONS - 1}", str(self.seed))
        for folder in self.records:
            if not folder.is_dir():
                raise ArgumentError("records", "must be existing folders", str(folder))

    def pick(self, quick: T, full: T, /) -> T:
        """Return the setting for the quick or the full effort."""
        return full if self.full else quick

    def leaves_out(self, section: str, /) -> bool:
        """Return whether a section takes too long for a quick run, and say so."""
        if not self.full:
            self.say(f"{section}: not run without --full")
        return not self.full

    @property
    def draws(self) -> int:
        """The seed of direct draws: no run, of this repetition or another, has the same stream."""
        return _DRAWS + self.seed

    @property
    def first_seed(self) -> int:
        """The first seed of the training runs."""
        return SEEDS * self.seed

    @property
    def studies(self) -> Path:
        """The folder of the training runs, one for each seed and effort, so that their records are never mixed."""
        return self.folder / "studies" / f"{'full' if self.full else 'quick'}-{self.seed}"

    def seeded(self, study: Study, /) -> Study:
        """Return a study with the seeds of this reproduction."""
        if max(study.seeds, study.tuning_seeds) > SEEDS:
            raise ArgumentError("seeds", f"must be at most {SEEDS} in a reproduction", str(study.seeds))
        return replace(study, first_seed=self.first_seed)

    def store(self, study: Study, /) -> Store:
        """Return the store of a study's records."""
        return Store(self.studies / study.name)

    def study(self, study: Study, /, *, here: bool = False) -> Comparison:
        """Run the missing runs of a study, once, and return its comparison.

        Parameters
        ----------
        study
            A study from :meth:`seeded`.
        here
            Whether a quick run is short enough for this process.

        Returns
        -------
        Comparison
            The comparison of its records.
        """
        assert study.first_seed == self.first_seed, "the study must come from Context.seeded"
        if (known := self._comparisons.get(study.name)) is not None and known[0] == study:
            return known[1]
        engine: EngineKind = Here() if here and not self.full else Local(self.workers)
        self.say(f"study {study.name}")
        unpack(self.studies, study.name)
        execute(study, self.studies / study.name, engine=engine, on_event=self.on_event)
        comparison = compare(study, self.store(study).get)
        self._comparisons[study.name] = study, comparison
        return comparison

    def kept(
        self, name: str, setting: object, measure: Callable[[], Mapping[str, np.ndarray]], /
    ) -> dict[str, np.ndarray]:
        """Return arrays that take long to measure: from their file, or measured and written to it.

        Parameters
        ----------
        name
            Name of the folder.
        setting
            Its ``repr`` identifies the measurement within the folder.
        measure
            Returns the arrays.

        Returns
        -------
        dict
            The arrays by name.
        """
        path = self.studies / name / f"{hashlib.sha256(repr(setting).encode()).hexdigest()[:16]}.npz"
        unpack(self.studies, name)
        if not path.exists():
            self.say(f"{name}: {setting}")
            with written_whole(path) as file:
                np.savez(file, **measure())  # pyright: ignore[reportArgumentType]
        with np.load(path, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}
