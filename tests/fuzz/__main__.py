"""``make fuzz``: read thousands of damaged files of every format, and say what escaped, and what it took.

Every file is made from its seed; ``python -m tests.fuzz --formats GGUF --first 1234 --count 1 --keep FILE`` makes one.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.checkpoints.mutations import mutated
from tests.checkpoints.seeds import FORMATS, WEIGHTS

MB = 1 << 20
SECONDS = 10
ROOM = 200 * MB


def main():
    """Fuzz each format in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="files of each format (20000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first file (0)")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS), metavar="FORMAT", help="all")
    parser.add_argument("--keep", type=Path, help="write the last file there instead of reading any")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.keep:
        options.keep.write_bytes(mutated(FORMATS[options.formats[0]](), options.first + options.count - 1))
    elif options.worker:
        _work(options.formats[0], range(options.first, options.first + options.count))
    else:
        print(f"{'format':24}{'files':>8}{'read':>8}{'escaped':>9}{'peak MB':>9}{'worst s':>9}  seeds that failed")
        statuses = [_fuzz(kind, options.first, options.count) for kind in options.formats]
        sys.exit(int(any(statuses)))


def _fuzz(kind, first, count):
    """Fuzz one format, beyond files that end the process; return 1 where something failed."""
    read, peak, worst, failed = 0, 0, 0.0, {}
    start, end = first, first + count
    while start < end:
        command = [sys.executable, "-m", "tests.fuzz", "--worker", "--formats", kind]
        done = subprocess.run(
            [*command, "--first", str(start), "--count", str(end - start)], stdout=subprocess.PIPE, check=False
        )
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        for seed, layers, used, seconds, error in answers:
            read, peak, worst = read + (layers is not None), max(peak, used), max(worst, seconds)
            if error or used > ROOM or seconds > SECONDS:
                failed[seed] = error or f"{used / MB:.0f} MB, {seconds:.1f} s"
        start += len(answers)
        if start < end:
            failed[start] = f"the process ended with status {done.returncode}"
            start += 1
    seeds = ", ".join(map(str, sorted(failed)[:20]))
    print(f"{kind:24}{count:8}{read:8}{len(failed):9}{peak / MB:9.1f}{worst:9.2f}  {seeds or 'none'}", flush=True)
    for seed, reason in list(failed.items())[:20]:
        print(f"    {seed}: {reason}", flush=True)
    return int(bool(failed))


def _work(kind, seeds):
    """Print of each seed how many layers its file has, and what reading it took."""
    from safetensors.numpy import save

    from unitcircle.checkpoints import read
    from unitcircle.errors import CheckpointError

    data = FORMATS[kind]()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        (path.parent / "part.safetensors").write_bytes(save(WEIGHTS))
        path.write_bytes(data)
        read(path)  # what is imported and cached by the first file is no cost of the others
        for seed in seeds:
            path.write_bytes(mutated(data, seed))
            before, start, layers, error = _resident(), time.process_time(), None, ""
            try:
                layers = len(read(path))
            except CheckpointError as refusal:
                text = str(refusal).removeprefix(str(path))
                error = "" if text.isprintable() and len(text) <= 300 else f"its message: {text!r:.200}"
            except BaseException as escaped:  # that is what is looked for
                error = f"{type(escaped).__name__}: {escaped!s:.200}"
            seconds = time.process_time() - start
            print(json.dumps([seed, layers, max(_peak() - before, 0), seconds, error]), flush=True)


def _resident():
    """Return the memory of the process, from which its peak is counted anew."""
    Path("/proc/self/clear_refs").write_text("5")
    return _peak()


def _peak():
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
