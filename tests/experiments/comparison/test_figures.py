"""Figures of a comparison: every run is drawn, sweeps are found, labels carry units."""

import math
from itertools import combinations

import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from tests.study_records import finder, noise, record, study

from unitcircle._printable import literal
from unitcircle.experiments.comparison import (
    compare,
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
    plot_sweep,
    study_figure,
)
from unitcircle.experiments.comparison._figures import charts
from unitcircle.report import save_figure

LABELS = {f"{name} {k}": "orthogonal" for k, name in enumerate("ABCDEFGHI")}


def compared(planned, make):
    records = finder(planned, make)
    return compare(planned, lambda run: records.get(run.key))


@pytest.fixture(scope="module")
def comparison():
    planned = study(experiment={"learning_rates": (3e-4, 1e-3, 3e-3)})
    return compared(planned, lambda label, run: record(run, 0.5 + noise(label, run)))


@pytest.fixture
def ax():
    figure, ax = plt.subplots()
    yield ax
    plt.close(figure)


def test_curves_are_those_of_the_comparison(comparison, ax):
    (group,) = comparison.groups
    plot_learning_curves(group, labels=comparison.labels, ax=ax)
    lines = {line.get_label(): line for line in ax.get_lines()}
    for row in group.rows:
        assert lines[row.label].get_ydata().tolist() == list(row.curve.mean)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("optimizer step", "validation accuracy")


def test_every_seed_is_a_dot_and_the_best_is_on_top(comparison, ax):
    (group,) = comparison.groups
    plot_seeds(group, labels=comparison.labels, ax=ax)
    for row, dots in zip(group.rows, ax.collections, strict=True):
        assert dots.get_offsets()[:, 0].tolist() == list(row.scores)
    assert [tick.get_text() for tick in ax.get_yticklabels()] == [row.label for row in group.rows]
    assert ax.get_ylim()[0] > ax.get_ylim()[1]
    assert ax.get_xlabel() == "test accuracy"


@pytest.mark.parametrize("scale", [1.0, 40.0])
def test_the_interval_of_a_score_is_drawn_whole(scale, ax):
    # BLEU and bits per character are no shares: they go beyond 1.
    made = compared(study(seeds=4), lambda label, run: record(run, scale * (0.5 + noise(label, run))))
    (group,) = made.groups
    plot_seeds(group, ax=ax)
    drawn = [list(line.get_xdata()) for line in ax.get_lines() if len(line.get_xdata()) == 2][: len(group.rows)]
    assert drawn == [[row.interval.low, row.interval.high] for row in group.rows]


def test_learning_rates_show_the_mean_and_ring_the_choice(comparison, ax):
    (group,) = comparison.groups
    plot_learning_rates(group, labels=comparison.labels, ax=ax)
    rings = [line for line in ax.get_lines() if line.get_markersize() == 9]
    for row, ring in zip(group.rows, rings, strict=True):
        assert ring.get_ydata().tolist() == [
            pytest.approx(np.mean(row.tuning[row.learning_rate]), abs=4 * np.finfo(float).eps)
        ]
    assert ax.get_xscale() == "log"


def sweep(rank_by="steps"):
    planned = study(experiment={"sizes": (2, 4, 8, 16), "rank_by": rank_by})

    def make(label, run):
        size = int(run.cell.split("size=")[1].rstrip(")"))
        return record(run, size / 20, steps=10.0 * size if label == "B" or size < 16 else math.inf)

    return compared(planned, make)


def test_groups_that_differ_in_one_number_are_a_sweep(ax):
    comparison = sweep()
    ((factor, groups),) = charts(comparison)
    assert (factor, len(groups)) == ("size", 4)
    plot_sweep(groups, factor, labels=comparison.labels, ax=ax)
    lines = {container.get_label(): container[0] for container in ax.containers}
    assert lines["B"].get_ydata().tolist() == [20, 40, 80, 160]
    assert lines["A"].get_ydata().tolist() == [20, 40, 80]
    assert ax.get_xlabel() == "size"
    assert "▲ never" in ax.get_title()
    triangles = [line for line in ax.get_lines() if line.get_marker() == "^"]
    assert sum(len(line.get_xdata()) for line in triangles) == 3  # A, C and the A/A row at 16
    assert ax.get_ylim()[1] > 160


