"""A diagnosis of many layers shows what is left on a terminal, and measures nothing early elsewhere."""

import io
import sys

import numpy as np
import pytest
from rich.console import Console
from tests.screens import Screen

from unitcircle import diagnose
from unitcircle.diagnosis import LayerExamination
from unitcircle.recurrence import from_torch
from unitcircle.report import Progress

LAYERS = 12


def layers():
    rng = np.random.default_rng(0)
    return [from_torch(rng.standard_normal((4, 4)) / 4, cell="rnn_tanh", name=f"cell{k}") for k in range(LAYERS)]


@pytest.fixture
def slow(monkeypatch):
    """Every look at the clock is a second after the one before."""
    screen, now = io.StringIO(), iter(range(1000))
    console = Console(file=screen, force_terminal=True, color_system=None, width=100)
    kind = lambda what: Progress(what, console=console, clock=lambda: float(next(now)))  # noqa: E731
    monkeypatch.setattr("unitcircle.diagnosis._diagnose.Progress", kind)
    return screen


def test_layers_are_counted_with_the_time_left(slow):
    diagnose(layers())
    assert f"{LAYERS}/{LAYERS} layers, 0 s left" in slow.getvalue()
    assert f"1/{LAYERS} layers" not in slow.getvalue().replace(f"11/{LAYERS}", "")  # within two seconds


def test_one_rule_measures_only_what_it_asks_for(slow):
    diagnose(layers(), select=["UC101"])
    assert slow.getvalue() == ""


@pytest.mark.parametrize("terminal", [True, False])
def test_findings_are_the_same_on_a_terminal_and_in_a_pipe(terminal, monkeypatch):
    measured = []
    whole = LayerExamination.measure
    monkeypatch.setattr(LayerExamination, "measure", lambda self: (measured.append(1), whole(self)))
    reference = diagnose(layers()).to_json()
    measured.clear()
    monkeypatch.setattr(sys, "stderr", Screen(terminal))
    assert diagnose(layers()).to_json() == reference
    assert len(measured) == (LAYERS if terminal else 0)
    assert sys.stderr.getvalue() == ""  # it took less than two seconds
