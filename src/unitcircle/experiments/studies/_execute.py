"""Executing a study: take a stack of runs from the plan, train it, store its records, repeat."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from unitcircle.errors import ArgumentError, UnitcircleError
from unitcircle.experiments.engines import Engine, EngineKind, Here, Local, Reply, engine_kind, whole_memory
from unitcircle.experiments.studies._described import keep_descriptions
from unitcircle.experiments.studies._lock import only_driver
from unitcircle.experiments.studies._memory import memory_of_parameters
from unitcircle.experiments.studies._plan import Plan, stack_limit
from unitcircle.experiments.studies._progress import Event, StudyProgress
from unitcircle.experiments.studies._store import Store
from unitcircle.experiments.studies._study import Experiment, Study
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Record, Run, Status, train

Stack = tuple[Run, ...]
Train = Callable[[Sequence[Run]], list[Record]]

LONGEST_WAIT = 1.0
"""Seconds between two events while stacks are being trained."""


@dataclass(frozen=True)
class Outcome:
    """What one call of :func:`execute` has done.

    Attributes
    ----------
    ended
        Number of runs that ended in this call.
    failed
        Number of runs of the whole study that failed for good.
    left
        Number of runs that have not ended.
    seconds
        Wall time.
    problems
        Path → reason, for every result file that could not be read; its run was repeated.

    Examples
    --------
    >>> outcome = Outcome(ended=6, failed=0, left=12, seconds=30.0, problems={})  # of execute(..., minutes=0.5)
    >>> outcome.complete
    False
    """

    ended: int
    failed: int
    left: int
    seconds: float
    problems: dict[Path, str]

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return self.left == 0


def execute(  # noqa: PLR0913 - options, all by keyword
    study: Study,
    folder: str | os.PathLike[str],
    /,
    *,
    engine: EngineKind | str = "local",
    workers: int | None = None,
    minutes: float | None = None,
    timeout: float | None = None,
    retry_failed: bool = False,
    on_event: Callable[[Event], None] | None = None,
    train: Train = train,
) -> Outcome:
    """Train the runs of a study that have no record in a folder; a second call resumes where the first stopped.

    If a stack of runs raises or its process dies, each of its runs is tried once more, alone; a run that fails again
    is recorded as failed. However this call ends, ``kill -9`` included, the records written so far stay, and the next
    call repeats at most the runs that were being trained. An interrupt (Ctrl-C) is raised after the workers have been
    stopped.

    Parameters
    ----------
    study
        The study.
    folder
        Folder of the results; the records are in its subfolder ``runs``.
    engine
        Where runs are trained: ``"local"``, ``"here"`` (this process), ``"dask://HOST:PORT"``, ``"slurm"``, or an
        engine of :mod:`unitcircle.experiments.engines` with its options, such as ``Local(gpu_fraction=0.25)``.
    workers
        Number of processes of the local engine; one per processor by default.
    minutes
        Time after which no more runs are started; those that are being trained end. None: no limit.
    timeout
        Seconds that a run may take, from when it is given to a worker; runs trained together have the sum. A stack that
        takes longer is stopped, as if its process had died. None: no limit.
    retry_failed
        Whether runs that are recorded as failed are tried again.
    on_event
        Called with every event; see :func:`progress_display`.
    train
        Function that trains a stack; importable on the workers.

    Returns
    -------
    Outcome
        How many runs ended, failed and are left.

    Raises
    ------
    ArgumentError
        The engine does not exist; the minutes are negative or NaN; the timeout is not positive, or is given to the
        engine ``"here"``, which cannot stop a run; workers are given to another engine than the local
        one; a fraction of a GPU is given to a study that uses none; the folder cannot be created, or a folder has the
        name of a record; or this machine lacks the device, the memory or the data that the runs need.
    UnitcircleError
        Another process runs a study in this folder; a record cannot be written (the disk is full); or no worker starts.

    Examples
    --------
    A function in place of the training, which takes no time and learns nothing:

    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.experiments.training import Record, Status
    >>> def train(runs):
    ...     return [Record(run, Status.FINISHED, summary={"test_score": 0.17}) for run in runs]
    >>> adding = Experiment("adding(length=10)", learning_rates=(1e-3,), options={"steps": 10})
    >>> study = Study("demo", initializers={"default": "torch_default"}, experiments=(adding,), seeds=3, twin=False)
    >>> with TemporaryDirectory() as folder:
    ...     first = execute(study, folder, engine="here", train=train)
    ...     again = execute(study, folder, engine="here", train=train)
    >>> first.ended, again.ended, again.complete
    (3, 0, True)
    """
    kind = engine_kind(engine) if isinstance(engine, str) else engine
    if workers is not None:
        if kind != Local():
            raise ArgumentError("workers", "is an option of the local engine only", str(workers))
        kind = Local(workers)
    if isinstance(kind, Local) and kind.gpu_fraction is not None and not any(map(_on_gpu, study.experiments)):
        rule, remedy = "needs an experiment on a GPU", "Leave it out, or write device = 'cuda' in the study file."
        raise ArgumentError("gpu_fraction", rule, f"{kind.gpu_fraction} for a study that uses only the CPU", remedy)
    if minutes is not None and not minutes >= 0:
        raise ArgumentError("minutes", "must be a number that is not negative", str(minutes))
    if timeout is not None and (isinstance(kind, Here) or not timeout > 0):
        arrived = "the engine here" if isinstance(kind, Here) else str(timeout)
        raise ArgumentError("timeout", "must be positive, for an engine with workers", arrived)
    store = Store(folder)
    try:
        store.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError("folder", "must be one that can be created", f"{folder} ({error.strerror})") from error
    for path in store.folder.glob("*.json"):
        if path.is_dir():
            raise ArgumentError("folder", "must hold no folder by the name of a record", str(path), "Move it away.")
    plan = Plan(study, store, limit=partial(stack_limit, engine=kind), retry_failed=retry_failed)
    if isinstance(kind, Local | Here) and plan.left:
        _check_this_machine(study, kind)
    keep_descriptions((experiment.task for experiment in study.experiments), store.folder.parent)
    task = partial(train_stack, train=train, folder=str(store.folder.resolve()) if kind.shared else None)
    deadline = math.inf if minutes is None else time.monotonic() + 60 * minutes
    show = on_event or (lambda _: None)
    execution = _Execution(plan, store, show, titles=study.titles, write=not kind.shared, timeout=timeout)
    with only_driver(store.folder) if plan.left else nullcontext():
        return execution.run(kind, task, deadline)


def _on_gpu(experiment: Experiment) -> bool:
    return torch.device(experiment.options.get("device", "cpu")).type == "cuda"


def _check_this_machine(study: Study, kind: Local | Here) -> None:
    """Raise if this machine lacks the device, memory or data: otherwise every run would be recorded as failed."""
    for experiment in study.experiments:
        device = torch.device(experiment.options.get("device", "cpu"))
        if _on_gpu(experiment):
            # A worker that has a fraction of a GPU sees no other GPU.
            visible = 1 if isinstance(kind, Local) and kind.gpu_fraction is not None else torch.cuda.device_count()
            if (device.index or 0) >= visible:
                raise ArgumentError("device", "must be one that torch has here", str(device), f"GPUs here: {visible}.")
        else:
            try:
                # No number can be read from the device "meta".
                torch.zeros(1, device=device).item()
            except (RuntimeError, NotImplementedError, AssertionError) as error:
                raise ArgumentError("device", "must be one that torch has here", str(device)) from error
        # This also downloads the data, once instead of in every worker.
        next(iter(Task.parse(experiment.task).held_out("validation")))
        for setting in experiment.settings():
            need, whole = memory_of_parameters(setting), whole_memory(device)
            if need > whole:
                arrived = f"{setting.cell}: {need / 2**30:,.0f} GiB of parameters, on {whole / 2**30:,.0f} GiB"
                raise ArgumentError("sizes", "must be such that one run fits the memory", arrived)


def train_stack(stack: Stack, /, *, train: Train, folder: str | None) -> list[Record]:
    """Train runs together on a worker; write their records if a folder is given."""
    try:
        records = train(stack)
    except SystemExit as error:  # of a user's task: an engine would take it for its own end
        message = f"the code of a run ended the process ({error.code!r})"
        raise UnitcircleError(message) from error
    if folder is not None:
        for record in records:
            # What cannot be written here is written by the driver, which can say why it cannot.
            with suppress(UnitcircleError):
                record.write(folder)
    return records


class _Execution:
    """One call of :func:`execute`."""

    def __init__(
        self,
        plan: Plan,
        store: Store,
        on_event: Callable[[Event], None],
        *,
        titles: dict[str, str],
        write: bool,
        timeout: float | None,
    ) -> None:
        # write: whether this process writes the records, because the workers do not see the folder.
        self._plan, self._store, self._on_event, self._write = plan, store, on_event, write
        self._timeout = math.inf if timeout is None else timeout
        self._start = time.monotonic()
        self._running: dict[Stack, float] = {}
        self._slots = 1
        self._waiting_for = ""
        self._titles = titles
        self._ended = 0
        self._problems: dict[Path, str] = {}

    def run(self, kind: EngineKind, task: Callable[[Stack], list[Record]], deadline: float) -> Outcome:
        """Train stacks until nothing is left or the time is over."""
        self._waiting_for = kind.needs if self._plan.left else ""
        self._emit("planned")
        try:
            if self._plan.left:
                with kind.start(task) as engine:
                    self._work(engine, deadline)
        finally:
            self._running.clear()
            self._waiting_for = ""
            self._emit("closed")
        seconds = time.monotonic() - self._start
        problems = self._problems | self._store.problems
        return Outcome(self._ended, self._plan.failed, self._plan.left, seconds, problems)

    def _work(self, engine: Engine, deadline: float) -> None:
        while self._plan.left:
            # Asked each time: workers of a cluster come and go.
            self._slots, self._waiting_for = engine.slots, engine.waiting_for
            if self._waiting_for:
                self._emit("waiting")
            while time.monotonic() < deadline and len(self._running) < self._slots:
                stack = self._plan.take(self._slots)
                if not stack:
                    break
                engine.submit(stack)
                self._running[stack] = time.monotonic()
                self._emit("started", stack)
            if not self._running and time.monotonic() >= deadline:
                return
            for reply in engine.wait(LONGEST_WAIT):
                self._receive(reply)
            self._stop_overdue(engine)
            if not self._waiting_for:
                self._emit("waiting")

    def _stop_overdue(self, engine: Engine) -> None:
        """Stop the stacks that take longer than the timeout, without the time in which their workers start."""
        for stack, start in list(self._running.items()):
            now = time.monotonic()
            if not engine.has_begun(stack):
                self._running[stack] = now
            elif now - start > self._timeout * len(stack):
                engine.abandon(stack)
                error = f"stopped: it took longer than the timeout, {self._timeout:g} s a run"
                self._receive(Reply(stack, error=error))

    def _receive(self, reply: Reply) -> None:
        stack: Stack = reply.task
        seconds = (time.monotonic() - self._running.pop(stack)) / len(stack)
        error = reply.error
        if error:
            # A worker may have died between two of its records, or after the last.
            records = [record for run in stack if (record := self._new_record(run)) is not None]
        else:
            records = [record for record in reply.value or () if record.run in stack]
        written = {record.run for record in records}
        if records:
            self._finish(tuple(run for run in stack if run in written), records, seconds)
        lost = [run for run in stack if run not in written]
        error = error or f"train returned no record of {len(lost)} of {len(stack)} runs"
        failed = self._plan.lose(lost)
        if tried := tuple(run for run in lost if run not in failed):
            self._emit("lost", tried, error)
        for run in failed:
            record = _failure(run, error)
            self._keep(record)
            self._plan.end([record])
            self._ended += 1
            self._emit("failed", (run,), error)

    def _new_record(self, run: Run) -> Record | None:
        """Return the record that this execution wrote of a run, None for an old one of a failed run tried again."""
        record = self._store.get(run)
        return None if record is None or record.status is Status.FAILED else record

    def _finish(self, stack: Stack, records: list[Record], seconds: float) -> None:
        for record in records:
            if self._write or not self._store.path(record.run).is_file():
                self._keep(record)
            else:
                self._problems |= self._store.problems
                self._store.add(record)
        self._plan.end(records, seconds=seconds)
        self._ended += len(records)
        self._emit("ended", stack)

    def _keep(self, record: Record) -> None:
        """Write a record; raise if the disk is full, with what is kept."""
        self._problems |= self._store.problems
        try:
            self._store.write(record)
        except ArgumentError as error:
            kept = f"The records of {self._plan.ended} runs are kept"
            message = f"A record cannot be written: {error} {kept}: make room, and run the study again to go on."
            raise UnitcircleError(message) from error

    def _emit(self, kind: str, runs: Stack = (), message: str = "") -> None:
        elapsed = time.monotonic() - self._start
        remaining = self._plan.left
        progress = StudyProgress(
            self._plan.ended,
            self._plan.failed,
            remaining,
            tuple(self._running),
            self._slots,
            elapsed,
            self._plan.remaining_seconds(self._slots) if remaining else 0.0,
            self._waiting_for,
            self._titles,
        )
        self._on_event(Event(kind, runs, message, progress))  # pyright: ignore[reportArgumentType]


def _failure(run: Run, message: str) -> Record:
    scores = ("validation_score", "test_score", "final_test_score", "final_train_loss", "steps")
    summary = dict.fromkeys(scores, math.nan) | {"steps_to_threshold": math.inf, "solved": 0.0}
    return Record(run, Status.FAILED, summary=summary, message=message)
