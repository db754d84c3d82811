"""A run that a monitor wrote, as one self-contained HTML page with the spectrum over time."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._files import written_whole
from unitcircle._printable import literal
from unitcircle.monitor._run_file import MonitoredRun
from unitcircle.monitor._run_line import BATCH, COLUMNS
from unitcircle.monitor._view import drawable, number_text, others_text, place_text, watch_answer
from unitcircle.report import COLORS, CYCLE, DASHES, FIGURE_RC, inline_svg, page, panel, render, style, table

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.lines import Line2D

FRAMES = 6
"""Spectra side by side."""
ROWS = 40
"""Weights in the table when the page is opened."""
DRAWN = 12
"""Weights, and layers on the batch, that are drawn, the worst first: more curves than this cannot be told apart."""
RUNAWAY = 100
"""Range of a curve, in typical values of it, from which its axis is logarithmic."""
VERDICTS = {
    "error": "with errors",
    "warning": "with warnings",
    "note": "with notes",
    "unknown": "with findings of an unknown severity",
    "good": "without findings",
}
"""Verdicts on a weight, the worst first, and how those of the map are counted."""


def watch_page(run: MonitoredRun, path: str | os.PathLike[str], /) -> Path:
    """Write a run as one self-contained HTML page: curves, findings, the spectrum at some steps side by side.

    Parameters
    ----------
    run
        The run.
    path
        Where to write; the file is written whole, then renamed.

    Returns
    -------
    pathlib.Path
        The path written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.monitor import JsonLines, read_run
    >>> with TemporaryDirectory() as folder:
    ...     sink = JsonLines(f"{folder}/run.jsonl")
    ...     for step in range(3):
    ...         sink({"loss": 2.0 / (1 + step), "W/radius": 0.9}, step)
    ...     text = watch_page(read_run(sink.path), f"{folder}/run.html").read_text(encoding="utf-8")
    >>> "<svg" in text, "<script src=" in text
    (True, False)
    """
    hover: dict[str, list[str]] = {}
    groups = _groups(run)
    verdicts = [_verdict(run, block) for block in run.blocks]
    judged = _worst_first(run, run.blocks)
    blocks, layers = list(judged)[:DRAWN], list(_worst_first(run, run.layers))[:DRAWN]
    lags = {layer: curves for layer in layers if (curves := run.by_lag(layer))}
    strips = [(block, frames) for block, frames in run.frames_of(blocks).items() if frames]
    undrawn = [(len(run.blocks) - len(blocks), "weight"), (len(run.layers) - len(layers), "layer")]
    codes = [finding["code"] for finding, _ in groups]
    body = render(
        "unitcircle.monitor/page.html",
        run=run,
        answer=watch_answer(run),
        verdict=_known(groups[0][0]["severity"]) if groups else "good",
        others=others_text(run) if run.others else "",
        unreadable=f"{run.unreadable} lines could not be read" if run.unreadable else "",
        tiles=[
            (verdict, block, f"weight-{k}", f"ρ {number_text(run.latest(f'{block}/radius')) or 'not measured'}")
            for k, (block, verdict) in enumerate(zip(run.blocks, verdicts, strict=True))
        ],
        meanings=[(name, f"{verdicts.count(name)} {words}") for name, words in VERDICTS.items() if name in verdicts],
        groups=[(finding, places, codes[: k + 1].count(finding["code"])) for k, (finding, places) in enumerate(groups)],
        curves=_curves(run, blocks, layers, hover),
        weights=_weights(run, judged) if run.blocks else "",
        undrawn=", ".join(f"{count} further {what}{'s' * (count > 1)}" for count, what in undrawn if count),
        layers=_layers(run),
        lags=_lags(lags, hover) if lags else [],
        strips=[(block, _strip(block, frames, f"strip{k}", hover)) for k, (block, frames) in enumerate(strips)],
    )
    with written_whole(path) as file:
        file.write(page(f"unitcircle: {run.path.name}", body, hover).encode())
    return Path(path)


def _known(severity: str) -> str:
    """Return a severity that the style knows; a file may name any."""
    return severity if severity in VERDICTS else "unknown"


def _groups(run: MonitoredRun) -> list[tuple[Mapping[str, Any], list[tuple[str, str, str]]]]:
    """Return findings that differ only in place, step and message, the worst first; of each the latest first."""
    groups: dict[tuple[str, ...], tuple[Mapping[str, Any], list[tuple[str, str, str]]]] = {}
    for step, finding in reversed(run.findings):
        key = tuple(finding[name] for name in ("code", "severity", "why", "remedy"))
        address = next((f"weight-{k}" for k, block in enumerate(run.blocks) if _is_at(finding, block)), "")
        place = (f"{place_text(finding)} at step {step}", finding["message"], address)
        groups.setdefault(key, (finding, []))[1].append(place)
    order = (*VERDICTS, "")
    return sorted(groups.values(), key=lambda group: order.index(_known(group[0]["severity"])))


def _is_at(finding: Mapping[str, Any], block: str) -> bool:
    layer, gate = finding["layer"], finding["gate"]
    return block == f"{layer}.{gate}" if gate else block == layer or block.startswith(f"{layer}.")


def _verdict(run: MonitoredRun, block: str) -> str:
    found = {_known(finding["severity"]) for _, finding in run.findings if _is_at(finding, block)}
    return next((name for name in VERDICTS if name in found), "good")


def _worst_first(run: MonitoredRun, names: Sequence[str]) -> dict[str, str]:
    """Return weight or layer → its verdict, the worst first."""
    verdicts = {name: _verdict(run, name) for name in names}
    return {name: verdicts[name] for known in VERDICTS for name in names if verdicts[name] == known}


def _weights(run: MonitoredRun, judged: Mapping[str, str]) -> Markup:
    """Return the latest measurements of the weights, the worst first, and first the columns that decide."""
    from markupsafe import Markup

    measured = [
        metric for metric in COLUMNS if any(run.latest(f"{block}/{metric}") is not None for block in run.blocks)
    ]
    places = {block: k for k, block in enumerate(run.blocks)}
    words = {"good": "no finding", "unknown": "unknown severity"}
    rows = [
        {
            "weight": Markup('<span id="weight-{}">{}</span>').format(places[block], block),
            "verdict": render("unitcircle.report/mark.html", verdict=verdict, words=words.get(verdict, verdict)),
        }
        | {COLUMNS[metric]: number_text(run.latest(f"{block}/{metric}")) for metric in measured}
        for block, verdict in judged.items()
    ]
    caption = "Weights, the latest measurement"
    return table(rows, names=["weight"], words=["verdict"], caption=caption, fold=ROWS)


def _curves(
    run: MonitoredRun, blocks: Sequence[str], layers: Sequence[str], hover: dict[str, list[str]]
) -> list[Markup]:
    """Return a figure for each metric, and one with the names of the weights."""
    from matplotlib import rc_context

    panels = {
        "loss": ("loss", "loss"),
        "radius": ("spectral radius", "ρ"),
        "orthogonality": ("distance from orthogonal", "‖WᵀW − I‖/√n"),
        "gradient": ("gradient", "‖∂L/∂W‖"),
        "departure": ("departure from normality", "Henrici's number"),
        "transient": ("transient growth", "log max ‖Wᵗ‖ (nats)"),
        "exponent": ("leading exponent", "λ₁ (nats per step)"),
        "saturation": ("saturated units", "share of the units"),
    }
    found = _curves_of(run, panels, blocks, layers)
    figures: list[Markup] = []
    lines: dict[str, Line2D] = {}
    with style(), rc_context(FIGURE_RC):
        for metric, (title, label) in panels.items():
            if not (curves := found[metric]):
                continue
            figure, ax = panel(4.4, 2.9)
            for name, (steps, values) in curves.items():
                names = layers if metric in BATCH else blocks
                k = names.index(name) if name in names else 0
                gappy = drawable(values)
                (line,) = ax.plot(steps, gappy, DASHES[k // len(CYCLE) % len(DASHES)], color=CYCLE[k % len(CYCLE)])
                line.set_label(literal(name))
                line.set_gid(f"curve-{metric}-{k}")
                hover[f"curve-{metric}-{k}"] = [
                    f"{name}: {value:.4g} (step {int(step)})"
                    for step, value in zip(steps, gappy, strict=True)
                    if math.isfinite(value)
                ]
                mark_lone_points(line)
                lines |= {name: line} if name in blocks else {}
            finite = np.concatenate([values[np.isfinite(values)] for _, values in curves.values()])
            with np.errstate(over="ignore"):  # of values near the largest float, inf > inf is not wide
                runaway = np.ptp(finite) > RUNAWAY * np.median(np.abs(finite))
            wide = metric in {"loss", "gradient"} or runaway
            if wide and (finite > 0).all():
                ax.set_yscale("log")
            if metric in BATCH:
                ax.legend(fontsize=7)
            at = np.concatenate([steps for steps, _ in curves.values()])
            if np.ptp(at) == 0:  # one measurement: whole steps around it
                ax.set_xlim(at[0] - 1, at[0] + 1)
            ax.locator_params("x", integer=True)
            if metric == "radius":
                ax.axhline(1.0, color=COLORS["grey"], lw=0.9, zorder=0)
            ax.set(title=title, xlabel="optimizer step", ylabel=label)
            figures.append(inline_svg(figure, label=f"{title} over the steps of training"))
        # One legend for all: the weights have the same colours everywhere, and it hides no curve.
        if lines:
            figures.append(_key(list(lines.values()), "the colours of the weights"))
    return figures


def _key(lines: Sequence[Line2D], label: str) -> Markup:
    """Draw a legend that stands alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.4, 0.3 + 0.17 * len(lines)))
    figure.legend(handles=list(lines), loc="center left", fontsize=7)
    return inline_svg(figure, label=label)


