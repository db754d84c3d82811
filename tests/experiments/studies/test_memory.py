"""What a run needs beside what it takes, and what bounds a stack."""

import math
import os
import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from unitcircle.experiments.engines import SHARE, WORKER, Dask, Here, Local, Slurm, _capacity, _supervisor, memory_here
from unitcircle.experiments.studies import stack_limit
from unitcircle.experiments.studies._memory import memory_of
from unitcircle.experiments.tasks import Batch, Task
from unitcircle.experiments.training import Run

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB = 2**30
EPS = sys.float_info.epsilon


def run(cell="tanh(size=64)", task="adding(length=100)", **options):
    return Run(task, cell, "orthogonal", **{"batch_size": 64} | options)


@dataclass(frozen=True)
class Long(Task):
    """Long sequences, few of which are held out: a task of the tests."""

    name = "long_for_tests"
    inputs = 1
    outputs = 2

    length: int = 400

    def sample(self, rng, size, /):
        x = rng.standard_normal((self.length, size, 1)).astype(np.float32)
        return Batch(x, (x.sum((0, 2)) > 0).astype(np.int64))

    def held_out(self, split, /):
        yield self.sample(np.random.default_rng(0), 8)


PEAK = """
import sys
import torch
from tests.experiments.studies.test_memory import run
from unitcircle.experiments.training import train

torch.set_num_threads(1)
cell, count, precision = sys.argv[1], int(sys.argv[2]), sys.argv[3]
options = {"steps": 2, "measure_at": (), "precision": precision}
runs = [run(cell, "long_for_tests", seed=seed, **options) for seed in range(count)]
print(train(runs)[0].memory_mb)
"""


def peak(cell, count, precision):
    command = [sys.executable, "-c", PEAK, cell, str(count), precision]
    return 2**20 * float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the peak of a stack")
@pytest.mark.parametrize(("cell", "precision"), [("tanh(size=128)", "float32"), ("lstm(size=64)", "float64")])
def test_a_run_takes_what_was_estimated_or_up_to_half_of_it_less(cell, precision):
    few, many = (peak(cell, count, precision) for count in (1, 5))
    estimate = memory_of(run(cell, "long_for_tests", precision=precision))
    # The 5 % are those of the pages and arenas of the allocator.
    assert 0.95 * (many - few) / 4 < estimate < 2.2 * (many - few) / 4
    assert few < 1.3 * WORKER


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows the peak of a stack")
def test_runs_that_go_one_after_another_take_the_memory_of_one():
    few, many = (peak("lstm(size=64)", count, "float32") for count in (1, 5))
    assert (many - few) / 4 < 0.2 * memory_of(run("lstm(size=64)", "long_for_tests"))


def test_the_numbers_a_step_saves_are_those_that_are_known():
    # Of the states (tanh), gates, states and their tanh (LSTM): h, or i f g o h c tanh c; and the input with a one.
    for cell, numbers in (("tanh", 1), ("gru", 5), ("lstm", 7)):
        long, short = (
            memory_of(run(f"{cell}(size=64)", f"adding(length={length})", batch_size=200)) for length in (300, 200)
        )
        per_step = (long - short) / 100 / 200 / 4
        # The difference of two numbers three times as large: 2.5 eps measured.
        assert per_step == pytest.approx(1.5 * (64 * numbers + 3) + 2 * 2, rel=16 * EPS, abs=0)


def test_it_grows_with_what_it_depends_on():
    base = memory_of(run(batch_size=256))
    assert memory_of(run(batch_size=512)) == pytest.approx(2 * base, rel=0.05)
    assert memory_of(run(batch_size=256, precision="float64")) == pytest.approx(2 * base, rel=4 * EPS)
    assert memory_of(run(batch_size=256, omega=1.0)) > base
    # No batch, but the parameters: 1,024² of them, eight times.
    assert memory_of(run("tanh(size=1024)", "adding(length=2)", batch_size=1)) > 8 * 4 * 1024**2
    # A GPU evaluates larger parts at once.
    assert memory_of(run(batch_size=256, device="cuda")) > 2 * base
    same = run(batch_size=256, seed=7, learning_rate=0.3, twin=1, measure_at=(5,))
    assert memory_of(same) == base


@pytest.mark.parametrize(
    "task", ["tomita(grammar=4)", "copying(delay=5)", "deep_linear_map(size=16)", "delayed_digits(blank=3)"]
)
@pytest.mark.parametrize("cell", ["orthogonal(size=8)", "strongly_typed(size=8)", "stack(size=8, depth=3)"])
def test_there_is_an_estimate_for_every_kind_of_task_and_cell(task, cell):
    if cell.startswith("stack") and task.startswith(("tomita", "copying")):
        pytest.skip("a stack answers once")
    found = memory_of(run(cell, task, batch_size=3))
    assert 1000 < found < 2**28


def test_a_stack_fits_the_memory_of_its_worker(monkeypatch):
    need = memory_of(run())
    for share, expected in ((20, 8), (5.5, 5), (1.2, 1), (0.3, 1), (-1, 1)):
        monkeypatch.setattr(_supervisor, "memory_here", lambda device, share=share: 2 * (WORKER + share * need))
        assert stack_limit(run(), engine=Local(workers=2)) == expected
    monkeypatch.setattr(_supervisor, "memory_here", lambda device: 80 * GIB)
    monkeypatch.setattr(_supervisor, "_gpus", lambda: ["0"])
    short, long = run("lstm(size=64)", device="cuda"), run("lstm(size=512)", "copying(delay=800)", device="cuda")
    assert stack_limit(short, engine=Local(gpu_fraction=1.0)) == 64
    limits = [stack_limit(long, engine=Local(gpu_fraction=share)) for share in (1.0, 0.5, 0.25)]
    assert 64 > limits[0] > limits[1] > limits[2] >= 1
    assert limits[0] * memory_of(replace(long, seed=3)) < 80 * GIB
    # Without a fraction all workers may meet on one GPU.
    assert stack_limit(long, engine=Local(workers=4)) == limits[2]


def test_where_nobody_knows_the_memory_the_data_need_not_be_here():
    far = run(task="mnist(folder='nowhere')")
    for engine in (Dask("127.0.0.1:8786"), Slurm()):
        assert math.isinf(engine.room(CPU))
        assert stack_limit(far, engine=engine) == 8
        assert stack_limit(replace(far, device="cuda"), engine=engine) == 64


def test_a_machine_is_shared_and_a_container_has_less(tmp_path, monkeypatch):
    monkeypatch.setattr(_capacity, "CGROUP", tmp_path / "memory.max")
    whole = memory_here(CPU)
    assert whole == SHARE * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    (tmp_path / "memory.max").write_text("max\n")
    assert memory_here(CPU) == whole
    (tmp_path / "memory.max").write_text(f"{2**20}\n")
    assert memory_here(CPU) == SHARE * 2**20
    assert Here().room(CPU) == SHARE * 2**20 - WORKER
    assert math.isinf(memory_here(torch.device("mps")))


def test_the_limit_of_this_machine_is_the_default():
    assert 1 <= stack_limit(run()) <= 8
    assert stack_limit(run()) == stack_limit(run(), engine=Local())


def test_the_default_engine_is_the_workers_of_this_machine(monkeypatch):
    need = memory_of(run())
    monkeypatch.setattr(_supervisor, "_processors", lambda: 2)
    monkeypatch.setattr(_supervisor, "memory_here", lambda device: 2 * (WORKER + 3.5 * need))
    assert stack_limit(run()) == 3
