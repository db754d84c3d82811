"""A comparison in the terminal: 80 columns, the answer in words, the reservations with it."""

import math

import numpy as np
import pytest
from rich.console import Console
from tests.study_records import finder, noise, record, study

from unitcircle.experiments.comparison import compare, study_progress_view, study_view
from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.training import Status

LABELS = {"torch default": "torch_default", "Haar": "orthogonal", "a name longer than the column for names": "identity"}
RATES = {"learning_rates": (3e-4, 1e-3, 3e-3)}


def compared(planned, make):
    records = finder(planned, make)
    return compare(planned, lambda run: records.get(run.key))


def text_of(view, width=80):
    console = Console(width=width, no_color=True, highlight=False, emoji=False, markup=False)
    with console.capture() as capture:
        console.print(view)
    lines = capture.get().splitlines()
    assert max(map(len, lines)) <= width
    return capture.get()


def words(view):
    return " ".join(text_of(view).split())


@pytest.fixture(scope="module")
def comparison():
    gain = {"Haar": 0.2, "a name longer than the column for names": -0.3}

    def make(label, run):
        if label.startswith("a name"):
            if run.seed == 3:
                return record(run, math.nan, status=Status.DIVERGED)
            if run.seed == 4:
                return record(run, math.nan, status=Status.FAILED)
            if run.seed == 5:
                return None
        slope = -0.1 * abs(np.log10(run.learning_rate / 1e-3))
        return record(run, float(0.5 + gain.get(label, 0) + slope + noise(label, run, 0.03)))

    description = "A line\nand another."
    return compared(study(LABELS, experiment=RATES, description=description), make)


def test_who_wins_by_how_much_and_what_is_to_be_doubted(comparison):
    said = words(study_view(comparison))
    assert "A line and another." in said
    assert "partial: 74 of 76 runs, 1 failed, 1 missing; the comparison uses the finished runs" in said
    assert "score: accuracy, higher is better, baseline 0.1, solved at 0.9" in said
    assert "First: Haar, mean 0." in said
    assert "Every other one is worse by the same test." in said
    assert "Better than torch default: Haar by +0." in said
    assert "Worse than torch default: a name longer than the column for names by −0." in said
    assert "Noise floor: torch default with other draws differs from itself by" in said
    assert "Diverged, counted as the baseline, 0.100, or the worst score seen where that is worse, and as" in said
    assert "unsolved: a name longer than the column for names 1 of 8." in said
    assert "Failed without a result, their pairs left out: a name longer than the column for names 1." in said
    assert "Runs still missing: a name longer than the column for names 1." in said
    assert "Variance of the validation scores while tuning: initializer" in said
    assert "▲ +0." in said
    assert "▼ −0." in said


def test_the_text_has_the_numbers_of_the_comparison(comparison):
    (group,) = comparison.groups
    haar = group.rows[0]
    said = words(study_view(comparison))
    assert f"{haar.mean:.3f} [{haar.interval.low:.3f}, {haar.interval.high:.3f}] {haar.worst:.3f} 0/10" in said
    low, high = haar.difference_interval.low, haar.difference_interval.high
    assert f"Haar by {haar.difference:+.3f} [{low:+.3f}, {high:+.3f}]." in said


def test_progress_says_what_is_there(comparison):
    said = words(study_progress_view(comparison))
    assert "torch default 9 0.001 10/10" in said
    assert "a name longer than the 9" in said
    assert " 8/10 1 1 " in said


def test_equals_cannot_be_told_apart():
    said = words(study_view(compared(study(LABELS), lambda label, run: record(run, 0.5 + noise(label, run)))))
    assert "Not significantly different from it: " in said
    assert "Not significantly different from torch default: " in said
    assert "Better than" not in said
    assert "Worse than" not in said
    assert "complete: 40 runs" in said


def test_too_few_seeds_are_named():
    said = words(study_view(compared(study(LABELS, seeds=3), lambda label, run: record(run, 0.5))))
    # Two comparisons of three pairs: 2 × 2/2³.
    assert "Too few seeds for a verdict: with 3 pairs and 2 comparisons no first p-value can be below 0.5." in said


def test_an_edge_of_the_grid_is_named():
    planned = study({"A": "torch_default", "B": "identity"}, experiment=RATES)
    said = words(study_view(compared(planned, lambda label, run: record(run, 100 * run.learning_rate))))
    assert "0.003* " in said
    assert "Best learning rate at the edge of the grid; a wider one may change it: A, B, A (again)." in said


def test_steps_with_those_that_never_arrive():
    steps = {"torch default": 400.0, "Haar": 100.0, "a name longer than the column for names": math.inf}
    planned = study(LABELS, experiment={"rank_by": "steps"})
    made = compared(
        planned, lambda label, run: record(run, 0.5, steps=steps[label.removesuffix(" (again)")] + run.seed % 2)
    )
    said = words(study_view(made))
    assert "ranked by steps to that" in said
    assert "First: Haar, median 100.5 steps [100, 101]." in said
    assert "Better than torch default: Haar takes ×0.251 the steps [×0.25, ×0.252]." in said
    assert "Worse than torch default: a name longer than the column for names, which never reaches" in said
    assert "never [never, never] never 0/10 ▼ ×∞" in said
    other = compared(study(LABELS, experiment={"rank_by": "steps"}), lambda label, run: record(run, 0.5))
    assert "half of its runs or more never reach the threshold" in words(study_view(other))


def test_without_any_run():
    said = words(study_view(compared(study(LABELS, experiment=RATES), lambda label, run: None)))
    assert "No reported run has ended yet." in said
    assert "Learning rate not chosen yet: torch default, Haar, a name longer than the column for names" in said
    text_of(study_progress_view(compared(study(LABELS), lambda label, run: None)))


@pytest.mark.parametrize(
    ("scores", "written"),
    [
        ((0.857, 0.9), "0.857"),
        ((0.0003, 0.167), "0.00030"),
        ((28.1, 30.0), "28.1"),
        ((1e-9, 1e-8), "1e−09"),
        ((0, 0), "0.00"),
    ],
)
def test_decimals_follow_the_smallest_mean(scores, written):
    planned = study({"A": "torch_default", "B": "identity"}, twin=False, seeds=2)
    (group,) = compared(planned, lambda label, run: record(run, scores[label == "B"])).groups
    assert Numbers(group).score(scores[0]) == written


def test_no_column_is_lost_to_long_numbers():
    def make(label, run):
        return record(run, 0.005 + (label == "Haar") * 0.0005 + noise(label, run, 0.0005))

    planned = study(LABELS, experiment={"task": "adding(length=10)"} | RATES)
    text = text_of(study_view(compared(planned, make)))
    assert any(line.split()[-2:] == ["ref.", "p"] for line in text.splitlines())
    assert "[0.00" in text
