"""The examples run as they are, warnings being errors, and print something."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from unitcircle.experiments.studies import Study

ROOT = Path(__file__).parent.parent
# What trains longer, or writes the files that the other examples read, is left to people.
BY_HAND = {
    "train_digits_gru",
    "make_popular_lstm",
    "diagnose_live",
    "fla_steps",
    "cell_steps",
    "memory_tasks",
    "state_tracking",
    "state_tracking_by_prefix",
    "study_statistics",
    "criticality",
    "critical_modulus",
    "long_recurrences",
}
# These are run, and what they print is read, by other tests.
ELSEWHERE = {
    "keras_lstm",
    "linear_recurrences",
    "monitor_hf_trainer",
    "monitor_keras",
    "monitor_lightning",
    "monitor_loop",
}
EXAMPLES = sorted(path for path in (ROOT / "examples").glob("*.py") if path.stem not in BY_HAND | ELSEWHERE)


@pytest.mark.slow
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_it_runs_and_prints(path, tmp_path):
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    run = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, env=environment, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip()


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda path: path.stem)
def test_a_study_file_is_a_study(path):
    assert Study.load(path).name == path.stem


@pytest.mark.slow
def test_the_survey_of_linear_recurrences_is_what_the_command_prints():
    pytest.importorskip("transformers")
    page = (ROOT / "docs" / "results" / "linear-recurrences.md").read_text(encoding="utf-8")
    if f"transformers {version('transformers')}:" not in page:
        pytest.skip("the page is of another release of transformers")
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, ROOT / "examples" / "linear_recurrences.py"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=True)
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert [line for line in run.stdout.splitlines() if line.startswith("| ")] == rows
    assert len(rows) == 1 + 23 + 1 + 33
    assert not any("not built" in row or "not read" in row for row in rows[: 1 + 23])
