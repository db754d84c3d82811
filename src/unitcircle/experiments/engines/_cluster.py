"""Dask: a study on many machines, through a running scheduler or the jobs of a Slurm cluster."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from unitcircle.errors import ArgumentError, MissingExtraError, UnitcircleError
from unitcircle.experiments.engines._address import host_and_port, refuse_public
from unitcircle.experiments.engines._engine import Engine, EngineKind, Reply
from unitcircle.experiments.engines._here import Here
from unitcircle.experiments.engines._supervisor import Local

PATIENCE = 30
"""Seconds within which a scheduler must answer."""
LOADED = "torch"
"""What a worker loads before it connects, so that no run waits for that."""


@dataclass(frozen=True)
class TLS:
    """Paths of the PEM certificates with which driver, scheduler and workers authenticate each other.

    Attributes
    ----------
    ca
        Certificate of the authority that signed all others.
    certificate, key
        Certificate and private key of this machine.
    """

    ca: str
    certificate: str
    key: str

    def security(self) -> Any:
        """Return the ``distributed.Security`` that requires these certificates for every connection."""
        files = {f"tls_{role}_{name}": getattr(self, field) for role in _ROLES for name, field in _FILES.items()}
        return _import_distributed().Security(tls_ca_file=self.ca, require_encryption=True, **files)


_ROLES = ("client", "scheduler", "worker")
_FILES = {"cert": "certificate", "key": "key"}


@dataclass(frozen=True)
class Dask(EngineKind):
    """A running Dask scheduler with its workers.

    Attributes
    ----------
    address
        ``"HOST:PORT"``. Whoever reaches a scheduler can run code on all of its workers: a host on a public network is
        refused without TLS.
    shared
        Whether the workers see the folder of results under the same path and write to it; otherwise records are sent
        to the driver, which writes them.
    tls
        Certificates; None: the connection is neither encrypted nor authenticated.

    Examples
    --------
    >>> Dask("127.0.0.1:8786").address
    '127.0.0.1:8786'
    """

    address: str
    shared: bool = False
    tls: TLS | None = None

    def __post_init__(self) -> None:
        host_and_port(self.address)

    @property
    def needs(self) -> str:
        """The scheduler."""
        return f"the scheduler at {self.address}"

    def start(self, function: Callable[[Any], Any], /) -> DaskEngine:
        """Connect to the scheduler.

        Parameters
        ----------
        function
            Function applied to every task.

        Returns
        -------
        DaskEngine
            The connection.

        Raises
        ------
        ArgumentError
            The address is public and ``tls`` is None, or no scheduler answers there.
        """
        distributed = _import_distributed()
        host, port = host_and_port(self.address)
        refuse_public(host, encrypted=self.tls is not None)
        scheme, security = ("tcp", None) if self.tls is None else ("tls", self.tls.security())
        location = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            client = distributed.Client(
                f"{scheme}://{location}", security=security, timeout=PATIENCE, set_as_default=False
            )
        except OSError as error:
            remedy = f"Start one there: dask scheduler --host {host} --port {port}"
            raise ArgumentError("engine", "must be a Dask scheduler that answers", f"{error}", remedy) from error
        return DaskEngine(client, function, client.close)


@dataclass(frozen=True)
class Slurm(EngineKind):
    """Dask workers as jobs of a Slurm cluster; the scheduler runs in the driver, on the login node.

    Attributes
    ----------
    jobs
        Number of jobs; each has ``cores`` workers of one thread.
    cores, memory, walltime
        Resources of each job, such as 8, ``"4GB"``, ``"01:00:00"``.
    partition, account
        Partition and account of the jobs.
    directives
        Further ``#SBATCH`` options: ``("--gres=gpu:1",)``.
    prologue
        Shell commands run before the workers start: ``("module load cuda",)``.
    host
        Address of this machine at which the nodes reach it, and the only one on which the scheduler listens. A public
        address is refused without TLS.
    shared
        Whether the nodes see the folder of results under the same path, as they do on most clusters.
    tls
        Certificates; the nodes must see them under the same paths.

    Examples
    --------
    >>> Slurm(jobs=4, memory="8GB").jobs
    4
    """

    jobs: int = 1
    cores: int = 1
    memory: str = "4GB"
    walltime: str = "01:00:00"
    partition: str | None = None
    account: str | None = None
    directives: tuple[str, ...] = ()
    prologue: tuple[str, ...] = ()
    host: str | None = None
    shared: bool = True
    tls: TLS | None = None

    def __post_init__(self) -> None:
        for name in ("jobs", "cores"):
            if getattr(self, name) < 1:
                raise ArgumentError(name, "must be at least 1", str(getattr(self, name)))

    def cluster(self) -> Any:
        """Return the ``dask_jobqueue.SLURMCluster`` without submitting a job; see its ``job_script()``.

        Returns
        -------
        SLURMCluster
            A cluster whose scheduler is running.

        Raises
        ------
        MissingExtraError
            dask-jobqueue is not installed.
        """
        distributed = _import_distributed()
        try:
            from dask_jobqueue.slurm import SLURMCluster  # noqa: PLC0415 - an extra
        except ImportError as error:
            purpose = "the Slurm engine"
            raise MissingExtraError(purpose, "dask-jobqueue", "cluster") from error
        host = self.host or distributed.utils.get_ip()
        refuse_public(host, encrypted=self.tls is not None)
        return SLURMCluster(
            queue=self.partition,
            account=self.account,
            cores=self.cores,
            processes=self.cores,
            memory=self.memory,
            walltime=self.walltime,
            job_extra_directives=list(self.directives),
            worker_extra_args=["--preload", LOADED],
            job_script_prologue=["export OMP_NUM_THREADS=1", *self.prologue],
            security=None if self.tls is None else self.tls.security(),
            scheduler_options={"host": host, "dashboard": False, "dashboard_address": None},
        )

    @property
    def needs(self) -> str:
        """A scheduler in this process, and ``sbatch``."""
        return "jobs to be submitted"

    def start(self, function: Callable[[Any], Any], /) -> DaskEngine:
        """Start a scheduler here and submit the jobs.

        Parameters
        ----------
        function
            Function applied to every task.

        Returns
        -------
        DaskEngine
            An engine that cancels the jobs when it is closed.
        """
        cluster = self.cluster()
        cluster.scale(jobs=self.jobs)
        client = _import_distributed().Client(cluster, set_as_default=False)

        def close() -> None:
            client.close()
            cluster.close()

        return DaskEngine(client, function, close)


class DaskEngine(Engine):
    """Tasks as futures of a Dask client; Dask itself moves the task of a dead worker to another worker."""

    def __init__(self, client: Any, function: Callable[[Any], Any], close: Callable[[], object], /) -> None:
        self._client, self._function, self._close = client, function, close
        self._ended: SimpleQueue[Any] = SimpleQueue()
        self._tasks: dict[Any, Any] = {}
        self._topic = f"unitcircle-{uuid4()}"
        self._begun: set[str] = set()
        client.subscribe_topic(self._topic, lambda event: self._begun.add(event[1]))

    @property
    def slots(self) -> int:
        """Number of threads of all connected workers; 0 until the first one connects."""
        return sum(self._ask(self._client.nthreads).values())

    @property
    def waiting_for(self) -> str:
        """Workers; or one that is not busy with something else, or with loading torch."""
        if self._tasks and self.slots and not any(map(self.has_begun, self._tasks.values())):
            return "a worker to begin (it loads torch, or is busy with other tasks)"
        return super().waiting_for

    def submit(self, task: Any, /) -> None:
        """Send a task to the scheduler."""
        # pure=False: Dask would answer a second attempt of an equal task with the result of the first.
        future = self._client.submit(partial(_begin, self._function, self._topic), task, pure=False)
        self._tasks[future] = task
        future.add_done_callback(self._ended.put)

    def wait(self, seconds: float, /) -> list[Reply]:
        """Wait until one task ends or the time is over."""
        try:
            future = self._ended.get(timeout=seconds)
        except Empty:
            if self._client.status not in {"running", "connecting"}:
                raise UnitcircleError(_GONE) from None
            return []
        if (task := self._tasks.pop(future, None)) is None:  # abandoned
            return []
        if future.status == "finished":
            return [Reply(task, value=future.result())]
        if future.status != "error":
            raise UnitcircleError(_GONE)
        error = future.exception()
        return [Reply(task, error="".join(traceback.format_exception(error)))]

    def has_begun(self, task: Any, /) -> bool:
        """Return whether a worker has loaded what a task needs, and begun it."""
        return self._future(task).key in self._begun

    @staticmethod
    def _ask(question: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """Return what the scheduler answers; raise UnitcircleError where it is gone."""
        try:
            return question()
        except OSError as error:
            raise UnitcircleError(_GONE) from error

    def _future(self, task: Any) -> Any:
        return next(future for future, submitted in self._tasks.items() if submitted == task)

    def abandon(self, task: Any, /) -> None:
        """Cancel a task; a worker that has begun it is restarted, and stays busy until it ends without a nanny."""
        future = self._future(task)
        workers = [worker for worker, keys in self._ask(self._client.processing).items() if future.key in keys]
        del self._tasks[future]
        self._client.cancel([future])
        # ValueError: the worker has no nanny that could restart it.
        with suppress(ValueError):
            self._client.restart_workers(workers, timeout=PATIENCE, raise_for_error=False)

    def close(self) -> None:
        """Cancel the tasks that no worker has started, and disconnect; running ones end on their workers."""
        try:
            self._client.cancel(list(self._tasks))
        finally:
            self._tasks.clear()
            self._close()


def _begin(function: Callable[[Any], Any], topic: str, task: Any) -> Any:
    """Apply a function on a worker, after saying that it has been loaded."""
    worker = _import_distributed().get_worker()
    worker.log_event(topic, worker.get_current_task())
    return function(task)


_GONE = "The Dask scheduler does not answer. The records written so far are kept: start it and run the study again."


def engine_kind(text: str, /) -> EngineKind:
    """Return the engine with a name.

    Parameters
    ----------
    text
        ``"local"``, ``"here"``, ``"dask://HOST:PORT"`` or ``"slurm"``.

    Returns
    -------
    EngineKind
        The engine with default options.

    Raises
    ------
    ArgumentError
        There is no such engine.

    Examples
    --------
    >>> engine_kind("here")
    Here()
    """
    if text == "local":
        return Local()
    if text == "here":
        return Here()
    if text == "slurm":
        return Slurm()
    if text.startswith("dask://"):
        return Dask(text.removeprefix("dask://"))
    raise ArgumentError("engine", "must be local, here, dask://HOST:PORT or slurm", repr(text))


def _import_distributed() -> Any:
    try:
        import distributed  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        purpose = "an engine for many machines"
        raise MissingExtraError(purpose, "distributed", "cluster") from error
    return distributed
