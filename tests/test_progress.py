"""The progress display: after two seconds on a terminal, never in a pipe."""

import io

import numpy as np
import pytest
from matplotlib.figure import Figure
from rich.console import Console

from unitcircle.report import Progress, duration, plot_pseudospectrum
from unitcircle.spectra import pseudospectrum


def shown(times, *, terminal=True, total=4):
    """What is printed if the parts are done at these times."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, color_system=None, width=100)
    now = iter([0.0, *times])
    with Progress("draws", console=console, clock=lambda: next(now)) as progress:
        progress.expect(total)
        for _ in times:
            progress.advance()
    return screen.getvalue()


def test_what_takes_two_seconds_shows_the_time_left():
    assert shown([0.5, 1.9]) == ""
    assert "2/4 draws, 3 s left" in shown([1.0, 3.0])
    assert shown([1.0, 300.0], terminal=False) == ""


def test_functions_that_report_their_progress_share_the_display():
    screen = io.StringIO()
    now = iter([0.0, 1.0, 4.0, 5.0])
    console = Console(file=screen, force_terminal=True, color_system=None, width=100)
    with Progress("points", console=console, clock=lambda: next(now)) as progress:
        pseudospectrum([[0.5, 1.0], [0.0, 0.25]], np.linspace(-1, 1, 3000), progress=progress.reach)
    assert "2048/3000 points" not in screen.getvalue()  # the first piece, within two seconds
    assert "3000/3000 points, 0 s left" in screen.getvalue()


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (90, "1 min 30 s"), (7500, "2 h 05 min")])
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words


def test_the_figure_of_a_pseudospectrum_shows_its_points(monkeypatch):
    screen, now = io.StringIO(), iter(range(100))
    console = Console(file=screen, force_terminal=True, color_system=None, width=100)
    kind = lambda what: Progress(what, console=console, clock=lambda: 3.0 * next(now))  # noqa: E731
    monkeypatch.setattr("unitcircle.report._figures.Progress", kind, raising=False)
    plot_pseudospectrum(np.diag([0.5, -0.5]), points=8, ax=Figure().subplots())
    assert "points, 0 s left" in screen.getvalue()
