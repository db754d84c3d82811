"""The examples run as they are printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from unitcircle.monitor import read_run

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "log", "backend"),
    [
        ("loop", "loop", ""),
        ("lightning", "lightning", ""),
        ("hf_trainer", "hf", ""),
        ("keras", "keras", "torch"),
        ("keras", "keras", "jax"),
    ],
)
def test_it_runs_and_says_what_it_cost(name, log, backend, tmp_path):
    run = subprocess.run(
        [sys.executable, str(EXAMPLES / f"monitor_{name}.py")],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | ({"KERAS_BACKEND": backend} if backend else {}),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    # How many measurements fit into half of the time depends on the machine: a busy one may have time for one only.
    steps = [record["step"] for record in read_run(tmp_path / "out" / f"{log}.jsonl").records]
    assert steps[0] == 0
    assert steps == sorted(set(steps))
    assert re.match(rf"monitor: {len(steps)} measurements? in \d+ steps", run.stdout.splitlines()[-1])
