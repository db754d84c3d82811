"""``unitcircle watch`` on the file of a real monitor."""

import os

import numpy as np
import pytest

from unitcircle.cli import main
from unitcircle.monitor import Monitor


@pytest.fixture
def run(tmp_path):
    W = np.diag([0.4, 0.2])
    path = tmp_path / "run.jsonl"
    with Monitor(lambda: {"W": W}, every=1, overhead=1.0, sinks=[path]) as monitor:
        for _ in range(4):
            monitor.step(loss=1.0)
            W *= 1.1
    return path


def _run(*arguments):
    return main(["watch", *map(str, arguments)])


def test_it_prints_once_where_the_output_is_no_terminal(run, capsys):
    assert _run(run) == 0
    text = capsys.readouterr().out
    assert "step 3, 4 measurements" in text
    assert "0.532" in text  # 0.4 · 1.1³


def test_it_writes_a_page(run, tmp_path, capsys):
    assert _run(run, "--html", tmp_path / "run.html") == 0
    assert "The spectrum over time" in (tmp_path / "run.html").read_text()
    assert "run.html" in capsys.readouterr().out


def test_it_follows_the_file_until_interrupted(run, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    looks = []

    def sleep(_seconds):
        looks.append(None)
        if len(looks) == 1:
            with Monitor(lambda: {"W": np.eye(2)}, sinks=[run]) as monitor:
                monitor.step(77)
            os.utime(run, ns=(1, 1))
        else:
            raise KeyboardInterrupt

    monkeypatch.setattr("unitcircle.cli._watch.sleep", sleep)
    assert _run(run) == 0
    assert len(looks) == 2
    assert "step 77" in capsys.readouterr().out


def test_a_missing_file_is_an_error(tmp_path, capsys):
    assert _run(tmp_path / "nothing.jsonl") == 2
    assert "that can be read" in capsys.readouterr().err


def test_it_prints_once_when_told_to(run, capsys):
    assert _run(run, "--once") == 0
    assert "step 3" in capsys.readouterr().out


@pytest.mark.parametrize("every", ["0", "-1", "nan", "inf", "1e12"])
def test_a_time_that_cannot_be_slept_is_refused(run, every, capsys):
    assert _run(run, "--every", every) == 2
    assert "--every must be above 0" in capsys.readouterr().err


def test_a_file_that_goes_away_while_it_is_followed_ends_in_a_sentence(run, monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr("unitcircle.cli._watch.sleep", lambda _: run.unlink())
    assert _run(run) == 2
    assert "must be a file that can be read" in capsys.readouterr().err