def _curves_of(
    run: MonitoredRun, metrics: Collection[str], blocks: Sequence[str], layers: Sequence[str]
) -> dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """Return metric → weight or layer → its curve, where there is anything to draw."""
    keys: dict[str, dict[str, str]] = {}
    for metric in metrics:
        owners = layers if metric in BATCH else blocks
        keys[metric] = {"loss": "loss"} if metric == "loss" else {owner: f"{owner}/{metric}" for owner in owners}
    series = run.several([key for names in keys.values() for key in names.values()])
    return {
        metric: {name: series[key] for name, key in names.items() if np.isfinite(drawable(series[key][1])).any()}
        for metric, names in keys.items()
    }


def mark_lone_points(line: Line2D, /) -> None:
    """Mark the points without a neighbour, of which a line would show nothing."""
    there = np.pad(np.isfinite(np.asarray(line.get_ydata(), float)), 1)
    if lone := np.flatnonzero(there[1:-1] & ~there[:-2] & ~there[2:]).tolist():
        line.set(marker="o", markersize=4, markevery=lone)


def _layers(run: MonitoredRun) -> Markup:
    from markupsafe import Markup

    return table(
        [
            {"layer": Markup("<code>{}</code>").format(layer)}
            | {title: number_text(run.latest(f"{layer}/{metric}")) for metric, title in BATCH.items()}
            for layer in run.layers
        ],
        words=["layer"],
        caption="Layers on the batch",
        fold=ROWS,
    )


