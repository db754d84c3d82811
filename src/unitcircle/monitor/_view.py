"""A run that a monitor wrote, in the terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle.monitor._run_file import MonitoredRun
from unitcircle.monitor._run_line import BATCH, COLUMNS, TALLEST

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
    from rich.table import Table

BARS = "▁▂▃▄▅▆▇█"
TREND = 16
EXPENDABLE = ("departure", "transient", "drift", "update", "gradient", "orthogonality", "norm")
"""Columns that are left out, in this order, where names would not fit."""
LARGEST = 1000
"""A width at which every table fits."""
SEVERITY = {"error": "bold red", "warning": "yellow", "note": "cyan"}


def drawable(values: np.ndarray, /) -> np.ndarray:
    """Return values with NaN, which leaves a gap, where one is not finite or too large for an axis."""
    return np.where(np.abs(values) < TALLEST, values, np.nan)


def sparkline(values: np.ndarray, /) -> str:
    """Return a curve in a few characters; a gap where it is not finite."""
    values = drawable(values)
    if len(values) > TREND:
        values = values[np.linspace(0, len(values) - 1, TREND).round().astype(int)]
    finite = values[np.isfinite(values)]
    if not len(finite):
        return ""
    low, span = float(finite.min()), float(np.ptp(finite))
    levels = (values - low) / span * (len(BARS) - 1) if span > 0 else np.where(np.isfinite(values), 0.0, np.nan)
    return "".join(BARS[round(level)] if math.isfinite(level) else " " for level in levels)


def watch_view(run: MonitoredRun, /) -> Group:
    """Return a run to print on a rich console: where it is, a table of the weights, findings.

    Returns
    -------
    rich.console.Group
        Readable from 60 columns on.

    Examples
    --------
    >>> from rich.console import Console
    >>> from tempfile import TemporaryDirectory
    >>> from unitcircle.monitor import JsonLines, read_run
    >>> with TemporaryDirectory() as folder:
    ...     sink = JsonLines(f"{folder}/run.jsonl")
    ...     for step in range(3):
    ...         sink({"loss": 2.0 / (1 + step), "W/radius": 0.9}, step)
    ...     Console(width=80).print(watch_view(read_run(sink.path)))  # doctest: +ELLIPSIS
    Does the run find anything wrong? no finding to step 2
    ...
    step 2, 3 measurements
    loss 0.6667  ...
    """
    from rich.console import Group
    from rich.text import Text

    latest = run.newest
    line = f"step {latest['step']}, {len(run.records)} measurement{'s' * (len(run.records) != 1)}"
    if "monitor/share" in latest:
        line += f", {float(latest['monitor/share']):.2%} of the time spent measuring"
    parts: list[RenderableType] = [Text(watch_answer(run), style="bold"), Text(str(run.path)), Text(line)]
    losses = run.series("loss")[1]
    if len(losses):
        parts.append(Text(f"loss {losses[-1]:.4g}  {sparkline(losses)}"))
    if run.blocks:
        parts.append(_Weights(run))
    if run.layers:
        parts.append(_layers(run))
    for step, finding in run.findings[-5:]:
        severity = finding["severity"]
        text = Text(f"step {step}: {finding['code']} {severity} ", style=SEVERITY.get(severity, ""))
        parts.append(text.append(f"{place_text(finding)}: {finding['message']}", style="default"))
    if run.others:
        parts.append(Text(f"the run of the last line; {others_text(run)}", style="dim"))
    if run.unreadable:
        parts.append(Text(f"{run.unreadable} lines could not be read", style="dim"))
    return Group(*parts)


def watch_answer(run: MonitoredRun, /) -> str:
    """Return the first line of every report of a run: whether something was found, where, and when last."""
    step = run.newest["step"]
    if not run.findings:
        return f"Does the run find anything wrong? no finding to step {step}"
    counts = Counter(str(finding["severity"]) for _, finding in run.findings)
    order = sorted(counts, key=lambda severity: (*SEVERITY, severity).index(severity))
    words = ", ".join(f"{counts[severity]} {severity}{'s' * (counts[severity] > 1)}" for severity in order)
    last, finding = next(pair for pair in reversed(run.findings) if pair[1]["severity"] == order[0])
    return f"Does the run find anything wrong? yes: {words}; {finding['code']} in {place_text(finding)} at step {last}"


class _Weights:
    """The table of the weights, with the columns that the console has room for, so that names stay whole."""

    def __init__(self, run: MonitoredRun) -> None:
        self._run = run

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.measure import Measurement
        from rich.text import Text

        run = self._run
        metrics = [m for m in COLUMNS if any(_latest_value(run, block, m) is not None for block in run.blocks)]
        expendable = [metric for metric in EXPENDABLE if metric in metrics]
        left_out: list[str] = []
        table, boundless = _table(self._run, metrics), options.update(max_width=LARGEST)
        while expendable and Measurement.get(console, boundless, table).maximum > options.max_width:
            left_out.append(expendable.pop(0))
            table = _table(self._run, [metric for metric in metrics if metric not in left_out])
        yield table
        if left_out:
            yield Text(f"no room for {', '.join(COLUMNS[metric] for metric in left_out)}", style="dim")


def _table(run: MonitoredRun, metrics: Sequence[str]) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("weight", overflow="fold", min_width=12)
    for metric in metrics:
        table.add_column(COLUMNS[metric], justify="right", no_wrap=True)
    table.add_column("ρ over time", no_wrap=True)
    for block in run.blocks:
        cells = [number_text(_latest_value(run, block, metric)) for metric in metrics]
        table.add_row(block, *cells, sparkline(run.series(f"{block}/radius")[1]))
    return table


def _latest_value(run: MonitoredRun, block: str, metric: str) -> Any:
    """Return the latest value of a metric; of the departure, which is not always measured, the last one measured."""
    name = f"{block}/{metric}"
    return run.latest(name) if metric == "departure" else run.newest.get(name)


def _layers(run: MonitoredRun) -> Table:
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"batch, step {run.batch_step}", overflow="fold", min_width=12)
    for title in BATCH.values():
        table.add_column(title, justify="right")
    for layer in run.layers:
        table.add_row(layer, *(number_text(run.latest(f"{layer}/{metric}")) for metric in BATCH))
    return table


def others_text(run: MonitoredRun, /) -> str:
    """Return how many other runs the file holds, as text."""
    return f"the file holds {run.others} other run{'s' if run.others > 1 else ''}"


def place_text(finding: Mapping[str, Any], /) -> str:
    """Return layer and gate of a finding."""
    gate = f"[{finding['gate']}]" if finding["gate"] else ""
    return f"{finding['layer']}{gate}" or "model"


def number_text(value: Any, /) -> str:
    """Return a number to three digits; nothing for None."""
    return "" if value is None else f"{float(value):.3g}"
