"""The table of measurements in the terminal, at any width: names are folded, numbers never cropped."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unitcircle.diagnosis._examination import LayerExamination
from unitcircle.report import factor

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.table import Table

HEADINGS = ("layer", "cell", "n", "gate", "radius", "norm", "departure")
LEGEND = "radius: ρ, the largest |λ|; norm: σ₁, the largest stretch; departure: from normality"
MOST_LAYERS = 40
"""Layers in the table; the page and the JSON have all."""
GAP = 2
"""Blanks between two columns of the table, one of which the box draws."""
NARROWEST = 12
"""A name that would get fewer columns stands on a line of its own, above its numbers."""
Row = tuple[str, ...]


def fate(layer: LayerExamination, /) -> str:
    """Return what a layer does over T steps, in a few words."""
    if not layer.finite:
        return "not finite"
    what, change = _change(layer)
    return "not measured" if math.isnan(change) else f"{what} {factor(change)}"


def distance_from_carrying(layer: LayerExamination, /) -> float:
    """Return by how many nats what a layer does over T steps differs from keeping all; infinity where not finite."""
    if not layer.finite:
        return math.inf
    _, change = _change(layer)
    return 0.0 if math.isnan(change) else abs(change)


def _change(layer: LayerExamination) -> tuple[str, float]:
    """Return what of a layer changes over T steps, and by how many nats; NaN where that was not measured."""
    if layer.unmeasured:
        return "", math.nan
    if layer.live is not None:
        return "gradient", layer.live.change(layer.steps)
    if layer.tokens is not None:
        within = layer.tokens.lags <= layer.steps
        return "best head", float(layer.tokens.log_norms[within][-1].max())
    if layer.layer.diagonal is not None:
        return "slowest", layer.slowest_rate * layer.steps
    return ("", math.nan) if layer.driven is None else ("state", float(layer.driven.log_growth[-1]))


@dataclass(frozen=True)
class MeasurementsTable:
    """The measurements of layers, for a rich console."""

    layers: Sequence[LayerExamination]
    steps: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield one table, or where the names would get too little room, a heading and a table for each layer."""
        from rich.cells import cell_len
        from rich.text import Text

        headings = (*HEADINGS, f"over {self.steps} steps")
        shown = self.layers[:MOST_LAYERS]
        rows = [row for layer in shown for row in _rows(layer)]
        widths = [max(map(cell_len, column)) for column in zip(headings, *rows, strict=True)]
        room = options.max_width - sum(widths[1:]) - GAP * (len(widths) - 1)
        if room >= min(widths[0], NARROWEST):
            yield _table(headings, rows, [min(widths[0], room), *widths[1:]])
        else:
            for layer in shown:
                yield Text(_heading(layer), overflow="fold")
                yield _table(headings[3:], [row[3:] for row in _rows(layer)], widths[3:])
        if left := len(self.layers) - len(shown):
            yield Text(f"and {left} further layer{'s' * (left > 1)}: --html and --json have all")


def _heading(layer: LayerExamination) -> str:
    size = layer.size if layer.layer.linear is not None else f"{layer.size} units"
    return f"{layer.layer.label} ({layer.kind}, {size})"


def _table(headings: Row, rows: Sequence[Row], widths: Sequence[int]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, GAP - 1, 0, 0), show_edge=False)
    for heading, width in zip(headings, widths, strict=True):
        words = heading in {"layer", "cell", "gate"} or heading.startswith("over")
        table.add_column(heading, justify="left" if words else "right", overflow="fold", width=width)
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _rows(layer: LayerExamination) -> list[Row]:
    recurrent = layer.layer
    first = (recurrent.label, layer.kind, layer.size)
    if recurrent.diagonal is not None:
        gates = [("λ", f"{np.abs(recurrent.diagonal).max():.4f}", "", "")]
    else:
        gates = [
            (gate, f"{s.radius:.3f}", f"{s.norm:.3f}", f"{s.departure_from_normality:.2f}")
            for gate, s in layer.spectra.items()
        ] or [(gate, "", "", "") for gate in recurrent.gates or ("",)]
    # What holds for the whole layer stands in its first row.
    return [
        (*(first if place == 0 else ("", "", "")), *gate, fate(layer) if place == 0 else "")
        for place, gate in enumerate(gates)
    ]
