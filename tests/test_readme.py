"""What the README shows runs, and prints what it says."""

import contextlib
import io
import re
import shlex
import sys
from pathlib import Path

import pytest

from unitcircle.cli import main
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Task

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
(TOUR,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
COMMANDS = re.findall(r"^\$ unitcircle (.*)$", README, re.MULTILINE)


def test_it_opens_with_the_two_commands():
    first_block = re.search(r"```\n(.*?)```", README, re.DOTALL).group(1)
    assert [line.split("#")[0].strip() for line in first_block.splitlines()] == ["make demo", "make test"]


def test_the_tour_has_ten_lines_and_prints_what_its_comments_say(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert len([line for line in TOUR.splitlines() if line.strip()]) == 10
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(TOUR, "README.md", "exec"), {})
    certificate, numbers, verdict, horizon, log_norm, worst = out.getvalue().splitlines()
    assert certificate.startswith("WᵀW = 0.9025 I")
    assert ": holds (residual" in certificate
    radius, departure = map(float, numbers.split())
    # A normal matrix of 256 rows: 64 eps measured.
    assert radius == pytest.approx(0.95, abs=4 * 256 * sys.float_info.epsilon)
    assert departure < 1e-5
    assert (verdict, horizon, worst) == ("vanishes", "135.0", "warning")
    assert float(log_norm) == pytest.approx(-512.9, abs=0.05)


def test_it_counts_the_tasks_and_the_cells_that_there_are():
    words = {10: "ten", 11: "eleven", 12: "twelve", 13: "thirteen", 14: "fourteen", 15: "fifteen"}
    # Other tests register tasks and cells of their own.
    tasks, cells = (
        len({cls for cls in kind.registry.values() if cls.__module__.startswith("unitcircle.")})
        for kind in (Task, TrainableCell)
    )
    assert f"{words[tasks].capitalize()} tasks, {words[cells]} cells:" in README


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_runs(command, tmp_path, monkeypatch, capsys):
    arguments = [str(tmp_path / word) if word.startswith("out/") else word for word in shlex.split(command)]
    monkeypatch.chdir(ROOT)
    assert main(arguments) == 0
    assert capsys.readouterr().out