def test_a_sweep_of_scores_is_drawn_too(ax):
    ((factor, groups),) = charts(sweep("score"))
    plot_sweep(groups, factor, ax=ax)
    lines = {container.get_label(): container[0] for container in ax.containers}
    assert lines["C"].get_ydata().tolist() == [0.1, 0.2, 0.4, 0.8]
    assert ax.get_ylabel() == "test accuracy"


def test_two_values_or_two_factors_are_no_sweep():
    planned = study(experiment={"sizes": (2, 4)}, seeds=2)
    made = compared(planned, lambda label, run: record(run, 0.5))
    assert [factor for factor, _ in charts(made)] == ["", ""]


def test_the_whole_figure_names_its_parts(comparison, tmp_path):
    path = save_figure(study_figure(comparison), tmp_path / "study.svg")
    svg = path.read_text(encoding="utf-8")
    for text in ("delayed_digits(blank=100), tanh(size=64)", "learning curves", "learning rates tried", "A (again)"):
        assert text in svg


def test_nine_initializers_look_different(ax):
    made = compared(study(LABELS, seeds=2), lambda label, run: record(run, 0.5))
    plot_learning_curves(made.groups[0], labels=made.labels, ax=ax)
    named = [line for line in ax.get_lines() if not line.get_label().startswith("_")]
    assert len({(line.get_color(), line.get_linestyle()) for line in named}) == len(made.labels)


def test_never_has_its_own_place_among_steps(ax):
    planned = study(experiment={"rank_by": "steps"}, twin=False)
    made = compared(planned, lambda label, run: record(run, 0.5, steps=math.inf if run.seed else 100.0))
    plot_seeds(made.groups[0], ax=ax)
    assert "never" in [label.get_text() for label in ax.get_xticklabels()]
    assert np.isfinite(np.concatenate([dots.get_offsets() for dots in ax.collections])).all()


@pytest.mark.parametrize("fastest", [1, 100, 180])
def test_never_lies_on_no_other_label(fastest):
    planned = study(experiment={"rank_by": "steps"}, twin=False)
    steps = [float(fastest), 200.0]
    made = compared(planned, lambda label, run: record(run, 0.5, steps=(steps + [math.inf] * 98)[run.seed]))
    figure = Figure(figsize=(3.5, 3.3), layout="constrained")
    ax = plot_seeds(made.groups[0], ax=figure.subplots())
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in ax.get_xticklabels()]
    assert len(boxes) >= 2
    assert not [(a, b) for a, b in combinations(boxes, 2) if a.overlaps(b)]


def test_a_figure_of_nothing_is_empty(tmp_path):
    save_figure(study_figure(compared(study(), lambda label, run: None)), tmp_path / "empty.png")


def test_long_labels_show_what_differs():
    long = "orthogonal with a very long story and then chrono of {} steps at the end of it, for a test"
    labels = [
        "Haar",
        long.format(100),
        long.format(1000),
        "another long label that differs from all at its first letter",
    ]
    figure, ax = plt.subplots()
    planned = study(dict.fromkeys(labels, "orthogonal"), reference="Haar", twin=False)
    plot_seeds(compared(planned, lambda label, run: record(run, 0.5)).groups[0], ax=ax)
    shown = [tick.get_text() for tick in ax.get_yticklabels()]
    plt.close(figure)
    assert len(set(shown)) == 4
    assert max(map(len, shown)) <= 30
    assert sum("chrono of 100 steps" in text for text in shown) == 1
    assert sum("chrono of 1000 steps" in text for text in shown) == 1
    assert "another long label that diffe…" in shown


@pytest.mark.parametrize("text", ["$\\frac{x B_1^$", "a $ b", "$$", "plain"])
def test_a_dollar_in_a_name_begins_no_formula(text):
    from matplotlib.figure import Figure

    figure = Figure()
    shown = figure.text(0, 0, literal(text))
    figure.canvas.draw()
    assert shown._preprocess_math(shown.get_text()) == (text, False)


def test_a_name_with_an_underscore_stands_in_the_legend():
    from matplotlib.figure import Figure

    ax = Figure().subplots()
    ax.plot([0, 1], label=literal("_private"))
    assert [text.get_text().strip() for text in ax.legend().get_texts()] == ["_private"]
