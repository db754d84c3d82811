"""Figures of the prediction: every correlation with its interval, the points behind the best one, the alarms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.report import COLORS, CYCLE
from unitcircle_reproduction.prediction._ranking import Ranking
from unitcircle_reproduction.prediction._runs import DIAGNOSTICS
from unitcircle_reproduction.prediction._screen import Screen

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vP*X"
WIDE = 8
"""Settings side by side in one panel."""


def _short(ranking: Ranking) -> str:
    """Return task, the parameter that tells it from others of its kind, and cell, a line each."""
    task = ranking.task
    parameters = [
        f"{name} {getattr(task, name)}" for name in ("grammar", "blank", "delay", "length") if hasattr(task, name)
    ]
    return "\n".join([task.name.replace("_", " "), *parameters[:1], ranking.cell])


def heat_map(screen: Screen, /) -> Figure:
    """Draw Spearman's ρ of every diagnostic in every setting, its interval, and the mean over kinds of task."""
    means, mean_bounds, _ = screen.means()
    values = np.vstack([screen.values, means[None]])
    ends = np.concatenate([screen.bounds(), mean_bounds[None]])
    names = [_short(ranking) for ranking in screen.rankings] + ["mean over\nkinds of\ntask"]
    lines = -(-len(names) // WIDE)
    width = -(-len(names) // lines)
    size = (2.7 + 0.84 * width, (0.36 * len(DIAGNOSTICS) + 0.75) * lines)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, 1, squeeze=False)[:, 0]
    for ax, start in zip(panels, range(0, len(names), width), strict=True):
        part = slice(start, start + width)
        _panel(ax, values[part], ends[part], names[part], width)
    if len(names) > 1:
        panels[-1].axvline((len(names) - 1) % width - 0.5, color="white", lw=4)
    bar = figure.colorbar(panels[0].images[0], ax=panels.tolist(), shrink=0.5 / lines, aspect=16)
    bar.set_label("Spearman's ρ", fontsize=8)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue, reportAttributeAccessIssue]
    return figure


