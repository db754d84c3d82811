"""What is left to do of a study, in which order, and which runs are trained together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from unitcircle.experiments.engines import EngineKind, Local
from unitcircle.experiments.studies._choice import chosen_rate
from unitcircle.experiments.studies._estimate import Estimates
from unitcircle.experiments.studies._memory import memory_of
from unitcircle.experiments.studies._store import Store
from unitcircle.experiments.studies._study import Experiment, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status

ENOUGH = {"cpu": 8, "cuda": 64}
"""Runs that fill the vector units of a core, or the many more of a GPU."""


def stack_limit(run: Run, /, *, engine: EngineKind | None = None) -> int:
    """Return how many runs are trained as one program at most.

    Parameters
    ----------
    run
        One of them.
    engine
        Whose workers train them; the workers of this machine by default.

    Returns
    -------
    int
        8 on a processor and 64 on a GPU, or fewer where a worker's memory holds no more; at least 1, which it is where
        one batch of the task is longer than another.
    """
    if Task.parse(run.task).ragged:
        return 1
    device = torch.device(run.device)
    enough = ENOUGH.get(device.type, ENOUGH["cuda"])
    room = (engine or Local()).room(device)
    # Where nobody knows the memory, the data may not be here either.
    return enough if math.isinf(room) else max(1, min(enough, math.floor(room / memory_of(run))))


@dataclass(eq=False)
class _Row:
    """One initializer in one setting, whose learning rate is not chosen yet."""

    experiment: Experiment
    setting: Run
    label: str
    missing: set[str]
    """Keys of the tuning runs that have not ended."""


@dataclass(eq=False)
class _Pool:
    """Runs that are ready, by the stack they can be trained in."""

    stacks: dict[Run, list[Run]] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        self.stacks.setdefault(run.stack, []).append(run)

    def __len__(self) -> int:
        return sum(map(len, self.stacks.values()))


class Plan:
    """The runs of a study that have no record yet, handed out stack by stack.

    A row is one initializer in one setting. Its tuning runs come first; when the last of them has ended, its learning
    rate is chosen and its reported runs are ready, whatever the other rows are at. A run that belongs to several rows
    is done once.

    Parameters
    ----------
    study
        The study.
    store
        What has been done of it.
    limit
        Run → how many are trained together at most.
    retry_failed
        Whether a run recorded as failed is to be done again.
    """

    def __init__(
        self,
        study: Study,
        store: Store,
        /,
        *,
        limit: Callable[[Run], int] = stack_limit,
        retry_failed: bool = False,
    ) -> None:
        self._study, self._store, self._limit = study, store, limit
        self._again = retry_failed
        self._tuning, self._reported = _Pool(), _Pool()
        self._alone: list[Run] = []
        self._retried: set[str] = set()
        self._active: dict[str, Run] = {}
        self._keys: set[str] = set()
        self._ended: dict[str, Status] = {}
        self.estimates = Estimates()
        self._rows = [_Row(*row, missing=set()) for row in _rows(study)]
        for row in self._rows:
            tuning = study.tuning_runs(row.experiment, row.setting, row.label)
            row.missing = {run.key for run in tuning if self._want(run, self._tuning)}
        self._open()

    def _want(self, run: Run, pool: _Pool) -> bool:
        """Put a run into a pool unless it has ended; return whether it is yet to end."""
        if run.key not in self._keys:
            self._keys.add(run.key)
            record = self._store.get(run)
            if record is None or (self._again and record.status is Status.FAILED):
                pool.add(run)
            else:
                self._ended[run.key] = record.status
                self.estimates.add(run, record.seconds)
        return run.key not in self._ended

    def _open(self) -> None:
        """Choose the learning rates that can be chosen."""
        for row in [row for row in self._rows if not row.missing]:
            self._rows.remove(row)
            rate = chosen_rate(self._study, row.experiment, row.setting, row.label, self._store.get)
            if rate is not None:
                for run in self._study.reported_runs(row.setting, row.label, rate):
                    self._want(run, self._reported)

    def take(self, slots: int, /) -> tuple[Run, ...]:
        """Return the next runs to be trained together, or none where all is done or waits for runs in flight.

        Tuning runs come before reported ones, because others wait for them; among each, the longest first. Stacks get
        smaller where there would not be one for every slot.

        Parameters
        ----------
        slots
            How many stacks are trained at the same time.

        Returns
        -------
        tuple of Run
            Equal in :attr:`Run.stack`.
        """
        if self._alone:
            stack = (self._alone.pop(),)
        else:
            pool = self._tuning if self._tuning.stacks else self._reported
            if not pool.stacks:
                return ()
            shared = max(pool.stacks, key=lambda key: (self._weight(key, len(pool.stacks[key])), key.key))
            ready = pool.stacks[shared]
            share = math.ceil((len(self._tuning) + len(self._reported) + len(self._active)) / slots)
            parts = math.ceil(len(ready) / min(self._limit(shared), share))
            size = math.ceil(len(ready) / parts)
            stack = tuple(ready[:size])
            del ready[:size]
            if not ready:
                del pool.stacks[shared]
        self._active |= {run.key: run for run in stack}
        return stack

    def _weight(self, shared: Run, count: int) -> float:
        """Return what puts long stacks before short ones: seconds, or steps before any run has been measured."""
        seconds = self.estimates.seconds(shared)
        return min(count, self._limit(shared)) * (shared.steps if math.isnan(seconds) else seconds)

    def end(self, records: Iterable[Record], /, *, seconds: float = math.nan) -> None:
        """Take note of runs that have ended and are in the store.

        Parameters
        ----------
        records
            Theirs.
        seconds
            Wall time of one run's share of its stack; that of the record where it is not known.
        """
        for record in records:
            key = record.run.key
            self._active.pop(key, None)
            self._ended[key] = record.status
            self.estimates.add(record.run, record.seconds if math.isnan(seconds) else seconds)
            for row in self._rows:
                row.missing.discard(key)
        self._open()

    def lose(self, stack: Sequence[Run], /) -> list[Run]:
        """Take back runs whose process died or raised: each is tried once more, alone.

        Parameters
        ----------
        stack
            Those of them that have no record.

        Returns
        -------
        list of Run
            Those that were lost the second time: they are to be recorded as failed.
        """
        for run in stack:
            self._active.pop(run.key, None)
        given_up = [run for run in stack if run.key in self._retried]
        self._alone += [run for run in stack if run.key not in self._retried]
        self._retried |= {run.key for run in stack}
        return given_up

    @property
    def ended(self) -> int:
        """Number of runs that have ended."""
        return len(self._ended)

    @property
    def failed(self) -> int:
        """Number of runs that have failed for good."""
        return sum(status is Status.FAILED for status in self._ended.values())

    @property
    def left(self) -> int:
        """Number of runs that are yet to end, those of rows whose rate is not chosen included."""
        return len(self._keys) - len(self._ended) + self._study.seeds * len(self._rows)

    def remaining_seconds(self, slots: int, /) -> float:
        """Return how long the runs that are left will take, from the times of those that have ended.

        Parameters
        ----------
        slots
            How many stacks are trained at the same time.

        Returns
        -------
        float
            Seconds, NaN before anything is measured; runs in flight count half.
        """
        pools = (self._tuning, self._reported)
        parts = [len(runs) * self.estimates.seconds(shared) for pool in pools for shared, runs in pool.stacks.items()]
        parts += [self.estimates.seconds(run) for run in self._alone]
        parts += [self._study.seeds * self.estimates.seconds(row.setting) for row in self._rows]
        parts += [self.estimates.seconds(run) / 2 for run in self._active.values()]
        return math.fsum(parts) / max(slots, 1)


def _rows(study: Study) -> Iterator[tuple[Experiment, Run, str]]:
    for experiment in study.experiments:
        for setting in experiment.settings():
            for label in study.labels_in(setting):
                yield experiment, setting, label
