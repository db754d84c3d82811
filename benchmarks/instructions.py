"""The monitor's share of a training's instructions, counted by valgrind: ``python -m benchmarks instructions``.

Instructions do not depend on what else the machine does. Counted are a training of so many steps without a monitor,
one with a monitor that measures once, one that measures every 20 steps. How many measurements a training of its own
pace makes is a matter of clocks, and is taken from one that runs without valgrind. A quarter of an hour a size.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator

import torch
from torch import nn

from benchmarks._goal import Goal
from benchmarks.monitor import Reader, training
from unitcircle.monitor import Cost, Monitor

LENGTH, BATCH = 50, 16
EVERY, NEVER = 20, 10**9
FIRST, COUNTED, PACED = 5, 200, 1500
"""Steps in which torch imports what it needs, steps under valgrind, and steps in which the pace is looked at."""


def rows() -> Iterator[Goal]:
    """Yield the share at two sizes, or nothing where there is no valgrind."""
    if shutil.which("valgrind") is None:
        print("  skipped: no valgrind here")
        return
    for n in (16, 64):
        start, plain = _counted(n, FIRST, 0), _counted(n, COUNTED, 0)
        once, often = _counted(n, COUNTED, NEVER), _counted(n, COUNTED, EVERY)
        step = (plain - start) / (COUNTED - FIRST)
        measurement = (often - once) / (COUNTED / EVERY - 1)
        call = (once - plain - measurement) / COUNTED
        paced = run(n, PACED, EVERY, overhead=0.01).measurements / PACED
        yield Goal(
            f"monitor, RNN({n}), T = {LENGTH}, batch {BATCH}, share of all instructions",
            100 * (call + paced * measurement) / step,
            1.0,
            "%",
            f"a step {step / 1e6:.3g} million, a call that only counts {call / 1e3:.3g} thousand, a measurement "
            f"{measurement / 1e6:.3g} million, one in {1 / paced:.0f} steps by its pace",
            "measurements are paced by time, of which they take more than of instructions",
        )


def run(n: int, steps: int, every: int, *, overhead: float = 1.0) -> Cost:
    """Train, with a monitor that measures every so many steps, and return its cost; with 0 without its calls."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Reader(nn.RNN, n)
    with Monitor(model, every=every or NEVER, overhead=overhead, sinks=[], on_finding="ignore") as monitor:
        training(model, steps, LENGTH, BATCH, lambda _, loss: monitor.step(loss=loss) if every else None)
    return monitor.cost


def _counted(n: int, steps: int, every: int) -> int:
    """Return the instructions of a process that trains."""
    code = (
        f"import torch; torch.set_num_threads(1); from benchmarks.instructions import run; run({n}, {steps}, {every})"
    )
    words = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    done = subprocess.run([*words, sys.executable, "-c", code], capture_output=True, text=True, check=True)
    found = re.search(r"I\s+refs:\s+([\d,]+)", done.stderr)
    assert found, done.stderr[-500:]
    return int(found[1].replace(",", ""))
