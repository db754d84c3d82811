"""A comparison of initializers as one self-contained HTML page."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING

from unitcircle._files import written_whole
from unitcircle.experiments.comparison._figures import ROW, WIDTH, Chart, chart_title, charts, draw_chart
from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Row, Standing
from unitcircle.experiments.comparison._sentences import study_sentences
from unitcircle.experiments.comparison._view import legend, progress_line, score_line
from unitcircle.report import FIGURE_RC, inline_svg, page, render, style, table

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure


def study_page(comparison: Comparison, path: str | os.PathLike[str], /) -> Path:
    """Write a comparison as one HTML page that needs no network.

    Parameters
    ----------
    comparison
        The comparison.
    path
        The HTML file; it is written atomically.

    Returns
    -------
    pathlib.Path
        The path written.
    """
    hover: dict[str, list[str]] = {}
    body = render(
        "unitcircle.experiments.comparison/page.html",
        name=comparison.name,
        description=comparison.description,
        progress=progress_line(comparison),
        charts=[
            (
                chart_title(chart),
                _figure(chart, comparison, f"chart{k}", hover),
                [_group(group, comparison, group.title if chart[0] else "") for group in chart[1]],
            )
            for k, chart in enumerate(charts(comparison))
        ],
        legend=legend(comparison),
    )
    document = page(f"unitcircle study: {comparison.name}", body, hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _group(group: Group, comparison: Comparison, heading: str) -> tuple[str, str, Markup, list[str]]:
    """Return heading, score, table and sentences of a group."""
    return heading, score_line(group), _table(group, comparison), study_sentences(group, comparison)


def _table(group: Group, comparison: Comparison) -> Markup:
    level = f"{100 * comparison.confidence:g}\N{NO-BREAK SPACE}%"
    rows = [_cells(row, group, level) for row in group.rows]
    # A column that is empty in every row is left out.
    headings = [heading for heading in rows[0] if any(cells[heading] for cells in rows)]
    rows = [{heading: cells[heading] for heading in headings} for cells in rows]
    return table(rows, names=["initializer"], words=["verdict"])


def _cells(row: Row, group: Group, level: str) -> dict[str, str]:
    write = Numbers(group)
    by_steps = group.rank_by == "steps"
    reference = row.verdict is Standing.REFERENCE
    edge = "*" if row.at_edge else ""
    remark = " (within noise)" if row.within_noise and row.verdict in {Standing.BETTER, Standing.WORSE} else ""
    steps = f"{write.steps(row.median_steps)} {write.interval(row.steps_interval, write.steps)}"
    solved = f"{row.solved}/{len(row.seeds)} {write.interval(row.success, '{:.2f}'.format)}"
    mean = {f"mean [{level}]": f"{write.score(row.mean)} {write.interval(row.interval, write.score)}"}
    median_steps = {f"median steps [{level}]": "" if math.isnan(group.threshold) else steps}
    return {
        "initializer": row.label,
        "verdict": f"{row.verdict}{remark}",
        "rate": "–" if math.isnan(row.learning_rate) else f"{row.learning_rate:g}{edge}",
        **(median_steps if by_steps else mean),
        f"to the reference [{level}]": "" if reference else f"{write.difference(row)} {write.difference_interval(row)}",
        "p": write.p(row.p),
        "p, Holm": write.p(row.p_holm),
        "Cliff's δ": "" if reference or math.isnan(row.effect) else f"{row.effect:+.2f}".replace("-", "−"),
        f"solved [{level}]": "" if math.isnan(group.threshold) else solved,
        "median": write.score(row.median),
        "worst": write.score(row.worst),
        "std": write.score(row.deviation),
        **(mean if by_steps else median_steps),
        "diverged": f"{row.diverged or ''}",
    }


def _figure(chart: Chart, comparison: Comparison, prefix: str, hover: dict[str, list[str]]) -> Markup:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(WIDTH, ROW), layout="constrained")
        draw_chart(figure, chart, comparison.labels)
        if not chart[0]:
            _mark(figure, chart[1][0], prefix, hover)
        return inline_svg(figure, label=chart_title(chart))


def _mark(figure: Figure, group: Group, prefix: str, hover: dict[str, list[str]]) -> None:
    """Name the artists of seeds and learning curves, and add the texts shown when hovering over them."""
    write = Numbers(group)
    seeds, curves = figure.axes[:2]
    values = [row.steps if group.rank_by == "steps" else row.scores for row in group.rows]
    text = write.steps if group.rank_by == "steps" else write.score
    for k, (row, dots) in enumerate(zip(group.rows, seeds.collections, strict=False)):
        if row.seeds:
            gid = f"{prefix}-seeds{k}"
            dots.set_gid(gid)
            hover[gid] = [f"{row.label}, seed {s}: {text(v)}" for s, v in zip(row.seeds, values[k], strict=True)]
    lines = {line.get_label(): line for line in curves.get_lines()}
    for k, row in enumerate(group.rows):
        if row.label in lines:
            gid = f"{prefix}-curve{k}"
            lines[row.label].set_gid(gid)
            points = zip(row.curve.steps, row.curve.mean, strict=True)
            hover[gid] = [f"{row.label}, step {s:,.0f}: {write.score(m)}" for s, m in points if math.isfinite(m)]
