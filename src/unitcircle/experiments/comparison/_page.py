"""A comparison of initializers as one self-contained HTML page."""

from __future__ import annotations

import math
import os
import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from unitcircle._files import written_whole
from unitcircle.experiments.comparison._figures import ROW, WIDTH, Chart, chart_title, charts, draw_chart
from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Row, Standing
from unitcircle.experiments.comparison._sentences import study_sentences
from unitcircle.experiments.comparison._view import legend, progress_line, score_line
from unitcircle.report import FIGURE_RC, inline_svg, page, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEFT = ("initializer", "verdict")


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
    parts = [f"<h1>{escape(comparison.name)}</h1>"]
    if comparison.description:
        parts.append(f"<p>{escape(comparison.description)}</p>")
    parts.append(f'<p class="soft">{escape(progress_line(comparison))}</p>')
    drawn = charts(comparison)
    for k, chart in enumerate(drawn):
        factor, groups = chart
        parts.append(f"<h2>{escape(chart_title(chart))}</h2>")
        parts.append(_figure(chart, comparison, f"chart{k}", hover))
        for group in groups:
            if factor:
                parts.append(f"<h3>{escape(group.title)}</h3>")
            parts += [f'<p class="soft">{escape(score_line(group))}</p>', _table(group, comparison)]
            lines = "".join(f"<li>{escape(line)}</li>" for line in study_sentences(group, comparison))
            parts.append(f"<ul>{lines}</ul>")
    if not drawn:
        parts.append("<p>No run is there yet.</p>")
    parts.append(f'<p class="soft">{escape(legend(comparison))}</p>')
    document = page(f"unitcircle study: {comparison.name}", "\n".join(parts), hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _table(group: Group, comparison: Comparison) -> str:
    level = f"{100 * comparison.confidence:g} %"
    rows = [_cells(row, group, level) for row in group.rows]
    # A column that is empty in every row is left out.
    names = [name for name in rows[0] if any(cells[name] for cells in rows)]
    head = "".join(f"<th{_side(name)}>{escape(name)}</th>" for name in names)
    body = "".join(
        "<tr>" + "".join(f"<td{_side(name)}>{escape(cells[name])}</td>" for name in names) + "</tr>" for cells in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _side(name: str) -> str:
    return ' class="word name"' if name == LEFT[0] else ' class="word"' if name in LEFT else ""


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


def _figure(chart: Chart, comparison: Comparison, prefix: str, hover: dict[str, list[str]]) -> str:
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with style(), rc_context(FIGURE_RC):
        figure = Figure(figsize=(WIDTH, ROW), layout="constrained")
        draw_chart(figure, chart, comparison.labels)
        if not chart[0]:
            _mark(figure, chart[1][0], prefix, hover)
        svg = inline_svg(figure, label=chart_title(chart))
    # matplotlib repeats every text in a comment, unescaped; labels come from the user's file.
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    return f"<figure>{svg}</figure>"


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
