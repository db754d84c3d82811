"""Figures of trained nets: moduli, radii, differences to a reference, and results against distances."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from unitcircle.report import COLORS, CYCLE
from unitcircle_reproduction.eigen._dynamics_figures import short_task

if TYPE_CHECKING:
    from unitcircle.experiments.comparison import Group
    from unitcircle_reproduction.eigen._nets import TrainedNet

WIDE = 4
"""Panels in a row."""
MARKERS = "osD^v"
"""Taken in turn when the colours have been used."""


def _looks(labels: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return colour and marker by label, the same in every panel."""
    places = ((label, *divmod(k, len(CYCLE))) for k, label in enumerate(dict.fromkeys(labels)))
    return {label: {"color": CYCLE[k], "marker": MARKERS[turn % len(MARKERS)]} for label, turn, k in places}


def spectra(nets: Sequence[TrainedNet], /) -> Figure:
    """Draw the sorted moduli before and after training, a panel a task."""
    tasks = list(dict.fromkeys(net.task for net in sorted(nets, key=lambda net: net.classes)))
    lines = -(-len(tasks) // WIDE)
    figure = Figure(figsize=(9.4, 2.7 * lines + 0.2), layout="constrained")
    panels = figure.subplots(lines, min(WIDE, len(tasks)), sharey=True, squeeze=False).flat
    for ax in panels[len(tasks) :]:
        ax.set_visible(False)
    looks, drawn = _looks(net.label for net in nets), dict[str, Any]()
    for ax, task in zip(panels, tasks, strict=False):
        selected = [net for net in nets if net.task == task]
        for label, look in looks.items():
            rows = [net for net in selected if net.label == label]
            if not rows:
                continue
            share = np.linspace(0, 1, len(rows[0].end))
            end = np.array([net.end for net in rows])
            ax.plot(share, np.mean([net.start for net in rows], axis=0), "--", color=look["color"], lw=1.0)
            (drawn[label],) = ax.plot(share, end.mean(0), **look, ms=3, markevery=0.2)
            ax.fill_between(share, end.min(0), end.max(0), color=look["color"], alpha=0.2, lw=0)
        ax.axhline(1.0, color=COLORS["grey"], lw=0.8, ls=":")
        kind = "classes" if selected[0].classes else "numbers"
        ax.set(title=f"{short_task(task)}\n({kind})", xlabel="rank / n", xlim=(0, 1), ylim=(0, None))
    panels[0].set_ylabel("modulus |λ|")
    figure.legend(list(drawn.values()), list(drawn), loc="outside right upper", fontsize=7)
    return figure


def radii(nets: Sequence[TrainedNet], /) -> Figure:
    """Draw the spectral radius of every trained net, by task and start."""
    tasks = list(dict.fromkeys(net.task for net in sorted(nets, key=lambda net: net.classes)))
    places = [(task, label) for task in tasks for label in dict.fromkeys(n.label for n in nets if n.task == task)]
    figure = Figure(figsize=(7.2, 0.24 * len(places) + 0.9), layout="constrained")
    ax = figure.subplots()
    for y, (task, label) in enumerate(places):
        selected = [net for net in nets if (net.task, net.label) == (task, label)]
        color = CYCLE[tasks.index(task) % len(CYCLE)]
        ax.plot([net.end[0] for net in selected], [y] * len(selected), "o", ms=4, color=color, alpha=0.6, mew=0)
        ax.plot(np.mean([net.start[0] for net in selected]), y, "o", ms=5, mfc="white", mec=color)
    ax.axvline(1.0, color=COLORS["grey"], lw=0.8, ls=":")
    ax.set_yticks(range(len(places)), [f"{short_task(task)}: {label}" for task, label in places])
    ax.invert_yaxis()
    ax.set(xlabel="spectral radius ρ")
    return figure


def structures(group: Group, moduli: Mapping[str, float], names: Mapping[str, str], /) -> Figure:
    """Draw the test score of every seed: by modulus to the left, by structure at one modulus to the right."""
    # moduli maps labels of rows to their modulus, names to the name of their structure.
    figure = Figure(figsize=(8.2, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    rows = {row.label: row for row in group.rows}
    drawn = [label for label in moduli if label in rows]
    for place, label in enumerate(drawn):
        _seeds(left, place, rows[label], CYCLE[0])
    left.set_xticks(range(len(drawn)), [f"{moduli[label]:g}" for label in drawn])
    left.set(xlabel="modulus of the eigen weight", ylabel=f"test {group.unit}")
    drawn = [label for label in names if label in rows]
    for place, label in enumerate(drawn):
        # The eigen initializer is first and has the colour it has on the left.
        _seeds(right, place, rows[label], CYCLE[(place + 1) % len(CYCLE)] if place else CYCLE[0])
    right.set_xticks(range(len(drawn)), [names[label] for label in drawn])
    right.set_xlabel("structure")
    for ax in (left, right):
        ax.axhline(group.baseline, color=COLORS["grey"], lw=0.8, ls=":")
        ax.set(ylim=(0, 1))
    return figure


def _seeds(ax: Any, place: float, row: Any, color: str) -> None:
    scores = np.array(row.scores)
    ax.plot(place + 0.13 * np.linspace(-1, 1, len(scores)), scores, "o", ms=4, color=color, alpha=0.6, mew=0)
    ax.plot([place - 0.25, place + 0.25], [scores.mean()] * 2, color=color, lw=2)


def differences(group: Group, reference: str, /) -> Figure:
    """Draw the differences of the rows of a group to its reference, with their intervals and verdicts."""
    rows = [row for row in group.rows if row.label != reference and not math.isnan(row.difference)]
    figure = Figure(figsize=(6.4, 0.32 * len(rows) + 0.9), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0.0, color=COLORS["grey"], lw=0.8, ls=":")
    for place, row in enumerate(rows):
        ends = [row.difference_interval.low, row.difference_interval.high]
        ax.plot(ends, [place, place], color=CYCLE[0], lw=2, solid_capstyle="butt")
        ax.plot(row.difference, place, "o", ms=5, color=CYCLE[0])
        ax.text(1.02, place, str(row.verdict), transform=ax.get_yaxis_transform(), va="center", fontsize=8)
    ax.set_yticks(range(len(rows)), [row.label for row in rows])
    ax.set(xlabel=f"test {group.unit} minus that of {reference}", ylim=(len(rows) - 0.5, -0.5))
    return figure


def distances(rows: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw mean test score of an initializer against the distance of its untrained states, a panel a task."""
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    lines, columns = -(-len(tasks) // WIDE), min(WIDE, max(len(tasks), 1))
    figure = Figure(figsize=(2.2 * columns + 1.5, 2.5 * lines + 0.2), layout="constrained")
    panels = figure.subplots(lines or 1, columns, squeeze=False).flat
    for ax in panels[len(tasks) :]:
        ax.set_visible(False)
    looks = _looks(row["start"] for row in rows)
    drawn: dict[str, Any] = {}
    for ax, task in zip(panels, tasks, strict=False):
        selected = [row for row in rows if row["task"] == task]
        for row in selected:
            (drawn[row["start"]],) = ax.plot(row["distance"], row["result"], ls="", ms=5, **looks[row["start"]])
        # Panels are narrow: more labels than three run into each other.
        ax.xaxis.set_major_locator(MaxNLocator(2))
        ax.set(xlabel="distance of h_T before training", ylabel=selected[0]["unit"])
        ax.set_title(f"{short_task(selected[0]['specification'])}\n{selected[0]['cell']}", fontsize=8)
    if drawn:
        figure.legend(list(drawn.values()), list(drawn), loc="outside right upper", fontsize=7)
    return figure