def _panel(ax: Axes, values: np.ndarray, ends: np.ndarray, names: Sequence[str], width: int) -> None:
    ax.imshow(values.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    for (s, d), value in np.ndenumerate(values):
        if np.isnan(value):
            ax.text(s, d, "–", ha="center", va="center", fontsize=8, color=COLORS["grey"])
            continue
        low, high = ends[s, d]
        look: dict[str, Any] = {"ha": "center", "va": "center"}
        look["color"] = "white" if abs(value) > 0.6 else COLORS["black"]
        known = not np.isnan(low)
        weight = "bold" if low > 0 or high < 0 else "normal"
        ax.text(s, d - 0.15 * known, _format_signed(value, 2), fontsize=8, fontweight=weight, **look)
        if known:
            ax.text(s, d + 0.26, f"{_format_signed(low, 1)} … {_format_signed(high, 1)}", fontsize=6, **look)
    ax.set_xticks(range(len(names)), names, fontsize=7)
    ax.set_yticks(range(len(DIAGNOSTICS)), list(DIAGNOSTICS.values()), fontsize=8)
    ax.set_xlim(-0.5, width - 0.5)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def _format_signed(value: float, digits: int) -> str:
    # Without a negative zero.
    return f"{round(float(value), digits) + 0.0:+.{digits}f}".replace("-", "−")


def scatter(rankings: Sequence[Ranking], diagnostic: str, outcome: str, /) -> Figure:
    """Draw the rank of the result against the rank of one diagnostic within its setting, each initializer a point."""
    families = sorted({family for ranking in rankings for family in ranking.families})
    looks = {f: (CYCLE[k % len(CYCLE)], MARKERS[k % len(MARKERS)]) for k, f in enumerate(families)}
    columns = min(5, len(rankings))
    lines = -(-len(rankings) // columns)
    figure = Figure(figsize=(1.65 * columns + 1.9, max(1.85 * lines + 0.2, 2.3)), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    for ax in panels.flat[len(rankings) :]:
        ax.set_visible(False)
    for ax, ranking in zip(panels.flat, rankings, strict=False):
        ranks = (ranking.points[[diagnostic, outcome]].rank() - 1) / max(len(ranking.points) - 1, 1)
        for family, (a, b) in zip(ranking.families, ranks.to_numpy(), strict=True):
            color, marker = looks[family]
            ax.plot(a, b, marker, ms=4.5, color=color, alpha=0.85, mew=0)
        title = _short(ranking).split("\n")
        ax.set_title(f"{' '.join(title[:-1])}, {title[-1]}", fontsize=7)
        ax.set(xlim=(-0.08, 1.08), ylim=(-0.08, 1.08), xticks=(0, 1), yticks=(0, 1))
        ax.set_box_aspect(1)
    figure.supxlabel(f"{DIAGNOSTICS[diagnostic]}: rank before training (1: largest)", fontsize=9)
    figure.supylabel("result: rank (1: best)", fontsize=9)
    handles = [panels.flat[0].plot([], [], m, color=c, mew=0, label=f)[0] for f, (c, m) in looks.items()]
    labels = [family.replace("_", " ") for family in looks]
    figure.legend(handles, labels, loc="outside right center", fontsize=7)
    return figure


def transfer(screen: Screen, /) -> Figure:
    """Draw what each diagnostic is worth in a kind of task when its sign is learned from the others."""
    values, bounds = screen.transferred()
    _, worth, chosen_bounds, *_ = screen.chosen()
    lines = [
        *zip(DIAGNOSTICS.values(), values.T, bounds, strict=True),
        ("best in the other tasks", worth, chosen_bounds),
    ]
    figure = Figure(figsize=(6.8, 0.29 * len(lines) + 1.1), layout="constrained")
    ax = figure.subplots()
    looks = dict(zip(screen.kinds, zip(CYCLE, MARKERS, strict=False), strict=False))
    for y, (_, row, (low, high)) in enumerate(lines):
        for kind, value in zip(screen.kinds, row, strict=True):
            color, marker = looks.get(kind, (COLORS["grey"], "o"))
            ax.plot(
                value, y, marker, ms=4.5, color=color, alpha=0.8, mew=0, label=kind.replace("_", " ") if not y else ""
            )
        ax.plot([low, high], [y, y], color=COLORS["black"], lw=1.4, zorder=1)
        if not np.isnan(row).all():
            ax.plot(np.nanmean(row), y, "|", ms=11, mew=2.2, color=COLORS["black"])
    ax.axvline(0, color=COLORS["grey"], lw=0.8, zorder=0)
    ax.axhline(len(lines) - 1.5, color=COLORS["grey"], lw=0.5)
    ax.set_yticks(range(len(lines)), [name for name, _, _ in lines])
    ax.set(xlim=(-1.05, 1.05), xlabel="Spearman's ρ with the sign of the other kinds of task")
    ax.invert_yaxis()
    figure.legend(loc="outside right upper", fontsize=7, title="kind of task", title_fontsize=7)
    return figure


def alarms(table: Sequence[Mapping[str, Any]], /) -> Figure:
    """Draw where runs with and without each finding end, and the difference with its interval."""
    raised = [row for row in table if row["alarmed"]]
    figure = Figure(figsize=(6.8, 0.42 * len(raised) + 1.1), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for y, row in enumerate(raised):
        left.plot([row["place if alarmed"], row["place if not"]], [y, y], color=COLORS["grey"], lw=1, zorder=1)
        for key, color, face in (
            ("place if alarmed", "vermilion", COLORS["vermilion"]),
            ("place if not", "blue", "white"),
        ):
            label = {"place if alarmed": "with the finding", "place if not": "without"}[key] if not y else ""
            left.plot(row[key], y, "o", ms=6, color=COLORS[color], mfc=face, label=label)
        right.plot([row["low"], row["high"]], [y, y], color=COLORS["black"], lw=1.4)
        right.plot(row["difference"], y, "o", ms=5, color=COLORS["black"])
    left.axvline(0.5, color=COLORS["grey"], lw=0.8, zorder=0)
    right.axvline(0, color=COLORS["grey"], lw=0.8, zorder=0)
    left.set_yticks(
        range(len(raised)), [f"{row['finding']}\n{row['alarmed']} of {row['runs']} runs" for row in raised], fontsize=7
    )
    left.set(xlim=(0, 1), xlabel="mean place (0 worst, 1 best)")
    right.set(xlabel="difference (95 %, all together)")
    left.invert_yaxis()
    left.margins(y=0.15)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8)
    return figure
