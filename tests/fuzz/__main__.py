"""``make fuzz``: read thousands of damaged files of every format, and say what escaped, and what it took.

Every file is made from its seed; ``python -m tests.fuzz --formats GGUF --first 1234 --count 1 --keep FOLDER`` writes
one. What each file gave is written to ``--results`` at once: ``--resume`` goes on where a run was ended.
"""

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from tests.checkpoints.seeds import FOLDERS, FORMATS
from tests.fuzz.worker import files_of, work, write

MB = 1 << 20
SECONDS = 10
ROOM = 200 * MB
KINDS = [*FORMATS, *FOLDERS]


def main():
    """Fuzz each format in a process of its own, and print a line for each."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=20_000, help="files of each format (20000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first file (0)")
    parser.add_argument("--formats", nargs="+", choices=KINDS, default=KINDS, metavar="FORMAT", help="all")
    parser.add_argument("--results", type=Path, default=Path("out/fuzz.jsonl"), help="what each gave (out/fuzz.jsonl)")
    parser.add_argument("--resume", action="store_true", help="go on where a run of this code was ended")
    parser.add_argument("--keep", type=Path, help="write the last file into this folder instead of reading any")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.count)
    if options.keep:
        write(files_of(options.formats[0], seeds[-1]), options.keep)
    elif options.worker:
        work(options.formats[0], seeds)
    else:
        options.results.parent.mkdir(parents=True, exist_ok=True)
        # Answers of other code say nothing about this one.
        done = _done(options.results) if options.resume else defaultdict(dict)
        print(f"{'format':24}{'files':>8}{'read':>8}{'escaped':>9}{'peak MB':>9}{'worst s':>9}  seeds that failed")
        with options.results.open("a" if options.resume else "w", buffering=1) as results:
            statuses = [_fuzz(kind, seeds, done[kind], results) for kind in options.formats]
        sys.exit(int(any(statuses)))


def _done(path):
    """What each file of former runs gave: format → seed → answer."""
    found = defaultdict(dict)
    if path.exists():
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                kind, seed, *answer = json.loads(line)
                found[kind][seed] = answer
    return found


def _fuzz(kind, seeds, answers, results):
    """Fuzz one format, beyond files that end the process; return 1 where something failed."""
    while (left := next((seed for seed in seeds if seed not in answers), None)) is not None:
        end = next((seed for seed in range(left, seeds.stop) if seed in answers), seeds.stop)
        command = [sys.executable, "-m", "tests.fuzz", "--worker", "--formats", kind, "--first", str(left)]
        command += ["--count", str(end - left)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for line in process.stdout:
                seed, *answer = json.loads(line)
                answers[seed] = answer
                results.write(f"{json.dumps([kind, seed, *answer])}\n")
                left = seed + 1
        if process.returncode:
            answers[left] = [None, 0, 0.0, f"the process ended with status {process.returncode}"]
            results.write(f"{json.dumps([kind, left, *answers[left]])}\n")
    return _say(kind, {seed: answers[seed] for seed in seeds})


def _say(kind, answers):
    failed = {
        seed: error or f"{used / MB:.0f} MB, {seconds:.1f} s"
        for seed, (_, used, seconds, error) in answers.items()
        if error or used > ROOM or seconds > SECONDS
    }
    layers, used, seconds, _ = zip(*answers.values(), strict=True)
    read = len(layers) - layers.count(None)
    shown = ", ".join(map(str, sorted(failed)[:20])) or "none"
    figures = f"{len(answers):8}{read:8}{len(failed):9}{max(used) / MB:9.1f}{max(seconds):9.2f}"
    print(f"{kind:24}{figures}  {shown}", flush=True)
    for seed, reason in list(failed.items())[:20]:
        print(f"    {seed}: {reason}", flush=True)
    return int(bool(failed))


if __name__ == "__main__":
    main()
