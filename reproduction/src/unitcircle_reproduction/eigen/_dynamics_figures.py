"""Figures of recurrences before training: portraits, sizes, exponents, eigenvectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.report import COLORS, CYCLE, DASHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def short_task(task: str, /) -> str:
    """Return the specification of a task as a label of an axis."""
    name, _, parameters = task.rstrip(")").partition("(")
    name = name.replace("_", " ").replace("mackey glass", "Mackey-Glass")
    return f"{name} ({parameters})" if parameters.count("=") == 1 else name


def portraits(rows: Sequence[tuple[str, Mapping[str, np.ndarray]]], /) -> Figure:
    """Draw trajectories ``(starts, T + 1, 2)``: a row a weight, a column an activation."""
    figure = _figure(8.2, 2.05 * len(rows) + 0.2)
    panels = figure.subplots(len(rows), len(rows[0][1]), squeeze=False, sharex=True, sharey=True)
    for line, (name, columns) in zip(panels, rows, strict=True):
        for ax, (activation, trajectories) in zip(line, columns.items(), strict=True):
            _portrait(ax, trajectories)
            if ax in panels[0]:
                ax.set_title(activation)
        line[0].set_ylabel(f"λ = {name}\n$h_2$")
    for ax in panels[-1]:
        ax.set_xlabel("$h_1$")
    return figure


def _portrait(ax: Axes, trajectories: np.ndarray) -> None:
    ax.add_patch(_square())
    for states, color in zip(trajectories, CYCLE, strict=False):
        # What has left the picture for good would only draw straight lines through it.
        inside = np.abs(states).max(1) < 6
        end = len(states) if inside.all() else int(np.argmin(inside)) + 1
        ax.plot(*states[:end].T, color=color, lw=0.8, alpha=0.8)
        ax.plot(*states[0], ".", ms=4, color=color)
        if inside.all():
            ax.plot(*states[-1], "o", ms=4, mfc="white", mec=color, mew=1.0)
    ax.set(xlim=(-1.55, 1.55), ylim=(-1.55, 1.55), xticks=(-1, 0, 1), yticks=(-1, 0, 1))
    ax.set_aspect("equal")


def _square() -> Any:
    from matplotlib.patches import Rectangle  # noqa: PLC0415  (drawn only when asked for)

    return Rectangle((-1, -1), 2, 2, fill=False, ec=COLORS["grey"], lw=0.7, ls=":")


def sizes(columns: Mapping[str, Mapping[float, np.ndarray]], /) -> Figure:
    """Draw the root mean square of h against time, a panel an activation."""
    figure = _figure(8.2, 2.5)
    panels = figure.subplots(1, len(columns), sharey=True)
    for ax, (activation, curves) in zip(panels, columns.items(), strict=True):
        for (modulus, curve), color, dash in zip(curves.items(), CYCLE, DASHES, strict=False):
            ax.plot(np.maximum(curve, 1e-12), color=color, ls=dash, label=f"modulus {modulus:g}")
        ax.axhline(1.0, color=COLORS["grey"], lw=0.8, ls=":")
        ax.set(title=activation, xlabel="step t", yscale="log", ylim=(1e-6, 1e6))
        ax.margins(x=0)
    panels[0].set_ylabel("‖h_t‖ / √n")
    panels[-1].legend(loc="lower right")
    return figure


def surface(rows: Sequence[Mapping[str, Any]], trained: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw distance and saturation against the modulus at random inputs, and start and end of trained networks."""
    figure = _figure(8.2, 3.3)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    scales = sorted({row["input scale"] for row in rows})
    for scale, color in zip(scales, CYCLE, strict=False):
        selected = [row for row in rows if row["input scale"] == scale]
        modulus = [row["modulus"] for row in selected]
        name = f"input × {scale:g}"
        left.plot(modulus, [row["distance"] for row in selected], "o-", ms=3, color=color, label=f"distance, {name}")
        left.plot(
            modulus, [row["saturation"] for row in selected], "s--", ms=3, color=color, label=f"saturated, {name}"
        )
    left.set(
        xlabel="modulus of all eigenvalues", ylabel="‖h‖/√n; share of units |h| ≥ .95", ylim=(0, 1.4), title="untrained"
    )
    left.set_yticks(np.arange(0, 1.1, 0.2))
    left.legend(loc="upper left", fontsize=7)
    groups = list(dict.fromkeys(row["task"] for row in trained))
    for place, task in enumerate(groups):
        selected = [row for row in trained if row["task"] == task]
        color = CYCLE[place % len(CYCLE)]
        spread = place + np.linspace(-0.28, 0.28, len(selected))
        for y, row in zip(spread, selected, strict=True):
            right.plot([row["distance at start"], row["distance at end"]], [y, y], color=color, lw=0.6, alpha=0.5)
        right.plot([row["distance at start"] for row in selected], spread, "o", ms=3, mfc="white", mec=color)
        right.plot([row["distance at end"] for row in selected], spread, "o", ms=3, color=color)
    right.set_yticks(range(len(groups)), [short_task(task) for task in groups])
    right.set(xlabel="distance of h_T from the origin, ‖h‖/√n", xlim=(0, 1), title="before (○) and after (●) training")
    right.invert_yaxis()
    return figure


