"""The progress display: after two seconds on a terminal, never in a pipe."""

import io

import pytest
from rich.console import Console

from unitcircle.report import Progress, duration


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


@pytest.mark.parametrize(("seconds", "words"), [(4.4, "4 s"), (90, "1 min 30 s"), (7500, "2 h 05 min")])
def test_durations_are_words(seconds, words):
    assert duration(seconds) == words
