"""What the workers of these tests do. Standard library only at the top, so that a worker starts in no time."""

import hashlib
import os
import signal
import sys
import time
from pathlib import Path


def attempted(folder, name):
    """Note one more attempt, in a way that survives any death, and return how many there have been."""
    path = Path(folder) / "attempts" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b".")
    return path.stat().st_size


def attempts(folder):
    return {path.name: path.stat().st_size for path in (Path(folder) / "attempts").glob("*")}


def square(x):
    return x * x


def obey(task):
    """Do what the task says."""
    folder, name, order = task
    count = attempted(folder, name)
    if order == "raise":
        message = f"cannot do {name}"
        raise RuntimeError(message)
    if order == "die" or (order == "die once" and count == 1):
        os.write(1, b"last words\n")
        os.kill(os.getpid(), signal.SIGKILL)
    if order == "exit":
        sys.exit(3)
    if order == "sleep":
        (Path(folder) / f"{name}.pid").write_text(str(os.getpid()))
        time.sleep(60)
    if order.startswith("wait"):
        time.sleep(float(order.removeprefix("wait ")))
        (Path(folder) / f"{name}.done").touch()
    return os.getpid(), dict(os.environ)


def score_of(run):
    """A number between 0 and 1 that depends on the run only."""
    return int(hashlib.sha256(run.key.encode()).hexdigest()[:6], 16) / 0xFFFFFF


def held(folder):
    """Whether more runs were begun than the file ``hold``, which may appear and go at any time, lets end."""
    try:
        allowed = (Path(folder) / "hold").read_text()
    except FileNotFoundError:
        return False
    return not allowed or sum(attempts(folder).values()) > int(allowed)


class Training:
    """A pretended training: it notes its attempts, waits, and dies, raises or diverges for the runs it is told to.

    ``trouble`` maps a seed to what happens to the stack that it is in, as in :func:`obey`.
    """

    def __init__(self, folder, seconds=0.0, trouble=None):
        self.folder, self.seconds, self.trouble = str(folder), seconds, trouble or {}

    def __call__(self, runs):
        from unitcircle.experiments.training import Record, Status

        assert len({run.stack for run in runs}) == 1
        counts = [attempted(self.folder, run.key) for run in runs]
        time.sleep(self.seconds)
        while held(self.folder):
            time.sleep(0.02)
        for run, count in zip(runs, counts, strict=True):
            order = self.trouble.get(run.seed, "")
            if order == "raise" or (order == "raise once" and count == 1):
                message = f"seed {run.seed} cannot be trained"
                raise RuntimeError(message)
            if order == "exit":
                sys.exit(0)
            if order == "die" or (order == "die once" and count == 1):
                os.kill(os.getpid(), signal.SIGKILL)
            if order == "hang":
                time.sleep(3600)
        return [
            Record(
                run,
                Status.FINISHED,
                summary={"validation_score": score_of(run), "test_score": score_of(run), "steps_to_threshold": 7.0},
                seconds=1.0,
            )
            for run in runs
        ]
