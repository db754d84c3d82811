"""A run that a monitor wrote, as one self-contained HTML page with the spectrum over time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unitcircle._files import written_whole
from unitcircle.monitor._run_file import MonitoredRun
from unitcircle.monitor._run_line import BATCH
from unitcircle.monitor._view import drawable, number_text, others_text, place_text
from unitcircle.report import COLORS, CYCLE, DASHES, FIGURE_RC, inline_svg, page, render, style, table

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.lines import Line2D

FRAMES = 6
"""Spectra side by side."""


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
    """
    hover: dict[str, list[str]] = {}
    lags = {layer: curves for layer in run.layers if (curves := run.by_lag(layer))}
    strips = [(block, frames) for block in run.blocks if (frames := run.frames(block))]
    body = render(
        "unitcircle.monitor/page.html",
        run=run,
        others=others_text(run) if run.others else "",
        curves=_curves(run, hover),
        place=place_text,
        layers=_layers(run),
        lags=_lags(lags, hover) if lags else "",
        strips=[(block, _strip(block, frames, f"strip{k}", hover)) for k, (block, frames) in enumerate(strips)],
    )
    with written_whole(path) as file:
        file.write(page(f"unitcircle: {run.path.name}", body, hover).encode())
    return Path(path)


def _curves(run: MonitoredRun, hover: dict[str, list[str]]) -> Markup | str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = {
        "loss": "loss",
        "radius": "spectral radius ρ",
        "orthogonality": "‖WᵀW − I‖/√n",
        "gradient": "‖∂L/∂W‖",
        "departure": "departure from normality",
        "transient": "transient growth (nats)",
        "exponent": "leading exponent (nats per step)",
        "saturation": "share of saturated units",
    }
    panels = {metric: title for metric, title in panels.items() if _curves_of(run, metric)}
    if not panels:
        return ""
    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(10.0, 2.9 * math.ceil(len(panels) / 2)))
        figure.set_layout_engine("constrained", h_pad=0.1)  # between a label of one row and a title of the next
        axes = np.atleast_1d(np.asarray(figure.subplots(math.ceil(len(panels) / 2), 2, squeeze=False))).ravel()
        for ax, (metric, title) in zip(axes, panels.items(), strict=False):
            curves = _curves_of(run, metric)
            for name, (steps, values) in curves.items():
                names = run.layers if metric in BATCH else run.blocks
                k = names.index(name) if name in names else 0
                gappy = drawable(values)
                (line,) = ax.plot(steps, gappy, DASHES[k // len(CYCLE) % len(DASHES)], color=CYCLE[k % len(CYCLE)])
                line.set_label(name)
                line.set_gid(f"curve-{metric}-{k}")
                hover[f"curve-{metric}-{k}"] = [
                    f"{name}: {value:.4g} (step {int(step)})"
                    for step, value in zip(steps, gappy, strict=True)
                    if math.isfinite(value)
                ]
                mark_lone_points(line)
            if metric in {"loss", "gradient"} and all((v[np.isfinite(v)] > 0).all() for _, v in curves.values()):
                ax.set_yscale("log")
            if metric in BATCH:
                ax.legend(fontsize=7)
            if metric == "radius":
                ax.axhline(1.0, color=COLORS["grey"], lw=0.9, zorder=0)
            ax.set(title=title, xlabel="step")
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        # One legend for all axes: the weights have the same colours everywhere, and it hides no curve.
        lines = {line.get_label(): line for ax in axes for line in ax.get_lines() if line.get_label() in run.blocks}
        if handles := [lines[block] for block in run.blocks if block in lines]:
            figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7)
        return inline_svg(figure, label="loss and weights over the steps of training")


def _curves_of(run: MonitoredRun, metric: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    owners = run.layers if metric in BATCH else run.blocks
    names = {"loss": "loss"} if metric == "loss" else {owner: f"{owner}/{metric}" for owner in owners}
    curves = {name: run.series(key) for name, key in names.items()}
    return {name: (steps, values) for name, (steps, values) in curves.items() if np.isfinite(drawable(values)).any()}


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
        ]
    )


def _lags(curves: Mapping[str, list[tuple[int, np.ndarray]]], hover: dict[str, list[str]]) -> Markup:
    """Draw the gradient by lag of every layer, the first that was measured and the latest."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(10.0, 2.9), layout="constrained")
        ax = figure.subplots()
        for k, (layer, curves_of_layer) in enumerate(curves.items()):
            ends = {"first": curves_of_layer[0]} if len(curves_of_layer) > 1 else {}
            ends["latest"] = curves_of_layer[-1]
            for which, (step, values) in ends.items():
                lags = np.arange(len(values))
                gappy = drawable(values)  # a gradient that has vanished has no logarithm
                (line,) = ax.plot(lags, gappy, DASHES[which == "first"], color=CYCLE[k % len(CYCLE)])
                line.set_label(f"{layer}, step {step}")
                line.set_gid(f"lag-{which}-{k}")
                hover[f"lag-{which}-{k}"] = [
                    f"{layer}: {value:.4g} at lag {lag} (step {step})"
                    for lag, value in zip(lags, gappy, strict=True)
                    if math.isfinite(value)
                ]
                mark_lone_points(line)
        ax.set(title="gradient by lag: log ‖∂L/∂h‖ (nats)", xlabel="steps back from the end")
        ax.legend(fontsize=7)
        return inline_svg(figure, label="norm of the gradient by lag, first and latest")


def thin_frames(frames: list[tuple[int, np.ndarray]], /) -> list[tuple[int, np.ndarray]]:
    """Return the first frame, the last, and those nearest to equal parts of the run between."""
    if len(frames) <= FRAMES:
        return frames
    steps = np.array([step for step, _ in frames])
    targets = np.linspace(steps[0], steps[-1], FRAMES)
    nearest = np.abs(steps - targets[:, None]).argmin(1)
    return [frames[k] for k in np.unique(nearest)]


def _strip(block: str, frames: list[tuple[int, np.ndarray]], prefix: str, hover: dict[str, list[str]]) -> Markup:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    frames = thin_frames(frames)
    reach = 1.1 * max(1.0, *(float(np.abs(values).max()) for _, values in frames))
    angle = np.linspace(0, 2 * np.pi, 181)
    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(1.75 * FRAMES, 2.1), layout="constrained")
        axes = np.asarray(figure.subplots(1, FRAMES, squeeze=False))[0]
        for k, (ax, (step, values)) in enumerate(zip(axes, frames, strict=False)):
            ax.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.8, zorder=1)
            size = float(np.clip(300 / len(values), 2, 14))
            dots = ax.scatter(
                np.real(values), np.imag(values), s=size, color=COLORS["blue"], alpha=0.75, lw=0, zorder=2
            )
            dots.set_gid(f"{prefix}-{k}")
            hover[f"{prefix}-{k}"] = [f"λ = {z.real:.4g} {z.imag:+.4g}i,  |λ| = {abs(z):.4g}" for z in values]
            ax.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[])
            ax.set_aspect("equal")
            ax.set_title(f"step {step}\nρ = {np.abs(values).max():.3g}", fontsize=8)
        for ax in axes[len(frames) :]:
            ax.set_axis_off()
        return inline_svg(figure, label=f"eigenvalues of {block} over the steps of training")
