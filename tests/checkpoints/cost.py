"""What reading files costs: the peak memory and the processor time of each, in a process that reads nothing else."""

import json
import os
import resource
import subprocess
import sys
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

MB = 1 << 20
LIMIT = 4 << 30
"""Bytes of address space after which a reader fails, instead of the machine."""
SECONDS = 10
"""Of the processor. Beside busy neighbours the same work was measured to take up to 2.5 times as many, so that a file
above it is read again: what others take is never negative."""
AGAIN = 3
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Cost:
    """The cost of one file, and what came of it."""

    size: int  # Bytes of the file, or of all files of a folder
    peak: int  # Bytes of memory, the interpreter included
    seconds: float  # Of the processor, children included
    layers: int | None  # None where it is refused
    message: str

    @property
    def kept(self):
        """Whether it took at most 4 × file + 200 MB and ten seconds, and raised only a CheckpointError."""
        return (
            self.peak <= 4 * self.size + 200 * MB and self.seconds <= SECONDS and not self.message.startswith("ESCAPE")
        )


def size_of(path):
    """Return the bytes of a file, or of all files of a folder."""
    return path.stat().st_size if path.is_file() else sum(size_of(child) for child in path.iterdir())


def costs(paths):
    """Return the cost of reading each of some files."""
    found = _once(paths)
    for _ in range(AGAIN):
        slow = [index for index, cost in enumerate(found) if cost.seconds > SECONDS]
        for index, cost in zip(slow, _once([paths[index] for index in slow]) if slow else [], strict=True):
            found[index] = min(found[index], cost, key=lambda one: one.seconds)
    return found


def _once(paths):
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), *map(str, paths)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return [Cost(size_of(path), **json.loads(line)) for path, line in zip(paths, done.stdout.splitlines(), strict=True)]


def _peak():
    return next(int(line.split()[1]) << 10 for line in STATUS.read_text().splitlines() if line.startswith("VmHWM"))


def _measure(path, out):
    # In the child: the readers are imported already, and the peak begins at what the parent has.
    resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
    from unitcircle.checkpoints import read
    from unitcircle.errors import CheckpointError

    layers, before = None, _peak()
    try:
        found = read(path)
        layers, message = len(found), str(found.coverage)
    except CheckpointError as error:
        message = str(error)
    except BaseException as error:  # what must not happen is reported as it is
        message = f"ESCAPE {type(error).__name__}: {error}"
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    seconds = sum(one.ru_utime + one.ru_stime for one in used)
    # A process that reads the structure of a file ends before its arrays are read.
    peak = max(_peak(), before + (used[1].ru_maxrss << 10))
    os.write(out, json.dumps({"peak": peak, "seconds": seconds, "layers": layers, "message": message[:2000]}).encode())


def main():
    """Print what each file of the command line costs, a line of JSON each."""
    for name in ("read", "onnx", "keras"):
        import_module(f"unitcircle.checkpoints._{name}")
    for path in sys.argv[1:]:
        into, out = os.pipe()
        if not (child := os.fork()):
            os.close(into)
            _measure(path, out)
            os._exit(0)
        os.close(out)
        with os.fdopen(into, "rb") as pipe:
            answer = pipe.read()
        _, status = os.waitpid(child, 0)
        died = {"peak": 0, "seconds": 0.0, "layers": None, "message": f"ESCAPE the process ended with status {status}"}
        sys.stdout.write(f"{answer.decode() or json.dumps(died)}\n")


if __name__ == "__main__":
    main()
