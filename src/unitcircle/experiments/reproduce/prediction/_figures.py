"""Figures of the prediction: every correlation with its interval, and the points behind the best one."""

from __future__ import annotations

__all__ = ["heat_map", "scatter", "transfer"]

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.experiments.reproduce.prediction._points import DIAGNOSTICS
from unitcircle.experiments.reproduce.prediction._screen import Screen, Setting
from unitcircle.report._style import COLORS, CYCLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*X"


def _short(name: str) -> str:
    task, _, cell = name.partition("), ")
    task, _, parameters = task.partition("(")
    kept = [p for p in parameters.rstrip(")").split(", ") if p.startswith(("grammar", "blank"))]
    cell = (cell or name.rpartition(", ")[2]).split("(")[0]
    return "\n".join([task.replace("_", " "), *kept, cell])


WIDE = 9
"""Settings side by side in one panel."""


def heat_map(screen: Screen, /) -> Figure:
    """Draw Spearman's ρ of every diagnostic in every setting, its interval below it, and the mean over tasks."""
    mean, mean_bounds = screen.mean()
    values = np.vstack([screen.values, mean[None]])
    ends = np.concatenate([screen.bounds(), mean_bounds[None]])
    names = [_short(setting.name) for setting in screen.settings] + ["mean\nover\ntasks"]
    # The mean stands at the end of the last panel.
    starts = range(0, len(names), WIDE)
    width = min(WIDE, len(names))
    figure = Figure(figsize=(2.6 + 0.86 * width, (0.4 * len(DIAGNOSTICS) + 0.9) * len(starts)), layout="constrained")
    panels = figure.subplots(len(starts), 1, squeeze=False)[:, 0]
    for ax, start in zip(panels, starts, strict=True):
        part = slice(start, start + WIDE)
        _panel(ax, values[part], ends[part], names[part], width)
    if len(names) > 1:
        panels[-1].axvline((len(names) - 1) % WIDE - 0.5, color="white", lw=3)
    figure.colorbar(panels[0].images[0], ax=panels.tolist(), shrink=0.6 / len(starts), label="Spearman's ρ")
    return figure


def _panel(ax: Axes, values: np.ndarray, ends: np.ndarray, names: Sequence[str], width: int) -> None:
    ax.imshow(values.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for (s, d), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.text(s, d, "–", ha="center", va="center", fontsize=8, color=COLORS["grey"])
            continue
        low, high = ends[s, d]
        look: dict[str, Any] = {"ha": "center", "va": "center"}
        look["color"] = "white" if abs(value) > 0.5 else COLORS["black"]
        known = not np.isnan(low)
        weight = "bold" if low > 0 or high < 0 else "normal"
        ax.text(s, d - 0.14 * known, f"{value:+.2f}", fontsize=8, fontweight=weight, **look)
        if known:
            ax.text(s, d + 0.27, f"{low:+.1f} … {high:+.1f}", fontsize=6, **look)
    ax.set_xticks(range(len(names)), names, fontsize=7)
    ax.set_yticks(range(len(DIAGNOSTICS)), list(DIAGNOSTICS.values()))
    ax.set_xlim(-0.5, width - 0.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def scatter(settings: Sequence[Setting], diagnostic: str, outcome: str, /) -> Figure:
    """Draw the rank of the result against the rank of one diagnostic within its setting, each initializer a point."""
    families = sorted({family for setting in settings for family in setting.families})
    looks = {f: (CYCLE[k % len(CYCLE)], MARKERS[k // len(CYCLE) % len(MARKERS)]) for k, f in enumerate(families)}
    columns = min(4, len(settings))
    lines = -(-len(settings) // columns)
    figure = Figure(figsize=(2.05 * columns + 1.9, 2.15 * lines + 0.3), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for ax in panels.flat[len(settings) :]:
        ax.set_visible(False)
    for ax, setting in zip(panels.flat, settings, strict=False):
        x, y = _ranks(setting.diagnosis(diagnostic)), _ranks(setting.results(outcome))
        for family, a, b in zip(setting.families, x, y, strict=True):
            color, marker = looks[family]
            ax.plot(a, b, marker, ms=5, color=color, alpha=0.85, mew=0)
        ax.set_title(_short(setting.name), fontsize=8)
        ax.set(xlim=(-0.08, 1.08), ylim=(-0.08, 1.08), xticks=(0, 1), yticks=(0, 1))
    figure.supxlabel(f"{DIAGNOSTICS[diagnostic]}, rank", fontsize=9)
    figure.supylabel("result, rank (1: best)", fontsize=9)
    handles = [panels.flat[0].plot([], [], m, color=c, label=f)[0] for f, (c, m) in looks.items()]
    figure.legend(handles=handles, loc="outside right center", fontsize=7)
    return figure


def _ranks(values: np.ndarray) -> np.ndarray:
    below = (values[None, :] < values[:, None]).sum(1) + 0.5 * ((values[None, :] == values[:, None]).sum(1) - 1)
    return below / max(len(values) - 1, 1)


def transfer(screen: Screen, /) -> Figure:
    """Draw what each diagnostic is worth in a task when its sign is learned from the others."""
    values, bounds = screen.transferred()
    names, worth, chosen_bounds = screen.chosen()
    figure = Figure(figsize=(7.2, 0.33 * (len(DIAGNOSTICS) + 1) + 0.9), layout="constrained")
    ax = figure.subplots()
    lines = [
        *zip(DIAGNOSTICS.values(), values.T, bounds, strict=True),
        ("best of the other tasks", worth, chosen_bounds),
    ]
    for y, (name, row, (low, high)) in enumerate(lines):
        color = COLORS["vermilion"] if y == len(DIAGNOSTICS) else COLORS["blue"]
        ax.plot(row, np.full(len(row), y), "o", ms=4, color=color, alpha=0.4, mew=0)
        ax.plot([low, high], [y, y], color=COLORS["black"], lw=1.4)
        if not np.isnan(row).all():
            ax.plot(np.nanmean(row), y, "D", ms=5, color=COLORS["black"], mec="white", mew=0.6)
        del name
    ax.axvline(0, color=COLORS["grey"], lw=0.8)
    ax.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    ax.set(xlim=(-1.05, 1.05), xlabel="Spearman's ρ in a task, sign learned from the other tasks")
    ax.invert_yaxis()
    del names
    return figure
