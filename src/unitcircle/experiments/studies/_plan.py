"""Which runs of a study are left, in which order they are trained, and which are trained together."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch

from unitcircle.experiments.engines import EngineKind, Local
from unitcircle.experiments.studies._choice import chosen_rate, tuned_runs
from unitcircle.experiments.studies._estimate import Estimates
from unitcircle.experiments.studies._memory import memory_of
from unitcircle.experiments.studies._store import Store
from unitcircle.experiments.studies._study import Experiment, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status

ENOUGH = {"cpu": 8, "cuda": 64}
"""Runs in a stack beyond which a core or a GPU gains no more from training them together."""


def stack_limit(run: Run, /, *, engine: EngineKind | None = None) -> int:
    """Return the largest number of runs that are trained together as one program.

    Parameters
    ----------
    run
        One of the runs.
    engine
        Engine that trains them; the workers of this machine by default.

    Returns
    -------
    int
        8 on a processor and 64 on a GPU, or fewer if a worker's memory holds no more, but at least 1. It is 1 for tasks
        whose batches differ in length.

    Examples
    --------
    >>> from unitcircle.experiments.training import Run
    >>> stack_limit(Run("adding(length=10)", "tanh(size=8)", "orthogonal"))
    8
    """
    if Task.parse(run.task).ragged:
        return 1
    device = torch.device(run.device)
    full = ENOUGH.get(device.type, ENOUGH["cuda"])
    room = (engine or Local()).room(device)
    # memory_of reads the data, which may not be on this machine if the workers are elsewhere.
    return full if math.isinf(room) else max(1, min(full, math.floor(room / memory_of(run))))


@dataclass(eq=False)
class _PendingRow:
    """One initializer in one setting whose learning rate is not chosen yet."""

    experiment: Experiment
    setting: Run
    label: str
    missing: set[str]  # Keys of the tuning runs that have not ended


@dataclass(eq=False)
class _Pool:
    """Runs that are ready, grouped by the stack they can be trained in."""

    stacks: dict[Run, list[Run]] = field(default_factory=dict)

    def add(self, run: Run) -> None:
        self.stacks.setdefault(run.stack, []).append(run)

    def __len__(self) -> int:
        return sum(map(len, self.stacks.values()))


class Plan:
    """The runs of a study that have no record yet, handed out stack by stack.

    A row is one initializer in one setting. Its tuning runs come first. As soon as the last of them has ended, its
    learning rate is chosen and its reported runs are ready, independently of the other rows. A run that belongs to
    several rows is trained once.

    Parameters
    ----------
    study
        The study.
    store
        Its records.
    limit
        Run → largest number of runs trained together.
    retry_failed
        Whether runs recorded as failed are tried again.

    Examples
    --------
    >>> adding = Experiment("adding(length=10)", learning_rates=(1e-3,), options={"steps": 10})
    >>> study = Study("plan", initializers={"default": "torch_default"}, experiments=(adding,), seeds=3, twin=False)
    >>> plan = Plan(study, Store("there is nothing here"), limit=lambda run: 2)
    >>> [run.seed for run in plan.take(1)], plan.left
    ([0, 1], 3)
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
        self._retry_failed = retry_failed
        self._tuning, self._reported = _Pool(), _Pool()
        # Runs to be tried alone: one run that crashes ends the others of its stack.
        self._alone: list[Run] = []
        self._retried: set[str] = set()
        self._active: dict[str, Run] = {}
        self._keys: set[str] = set()
        self._ended: dict[str, Status] = {}
        self.estimates = Estimates()
        self._rows = [_PendingRow(*row, missing=set()) for row in _rows(study)]
        for row in self._rows:
            self._await_tuning(row)
        self._choose_rates()

    def _await_tuning(self, row: _PendingRow) -> None:
        """Add the tuning runs of a row that are yet to end: those at its rates, as far as the records tell these."""
        runs = tuned_runs(self._study, row.experiment, row.setting, row.label, self._find)
        row.missing = {run.key for run in runs if self._add(run, self._tuning)}

    def _find(self, run: Run) -> Record | None:
        """Return a record, None for one of a failed run that is tried again."""
        record = self._store.get(run)
        again = record is not None and self._retry_failed and record.status is Status.FAILED
        return None if again and run.key not in self._ended else record

    def _add(self, run: Run, pool: _Pool) -> bool:
        """Put a run into a pool unless it is planned already or has ended; return whether it is yet to end."""
        if run.key not in self._keys:
            self._keys.add(run.key)
            record = self._store.get(run)
            if record is None or (self._retry_failed and record.status is Status.FAILED):
                pool.add(run)
            else:
                self._ended[run.key] = record.status
                self.estimates.add(run, record.seconds)
        return run.key not in self._ended

    def _choose_rates(self) -> None:
        """Choose the learning rate of every row whose tuning has ended, and add its reported runs."""
        for row in [row for row in self._rows if not row.missing]:
            self._await_tuning(row)
            if row.missing:
                continue
            self._rows.remove(row)
            rate = chosen_rate(self._study, row.experiment, row.setting, row.label, self._store.get)
            # None if the store has lost a record since: the row is planned by the next call.
            if rate is not None:
                for run in self._study.reported_runs(row.setting, row.label, rate):
                    self._add(run, self._reported)

    def take(self, slots: int, /) -> tuple[Run, ...]:
        """Return the next runs to be trained together, or none if all that is left waits for active runs.

        Tuning runs come before reported ones, because reported runs wait for them; within each kind the stacks that
        take longest come first. Stacks are smaller if there would not be one for every slot.

        Parameters
        ----------
        slots
            Number of stacks that are trained at the same time.

        Returns
        -------
        tuple of Run
            Runs of equal :attr:`Run.stack`.
        """
        if self._alone:
            stack = (self._alone.pop(),)
        else:
            pool = self._tuning if self._tuning.stacks else self._reported
            if not pool.stacks:
                return ()
            # The longest first, so that no long stack starts when the other slots have nothing left.
            # The key breaks ties: the order does not depend on that of the study file.
            shared = max(pool.stacks, key=lambda key: (self._weight(key, len(pool.stacks[key])), key.key))
            ready = pool.stacks[shared]
            # A large stack would leave slots idle near the end: no stack takes more than a slot's share.
            share = math.ceil((len(self._tuning) + len(self._reported) + len(self._active)) / slots)
            # Equal parts: 9 runs at a limit of 8 are 5 and 4, not 8 and 1.
            parts = math.ceil(len(ready) / min(self._limit(shared), share))
            size = math.ceil(len(ready) / parts)
            stack = tuple(ready[:size])
            del ready[:size]
            if not ready:
                del pool.stacks[shared]
        self._active |= {run.key: run for run in stack}
        return stack

    def _weight(self, shared: Run, count: int) -> float:
        """Return the expected seconds of a stack, or its steps if no run has been timed yet."""
        seconds = self.estimates.seconds(shared)
        return min(count, self._limit(shared)) * (shared.steps if math.isnan(seconds) else seconds)

    def end(self, records: Iterable[Record], /, *, seconds: float = math.nan) -> None:
        """Mark runs as ended; their records are in the store.

        Parameters
        ----------
        records
            Records of the runs.
        seconds
            Wall time of a stack divided by its runs; NaN: the time in each record.
        """
        for record in records:
            key = record.run.key
            self._active.pop(key, None)
            self._ended[key] = record.status
            self.estimates.add(record.run, record.seconds if math.isnan(seconds) else seconds)
            for row in self._rows:
                row.missing.discard(key)
        self._choose_rates()

    def lose(self, stack: Sequence[Run], /) -> list[Run]:
        """Return runs to the plan whose process raised or died: each is tried once more, alone.

        Parameters
        ----------
        stack
            The runs of the stack that have no record.

        Returns
        -------
        list of Run
            The runs that were lost for the second time, to be recorded as failed.
        """
        for run in stack:
            self._active.pop(run.key, None)
        failed = [run for run in stack if run.key in self._retried]
        self._alone += [run for run in stack if run.key not in self._retried]
        self._retried |= {run.key for run in stack}
        return failed

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
        """Number of runs that are yet to end, including the reported runs of rows whose rate is not chosen."""
        return len(self._keys) - len(self._ended) + self._study.seeds * len(self._rows)

    def remaining_seconds(self, slots: int, /) -> float:
        """Return the expected time until the study is complete, from the times of the runs that have ended.

        Parameters
        ----------
        slots
            Number of stacks that are trained at the same time.

        Returns
        -------
        float
            Seconds; NaN before any run was timed. Active runs count half.
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