def eigenvectors(rows: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw the participation of eigenvectors and the gap ratio of phases against the size, law by law."""
    figure = _figure(8.2, 3.2)
    left, right = figure.subplots(1, 2)
    laws = list(dict.fromkeys(row["weight"] for row in rows))
    for law, color, dash in zip(laws, CYCLE, DASHES + DASHES, strict=False):
        selected = [row for row in rows if row["weight"] == law]
        n = [row["n"] for row in selected]
        left.plot(n, [row["participation"] for row in selected], "o", ls=dash, ms=3.5, color=color, label=law)
        right.plot(n, [row["gap ratio"] for row in selected], "o", ls=dash, ms=3.5, color=color, label=law)
    size = np.array(sorted({row["n"] for row in rows}))
    left.plot(size, size / 2, color=COLORS["grey"], lw=0.8, ls=":", label="n / 2")
    left.set(xlabel="units n", ylabel="units that an eigenvector touches", xscale="log", yscale="log")
    left.legend(loc="upper left")
    for value, name in ((0.386, "Poisson"), (0.5996, "unitary")):
        right.axhline(value, color=COLORS["grey"], lw=0.8, ls=":")
        right.text(size[-1], value - 0.07, name, ha="right", va="bottom", fontsize=8, color=COLORS["grey"])
    right.set(xlabel="units n", ylabel="mean gap ratio of the phases", xscale="log", ylim=(0, 1.03))
    for ax in (left, right):
        ax.set_xticks(size, [str(n) for n in size])
        ax.set_xticks([], minor=True)
    return figure


def exponents(rows: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw the leading exponent against the modulus, a panel an input scale, with the linear law."""
    scales = list(dict.fromkeys(row["input scale"] for row in rows))
    figure = _figure(8.2, 3.0)
    panels = figure.subplots(1, len(scales), sharey=True, squeeze=False)[0]
    structures = list(dict.fromkeys(row["weight"] for row in rows))
    for ax, scale in zip(panels, scales, strict=True):
        for structure, color, marker in zip(structures, CYCLE, "osD^v", strict=False):
            selected = [row for row in rows if row["weight"] == structure and row["input scale"] == scale]
            x, y = [row["modulus"] for row in selected], [row["leading exponent"] for row in selected]
            ax.plot(x, y, marker=marker, ms=3.5, color=color, label=structure)
        grid = np.linspace(0.75, 2.05, 100)
        ax.plot(grid, np.log(grid), color=COLORS["grey"], ls="--", lw=1.0, label="log of the modulus")
        ax.axhline(0.0, color=COLORS["grey"], lw=0.7)
        ax.set(title=f"input × {scale:g}", xlabel="modulus", ylim=(-1.25, 0.75), xlim=(0.75, 2.05))
    panels[0].set_ylabel("leading exponent, nats per step")
    figure.legend(*panels[-1].get_legend_handles_labels(), loc="outside right center")
    return figure


def regimes(rows: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw gain of the activation and effective dimension against the input scale, modulus by modulus."""
    figure = _figure(8.2, 3.0)
    left, right = figure.subplots(1, 2)
    moduli = list(dict.fromkeys(row["modulus"] for row in rows))
    for modulus, color, dash in zip(moduli, CYCLE, DASHES + DASHES, strict=False):
        selected = [row for row in rows if row["modulus"] == modulus]
        x = [row["input scale"] for row in selected]
        left.plot(x, [row["gain"] for row in selected], "o", ls=dash, ms=3, color=color, label=f"modulus {modulus:g}")
        right.plot(x, [row["effective dimension"] for row in selected], "o", ls=dash, ms=3, color=color)
    left.axhline(1.0, color=COLORS["grey"], lw=0.8, ls=":")
    left.set(xlabel="input scale", ylabel="mean gain sech² of a step", xscale="log", ylim=(0, 1.05))
    left.legend(loc="lower left")
    right.set(xlabel="input scale", ylabel="effective dimension of h_T", xscale="log", ylim=(0, None))
    return figure
