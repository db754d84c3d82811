"""A run that a monitor wrote: in the terminal, and as a page with the spectrum over time."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._files import written_whole
from unitcircle.monitor._run_file import BATCH, COLUMNS, MonitoredRun
from unitcircle.report import COLORS, CYCLE, DASHES, FIGURE_RC, inline_svg, page, style

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
    from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
TREND = 16
FRAMES = 6
EXPENDABLE = ("departure", "transient", "drift", "update", "gradient", "orthogonality", "norm")
"""Columns that are left out, in this order, where names would not fit."""
LARGEST = 1000
"""A width at which every table fits."""
SEVERITY = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def sparkline(values: np.ndarray, /) -> str:
    """Return a curve in a few characters; a gap where it is not finite."""
    if len(values) > TREND:
        values = values[np.linspace(0, len(values) - 1, TREND).round().astype(int)]
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ""
    low, span = float(finite.min()), float(np.ptp(finite))
    levels = (values - low) / span * (len(BARS) - 1) if span > 0 else np.where(np.isfinite(values), 0.0, np.nan)
    return "".join(BARS[round(level)] if math.isfinite(level) else " " for level in levels)


def watch_view(run: MonitoredRun, /) -> Group:
    """Return a run to print on a rich console: where it is, a table of the weights, findings."""
    from rich.console import Group
    from rich.text import Text

    latest = run.records[-1]
    line = f"step {latest['step']}, {len(run.records)} measurements"
    if "monitor/share" in latest:
        line += f", {float(latest['monitor/share']):.2%} of the time spent measuring"
    parts: list[RenderableType] = [Text(str(run.path), style="bold"), Text(line)]
    losses = run.series("loss")[1]
    if len(losses):
        parts.append(Text(f"loss {losses[-1]:.4g}  {sparkline(losses)}"))
    parts.append(_Weights(run))
    if run.layers:
        parts.append(_layers(run))
    for step, finding in run.findings[-5:]:
        severity = finding["severity"]
        text = Text(f"step {step}: {finding['code']} {severity} ", style=SEVERITY.get(severity, ""))
        parts.append(text.append(f"{_place(finding)}: {finding['message']}", style="default"))
    if run.others:
        parts.append(Text(f"the run of the last line; {_others(run)}", style="dim"))
    if run.unreadable:
        parts.append(Text(f"{run.unreadable} lines could not be read", style="dim"))
    return Group(*parts)


class _Weights:
    """The table of the weights, with the columns that the console has room for, so that names stay whole."""

    def __init__(self, run: MonitoredRun) -> None:
        self._run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement
        from rich.text import Text

        run = self._run
        shown = [metric for metric in COLUMNS if any(_shown(run, block, metric) is not None for block in run.blocks)]
        expendable = [metric for metric in EXPENDABLE if metric in shown]
        left_out: list[str] = []
        table, boundless = _table(self._run, shown), options.update(max_width=LARGEST)
        while expendable and Measurement.get(console, boundless, table).maximum > options.max_width:
            left_out.append(expendable.pop(0))
            table = _table(self._run, [metric for metric in shown if metric not in left_out])
        yield table
        if left_out:
            yield Text(f"no room for {', '.join(COLUMNS[metric] for metric in left_out)}", style="dim")


def _table(run: MonitoredRun, shown: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("weight", overflow="fold", min_width=12)
    for metric in shown:
        table.add_column(COLUMNS[metric], justify="right", no_wrap=True)
    table.add_column("ρ over time", no_wrap=True)
    for block in run.blocks:
        cells = [_number(_shown(run, block, metric)) for metric in shown]
        table.add_row(block, *cells, sparkline(run.series(f"{block}/radius")[1]))
    return table


def _shown(run: MonitoredRun, block: str, metric: str) -> Any:
    """Return a number of now; the departure, which is not measured each time, as it last was."""
    name = f"{block}/{metric}"
    return run.latest(name) if metric == "departure" else run.records[-1].get(name)


def _layers(run: MonitoredRun) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"batch, step {_batch_step(run)}", overflow="fold", min_width=12)
    for title in BATCH.values():
        table.add_column(title, justify="right")
    for layer in run.layers:
        table.add_row(layer, *(_number(run.latest(f"{layer}/{metric}")) for metric in BATCH))
    return table


def _batch_step(run: MonitoredRun) -> int:
    """Return the step at which a batch was last measured."""
    names = [f"{layer}/{metric}" for layer in run.layers for metric in BATCH]
    return next(record["step"] for record in reversed(run.records) if any(name in record for name in names))


def _others(run: MonitoredRun) -> str:
    return f"the file holds {run.others} other{'s' if run.others > 1 else ''}"


def _place(finding: Mapping[str, Any]) -> str:
    gate = f"[{finding['gate']}]" if finding["gate"] else ""
    return f"{finding['layer']}{gate}" or "model"


def _number(value: Any) -> str:
    return "" if value is None else f"{float(value):.3g}"


def watch_page(run: MonitoredRun, path: str | os.PathLike[str], /) -> Path:
    """Write a run as one self-contained HTML page: curves, findings, the spectrum over time as a film strip.

    Parameters
    ----------
    run
        The run.
    path
        Where to; written whole, then renamed.

    Returns
    -------
    pathlib.Path
        The path written.
    """
    latest = run.records[-1]
    hover: dict[str, list[str]] = {}
    others = f"; {_others(run)}" if run.others else ""
    parts = [
        f"<h1>{escape(run.path.name)}</h1>",
        f'<p class="soft">{len(run.records)} measurements to step {latest["step"]}{others}</p>',
    ]
    parts += ["<h2>Over time</h2>", f"<figure>{_curves(run, hover)}</figure>"]
    if run.findings:
        parts.append("<h2>Findings</h2>")
    for step, finding in run.findings:
        parts.append(
            f'<div class="finding {escape(finding["severity"])}"><p><b>{escape(finding["code"])} '
            f"{escape(finding['severity'])}</b> <b>{escape(finding['name'])}</b> at step {step}</p>"
            f"<p><code>{escape(_place(finding))}</code>: {escape(finding['message'])}</p>"
            f'<p class="soft">Why: {escape(finding["why"])}.</p>'
            f'<p class="fix">Fix: {escape(finding["remedy"])}</p></div>'
        )
    if run.layers:
        parts += [f"<h2>On the batch, at step {_batch_step(run)}</h2>", _layers_html(run)]
    if curves := {layer: found for layer in run.layers if (found := run.by_lag(layer))}:
        parts.append(f"<figure>{_lags(curves, hover)}</figure>")
    strips = [(block, frames) for block in run.blocks if (frames := run.frames(block))]
    if strips:
        parts.append("<h2>The spectrum over time</h2>")
    for k, (block, frames) in enumerate(strips):
        parts += [f"<h3>{escape(block)}</h3>", f"<figure>{_strip(block, frames, f'strip{k}', hover)}</figure>"]
    with written_whole(path) as file:
        file.write(page(f"unitcircle: {run.path.name}", "\n".join(parts), hover).encode())
    return Path(path)


def _curves(run: MonitoredRun, hover: dict[str, list[str]]) -> str:
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
    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(10.0, 2.9 * math.ceil(len(panels) / 2)), layout="constrained")
        axes = np.atleast_1d(np.asarray(figure.subplots(math.ceil(len(panels) / 2), 2, squeeze=False))).ravel()
        for ax, (metric, title) in zip(axes, panels.items(), strict=False):
            curves = _curves_of(run, metric)
            for name, (steps, values) in curves.items():
                names = run.layers if metric in BATCH else run.blocks
                k = names.index(name) if name in names else 0
                # A Python list keeps gaps where a value is not finite.
                shown = np.where(np.isfinite(values), values, np.nan)
                (line,) = ax.plot(steps, shown, DASHES[k // len(CYCLE) % len(DASHES)], color=CYCLE[k % len(CYCLE)])
                line.set_label(name)
                line.set_gid(f"curve-{metric}-{k}")
                hover[f"curve-{metric}-{k}"] = [
                    f"{name}: {value:.4g} (step {int(step)})"
                    for step, value in zip(steps, values, strict=True)
                    if math.isfinite(value)
                ]
            if metric in {"loss", "gradient"} and all((v[np.isfinite(v)] > 0).all() for _, v in curves.values()):
                ax.set_yscale("log")
            if metric in BATCH:
                ax.legend(fontsize=7)
            if metric == "radius":
                ax.axhline(1.0, color=COLORS["grey"], lw=0.9, zorder=0)
            ax.set(title=title, xlabel="step")
        for ax in axes[len(panels) :]:
            ax.set_axis_off()
        # One for all: the weights have the same colours everywhere, and it hides no curve.
        lines = {line.get_label(): line for ax in axes for line in ax.get_lines() if line.get_label() in run.blocks}
        if handles := [lines[block] for block in run.blocks if block in lines]:
            figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=7)
        return inline_svg(figure, label="loss and weights over the steps of training")


def _curves_of(run: MonitoredRun, metric: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    owners = run.layers if metric in BATCH else run.blocks
    names = {"loss": "loss"} if metric == "loss" else {owner: f"{owner}/{metric}" for owner in owners}
    curves = {name: run.series(key) for name, key in names.items()}
    return {name: (steps, values) for name, (steps, values) in curves.items() if len(steps)}


def _layers_html(run: MonitoredRun) -> str:
    head = "".join(f"<th>{escape(title)}</th>" for title in ("layer", *BATCH.values()))
    rows = [
        f"<tr><td><code>{escape(layer)}</code></td>"
        + "".join(f"<td>{_number(run.latest(f'{layer}/{metric}'))}</td>" for metric in BATCH)
        + "</tr>"
        for layer in run.layers
    ]
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _lags(curves: Mapping[str, list[tuple[int, np.ndarray]]], hover: dict[str, list[str]]) -> str:
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
                # A gradient that has vanished has no logarithm: a gap.
                shown = np.where(np.isfinite(values), values, np.nan)
                (line,) = ax.plot(lags, shown, DASHES[which == "first"], color=CYCLE[k % len(CYCLE)])
                line.set_label(f"{layer}, step {step}")
                line.set_gid(f"lag-{which}-{k}")
                hover[f"lag-{which}-{k}"] = [
                    f"{layer}: {value:.4g} at lag {lag} (step {step})"
                    for lag, value in zip(lags, values, strict=True)
                    if math.isfinite(value)
                ]
        ax.set(title="gradient by lag: log ‖∂L/∂h‖ (nats)", xlabel="steps back from the end")
        ax.legend(fontsize=7)
        return inline_svg(figure, label="norm of the gradient by lag, first and latest")


def thinned(frames: list[tuple[int, np.ndarray]], /) -> list[tuple[int, np.ndarray]]:
    """Return the first frame, the last, and those nearest to equal parts of the run between."""
    if len(frames) <= FRAMES:
        return frames
    steps = np.array([step for step, _ in frames])
    wanted = np.linspace(steps[0], steps[-1], FRAMES)
    nearest = np.abs(steps - wanted[:, None]).argmin(1)
    return [frames[k] for k in np.unique(nearest)]


def _strip(block: str, frames: list[tuple[int, np.ndarray]], prefix: str, hover: dict[str, list[str]]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    frames = thinned(frames)
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