def _lags(curves: Mapping[str, list[tuple[int, np.ndarray]]], hover: dict[str, list[str]]) -> list[Markup]:
    """Draw the gradient by lag of every layer, the first that was measured and the latest, and the legend."""
    from matplotlib import rc_context

    with style(), rc_context(FIGURE_RC):
        figure, ax = panel(5.4, 2.9)
        for k, (layer, curves_of_layer) in enumerate(curves.items()):
            ends = {"first": curves_of_layer[0]} if len(curves_of_layer) > 1 else {}
            ends["latest"] = curves_of_layer[-1]
            for which, (step, values) in ends.items():
                lags = np.arange(len(values))
                gappy = drawable(values)  # a gradient that has vanished has no logarithm
                (line,) = ax.plot(lags, gappy, DASHES[which == "first"], color=CYCLE[k % len(CYCLE)])
                line.set_label(literal(f"{layer}, step {step}"))
                line.set_gid(f"lag-{which}-{k}")
                hover[f"lag-{which}-{k}"] = [
                    f"{layer}: {value:.4g} at lag {lag} (step {step})"
                    for lag, value in zip(lags, gappy, strict=True)
                    if math.isfinite(value)
                ]
                mark_lone_points(line)
        ax.set(title="gradient by lag", xlabel="steps back from the end", ylabel="log ‖∂L/∂h‖ (nats)")
        ax.locator_params("x", integer=True)
        drawn = inline_svg(figure, label="norm of the gradient by lag, first and latest")
        return [drawn, _key(ax.get_lines(), "the colours of the layers")]


def thin_frames(frames: list[tuple[int, np.ndarray]], /) -> list[tuple[int, np.ndarray]]:
    """Return the first frame, the last, and those nearest to equal parts of the run between."""
    if len(frames) <= FRAMES:
        return frames
    steps = np.array([step for step, _ in frames])
    targets = np.linspace(steps[0], steps[-1], FRAMES)
    nearest = np.abs(steps - targets[:, None]).argmin(1)
    return [frames[k] for k in np.unique(nearest)]


def _strip(block: str, frames: list[tuple[int, np.ndarray]], prefix: str, hover: dict[str, list[str]]) -> list[Markup]:
    """Return a figure of the eigenvalues for each frame, all at one scale."""
    from matplotlib import rc_context

    frames = thin_frames(frames)
    reach = 1.1 * max(1.0, *(float(np.abs(values).max()) for _, values in frames))
    angle = np.linspace(0, 2 * np.pi, 181)
    figures: list[Markup] = []
    with style(), rc_context(FIGURE_RC):
        for k, (step, values) in enumerate(frames):
            figure, ax = panel(2.4, 2.45)
            ax.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.8, zorder=1)
            size = float(np.clip(300 / len(values), 2, 14))
            dots = ax.scatter(
                np.real(values), np.imag(values), s=size, color=COLORS["blue"], alpha=0.75, lw=0, zorder=2
            )
            dots.set_gid(f"{prefix}-{k}")
            hover[f"{prefix}-{k}"] = [f"λ = {z.real:.4g} {z.imag:+.4g}i,  |λ| = {abs(z):.4g}" for z in values]
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xlabel="Re λ", ylabel="Im λ")
            ax.locator_params(nbins=4)
            ax.set_aspect("equal")
            ax.set_title(f"step {step}, ρ = {np.abs(values).max():.3g}", fontsize=8)
            figures.append(inline_svg(figure, label=f"eigenvalues of {block} at step {step}"))
    return figures
