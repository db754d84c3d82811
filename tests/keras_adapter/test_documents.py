"""The page about Keras and the example run as printed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]


def test_the_code_of_the_page_runs(capsys):
    keras.utils.clear_session(free_memory=False)  # or the layers of other tests are counted in the names
    page = (ROOT / "docs" / "keras.md").read_text()
    names = {}
    for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL):
        exec(code, names)
    names["lstm"].build((None, None, 3))
    assert "forward_gru/recurrent_kernel[z] = eigen" in capsys.readouterr().out


@pytest.mark.slow
def test_the_example_runs_and_learns():
    example = ROOT / "examples" / "keras_lstm.py"
    code = example.read_text().split('"""', 2)[2]
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 20
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KERAS_", "COV_"))}
    run = subprocess.run([sys.executable, example], env=kept, capture_output=True, text=True, check=True)
    assert "lstm/bias[f] = chrono(max_steps=40.0)" in run.stdout
    before, after = map(float, re.search(r"accuracy (\S+) -> (\S+)", run.stdout).groups())
    assert after > 0.85 > before
