"""Worker processes on this machine, watched over: one that dies is replaced, and its task reported."""

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
"""Small networks gain nothing from several threads, and processes with several each hinder one another."""
FAILED_STARTS = 3
"""Workers in a row that are killed before they are ready, after which no more are started."""
LAST_WORDS = 2000
"""Characters of a dead worker's output that are reported."""


@dataclass(frozen=True)
class Local(EngineKind):
    """Processes on this machine: no server, no port.

    Attributes
    ----------
    workers
        Number of processes; None: one a processor, or as many as fit the GPUs.
    gpu_fraction
        Share of one GPU that a worker takes: 0.25 puts four on each. None: workers are not assigned to GPUs.
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
            Names of the devices, as ``CUDA_VISIBLE_DEVICES`` lists them.

        Returns
        -------
        list of dict
            One a worker; consecutive workers are on different GPUs.

        Raises
        ------
        ArgumentError
            A fraction of a GPU is asked for and there is none.
        """
        if self.gpu_fraction is None:
            return [ONE_THREAD] * (self.workers or _processors())
        if not gpus:
            raise ArgumentError("gpu_fraction", "needs a GPU that torch can use", "none")
        fit = len(gpus) * math.floor(1 / self.gpu_fraction + 1e-9)
        count = min(self.workers or fit, fit)
        return [ONE_THREAD | {"CUDA_VISIBLE_DEVICES": gpus[k % len(gpus)]} for k in range(count)]

    def room(self, device: torch.device, /) -> float:
        """Return a worker's share of the machine's memory, or of a GPU's.

        Parameters
        ----------
        device
            On which it trains; without a fraction all workers may be on one GPU.

        Returns
        -------
        float
            Bytes for its runs.
        """
        if device.type == "cuda" and self.gpu_fraction is not None:
            return self.gpu_fraction * memory_here(device) - WORKER
        workers = _processors() if self.gpu_fraction is None else len(self.environments(_gpus()))
        return memory_here(device) / (self.workers or workers) - WORKER

    def start(self, function: Callable[[Any], Any], /) -> Supervisor:
        """Return the supervisor; its processes start with their first task."""
        return Supervisor(function, self.environments([] if self.gpu_fraction is None else _gpus()))


class Supervisor(Engine):
    """A few persistent processes, one pipe each, started when there is work for them."""

    # They are in a session of their own, so Ctrl-C reaches the driver only. When the driver is killed they finish
    # the task in flight and end.

    def __init__(self, function: Callable[[Any], Any], environments: Sequence[Mapping[str, str]], /) -> None:
        self._function = pickle.dumps(function)
        self._idle_places = list(reversed(environments))
        self._slots = len(environments)
        self._workers: list[_Worker] = []
        self._failed_starts = 0

    @property
    def slots(self) -> int:
        """Number of workers."""
        return self._slots

    @property
    def processes(self) -> list[int]:
        """Process ids of the workers that have been started."""
        return [worker.process.pid for worker in self._workers]

    def submit(self, task: Any, /) -> None:
        """Give a task to an idle worker, or start one for it."""
        worker = next((w for w in self._workers if not w.busy), None)
        if worker is None:
            if not self._idle_places:
                raise ArgumentError("task", f"must not be one more than {self._slots}", "another")
            worker = _Worker(self._function, self._idle_places.pop())
            self._workers.append(worker)
        worker.give(task)

    def wait(self, seconds: float, /) -> list[Reply]:
        """Wait for tasks to end, and replace the workers that have died."""
        replies: list[Reply] = []
        for pipe in wait([worker.pipe for worker in self._workers], seconds):
            worker = next(w for w in self._workers if w.pipe is pipe)
            try:
                answer = worker.pipe.recv()
            except (EOFError, OSError):
                replies += self._replace(worker)
                continue
            if not worker.ready:
                worker.ready, self._failed_starts = True, 0
                continue
            returned, value = answer
            replies.append(Reply(worker.task, value=value) if returned else Reply(worker.task, error=value))
            worker.busy = False
        return replies

    def _replace(self, worker: _Worker) -> list[Reply]:
        """Give a dead worker's place free, and return its task's reply; one that was never begun is given on."""
        self._workers.remove(worker)
        self._idle_places.append(worker.environment)
        words = worker.bury()
        if worker.ready:
            return [Reply(worker.task, error=words)] if worker.busy else []
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS or (worker.process.returncode or 0) > 0:
            message = f"A worker process cannot start: {words}"
            raise UnitcircleError(message)
        self.submit(worker.task)
        return []

    def close(self) -> None:
        """Kill the workers: what is idle has nothing to lose, what is busy is given up."""
        for worker in self._workers:
            worker.process.kill()
        for worker in self._workers:
            worker.bury()
        self._workers.clear()


class _Worker:
    """One process and its pipe."""

    def __init__(self, function: bytes, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.task: Any = None
        self.busy = self.ready = False
        self.pipe, theirs = Pipe()
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the process is buried
        script = Path(__file__).with_name("_worker.py")
        with theirs:
            # -P: modules beside the script must not hide others of the same name.
            self.process = subprocess.Popen(
                [sys.executable, "-P", script, str(theirs.fileno())],
                env=os.environ | environment,
                stdin=subprocess.DEVNULL,
                stdout=self._output,
                stderr=self._output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._tell(sys.path)
        self._tell(function)

    def give(self, task: Any) -> None:
        """Send a task."""
        self.task, self.busy = task, True
        self._tell(task)

    def _tell(self, message: Any) -> None:
        try:
            if isinstance(message, bytes):
                self.pipe.send_bytes(message)
            else:
                self.pipe.send(message)
        except (BrokenPipeError, ConnectionResetError):
            # It is dead; whoever waits for its answer learns that next.
            pass

    def bury(self) -> str:
        """Wait for the end of the process and return how it died, with its last output."""
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
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    count = torch.cuda.device_count()
    return named.split(",")[:count] if named else [str(k) for k in range(count)]
