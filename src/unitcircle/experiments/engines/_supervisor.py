"""Worker processes on this machine: one that dies is replaced, and its task is reported as an error."""

from __future__ import annotations

import math
import os
import pickle
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Pipe, wait
from pathlib import Path
from typing import Any

import torch

from unitcircle.errors import ArgumentError, UnitcircleError
from unitcircle.experiments.engines._capacity import WORKER, memory_here
from unitcircle.experiments.engines._engine import Engine, EngineKind, Reply

ONE_THREAD: dict[str, str] = dict.fromkeys(
    ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)
"""Small networks gain nothing from several threads, and processes with several threads slow each other down."""
FAILED_STARTS = 3
"""Workers in a row that were killed before they were ready, after which the supervisor gives up."""
LAST_WORDS = 2000
"""Bytes at the end of a dead worker's output that are reported."""


@dataclass(frozen=True)
class Local(EngineKind):
    """Processes on this machine, without a server or an open port.

    Attributes
    ----------
    workers
        Number of processes; None: one per processor, or as many as fit on the GPUs.
    gpu_fraction
        Fraction of one GPU that a worker takes: 0.25 puts four workers on each. None: workers are not assigned to
        GPUs.

    Examples
    --------
    >>> Local(workers=2)
    Local(workers=2, gpu_fraction=None)
    """

    workers: int | None = None
    gpu_fraction: float | None = None
    shared = True

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ArgumentError("workers", "must be at least 1", str(self.workers))
        if self.gpu_fraction is not None and not 0 < self.gpu_fraction <= 1:
            raise ArgumentError("gpu_fraction", "must be above 0 and at most 1", str(self.gpu_fraction))

    def environments(self, gpus: Sequence[str], /) -> list[dict[str, str]]:
        """Return the environment variables of each worker.

        Parameters
        ----------
        gpus
            Names of the GPUs, as in ``CUDA_VISIBLE_DEVICES``.

        Returns
        -------
        list of dict
            One per worker; consecutive workers are on different GPUs.

        Raises
        ------
        ArgumentError
            ``gpu_fraction`` is given and there is no GPU.
        """
        if self.gpu_fraction is None:
            return [ONE_THREAD] * (self.workers or _processors())
        if not gpus:
            raise ArgumentError("gpu_fraction", "needs a GPU that torch can use", "none")
        # 1e-9: a fraction typed with twelve digits, such as 0.166666666667, means one sixth.
        fit = len(gpus) * math.floor(1 / self.gpu_fraction + 1e-9)
        count = min(self.workers or fit, fit)
        return [ONE_THREAD | {"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} for k in range(count)]

    def room(self, device: torch.device, /) -> float:
        """Return the memory that the runs of one worker may fill: its share of the machine or of a GPU.

        Parameters
        ----------
        device
            Device on which the worker trains. Without ``gpu_fraction`` all workers may be on one GPU.

        Returns
        -------
        float
            Bytes.
        """
        if device.type == "cuda" and self.gpu_fraction is not None:
            return self.gpu_fraction * memory_here(device) - WORKER
        workers = _processors() if self.gpu_fraction is None else len(self.environments(_gpus()))
        return memory_here(device) / (self.workers or workers) - WORKER

    def start(self, function: Callable[[Any], Any], /) -> Supervisor:
        """Return the supervisor; each process starts with its first task."""
        return Supervisor(function, self.environments([] if self.gpu_fraction is None else _gpus()))


class Supervisor(Engine):
    """Persistent worker processes, each with its own pipe, started when there is a task for them."""

    # The processes are in separate sessions, so that Ctrl-C reaches the driver only. If the driver is killed, they
    # finish their task, which writes its records, and exit at the end of the pipe.

    def __init__(self, function: Callable[[Any], Any], environments: Sequence[Mapping[str, str]], /) -> None:
        self._function = pickle.dumps(function)
        self._free_environments = list(reversed(environments))
        self._slots = len(environments)
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    @property
    def slots(self) -> int:
        """Number of workers."""
        return self._slots

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that were started."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, task: Any, /) -> None:
        """Send a task to an idle worker, or to a new one."""
        worker = next((w for w in self._workers if not w.busy), None)
        if worker is None:
            if not self._free_environments:
                raise ArgumentError(
                    "task", f"must not be submitted while all {self._slots} workers are busy", "another"
                )
            worker = _Worker(self._function, self._free_environments.pop())
            self._workers.append(worker)
        worker.assign(task)

    def wait(self, seconds: float, /) -> list[Reply]:
        """Wait until a task ends; replace the workers that have died."""
        replies: list[Reply] = []
        for pipe in wait([worker.pipe for worker in self._workers], seconds):
            worker = next(w for w in self._workers if w.pipe is pipe)
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                replies += self._replace(worker)
                continue
            # The first message of a worker says only that it is ready.
            if not worker.ready:
                worker.ready, self._failed_starts = True, 0
                continue
            returned, value = answer
            replies.append(Reply(worker.task, value=value) if returned else Reply(worker.task, error=value))
            worker.busy = False
        return replies

    @property
    def waiting_for(self) -> str:
        """The first worker, which loads torch; nothing as soon as one is ready."""
        return "workers to start" if self._workers and not any(worker.ready for worker in self._workers) else ""

    def has_begun(self, task: Any, /) -> bool:
        """Return whether the worker of a task has loaded what it needs."""
        return self._worker_of(task).ready

    def _worker_of(self, task: Any) -> _Worker:
        return next(worker for worker in self._workers if worker.busy and worker.task == task)

    def abandon(self, task: Any, /) -> None:
        """Kill the worker of a task; another is started when there is a task for it."""
        worker = self._worker_of(task)
        worker.process.kill()
        self._workers.remove(worker)
        self._free_environments.append(worker.environment)
        worker.bury()

    def _replace(self, worker: _Worker) -> list[Reply]:
        """Remove a dead worker; return the reply to its task, or submit the task again if it had not started."""
        self._workers.remove(worker)
        self._free_environments.append(worker.environment)
        cause = worker.bury()
        if worker.ready:
            return [Reply(worker.task, error=cause)] if worker.busy else []
        # A start that is killed may be bad luck (memory was short); one that exits with an error fails every time.
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS or (worker.process.returncode or 0) > 0:
            message = f"A worker process cannot start: {cause}"
            raise UnitcircleError(message)
        self.submit(worker.task)
        return []

    def close(self) -> None:
        """Kill the workers; the tasks of busy ones are abandoned."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()
        self._workers.clear()


class _Worker:
    """A worker process and its pipe."""

    def __init__(self, function: bytes, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.task: Any = None
        self.busy = self.ready = False
        self.pipe, child_end = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by bury()
        script = Path(__file__).with_name("_worker.py")
        with child_end:
            # -P: modules in the folder of the script must not shadow others of the same name.
            self.process = subprocess.Popen(
                [sys.executable, "-P", script, str(child_end.fileno())],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[child_end.fileno()],
                start_new_session=True,
            )
        self._send(sys.path)
        self._send(function)

    def assign(self, task: Any) -> None:
        """Send a task."""
        self.task, self.busy = task, True
        self._send(task)

    def _send(self, message: Any) -> None:
        try:
            if isinstance(message, bytes):
                self.pipe.send_bytes(message)
            else:
                self.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            # The process is dead; wait() notices that at the end of the pipe.
            pass

    def bury(self) -> str:
        """Wait for the end of the process; return how it ended, with the end of its output."""
        self.pipe.close()
        try:
            code = self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        with self._output as output:
            size = output.seek(0, os.SEEK_END)
            output.seek(max(size - LAST_WORDS, 0))
            last = output.read().decode(errors="replace").strip()
        how = f"was ended by signal {-code} ({signal.strsignal(-code)})" if code < 0 else f"exited with status {code}"
        return f"the process {how}" + (f": {last}" if last else "")


def _processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _gpus() -> list[str]:
    """Return the names of the GPUs that this process may use."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return visible.split(",")[:count] if visible else [str(k) for k in range(count)]
