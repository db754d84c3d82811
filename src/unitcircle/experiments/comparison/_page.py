"""A comparison of initializers as one self-contained HTML page."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from unitcircle._files import written_whole
from unitcircle.experiments.comparison._figures import (
    ROW,
    WIDTH,
    Chart,
    chart_title,
    charts,
    draw_chart,
    plot_learning_curves,
    plot_learning_rates,
    plot_seeds,
)
from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Interval, Row, Standing
from unitcircle.experiments.comparison._sentences import study_answer, study_sentences
from unitcircle.experiments.comparison._view import legend, progress_line, score_line
from unitcircle.report import FIGURE_RC, inline_svg, page, render, style, table

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

PANEL = 4.4
"""Inches of a panel: with letters to read, no wider than two phones."""
VERDICTS = {Standing.WORSE: "error", Standing.UNDECIDED: "unknown", Standing.BETTER: "good"}
"""Standings against the reference → the colours and marks that a page has for them."""


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

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     text = study_page(comparison, f"{folder}/study.html").read_text(encoding="utf-8")
    >>> "yes: orthogonal" in text, "<script src=" in text
    (True, False)
    """
    hover: dict[str, list[str]] = {}
    addresses = {id(row): f"row-{k}-{j}" for k, g in enumerate(comparison.groups) for j, row in enumerate(g.rows)}
    drawn = charts(comparison)
    shown = [(row, group) for _, groups in drawn for group in groups for row in group.rows if row.verdict in VERDICTS]
    found = [VERDICTS[row.verdict] for row, _ in shown]
    counts = [(color, f"{found.count(color)} {name}") for name, color in VERDICTS.items() if color in found]
    verdict, answer = study_answer(comparison)
    body = render(
        "unitcircle.experiments.comparison/page.html",
        answer=answer,
        verdict={"yes": "good", "no": "note"}.get(verdict, "unknown"),
        name=comparison.name,
        description=comparison.description,
        progress=progress_line(comparison),
        tiles=[
            (VERDICTS[row.verdict], row.label, addresses[id(row)], f"{row.verdict}, {group.title}")
            for row, group in shown
        ],
        meanings=counts,
        charts=[
            (
                chart_title(chart),
                _figures(chart, comparison, f"chart{k}", hover),
                [_group(group, comparison, group.title if chart[0] else "", addresses) for group in chart[1]],
            )
            for k, chart in enumerate(drawn)
        ],
        legend=legend(comparison),
    )
    document = page(f"unitcircle study: {comparison.name}", body, hover)
    with written_whole(path) as file:
        file.write(document.encode())
    return Path(path)


def _group(
    group: Group, comparison: Comparison, heading: str, addresses: Mapping[int, str]
) -> tuple[str, str, Markup, list[str]]:
    """Return heading, score, table and sentences of a group."""
    return heading, score_line(group), _table(group, comparison, addresses), study_sentences(group, comparison)


def _table(group: Group, comparison: Comparison, addresses: Mapping[int, str]) -> Markup:
    level = f"{100 * comparison.confidence:g}\N{NO-BREAK SPACE}%"
    rows = [_cells(row, group, level, addresses[id(row)]) for row in group.rows]
    # A column that is empty in every row is left out.
    headings = [heading for heading in rows[0] if any(cells[heading] for cells in rows)]
    rows = [{heading: cells[heading] for heading in headings} for cells in rows]
    return table(rows, names=["initializer"], words=["verdict"], caption=f"Initializers, {group.title}")


def _cells(row: Row, group: Group, level: str, address: str) -> dict[str, str | Markup]:
    from markupsafe import Markup

    write = _Lines(group)
    by_steps = group.rank_by == "steps"
    reference = row.verdict is Standing.REFERENCE
    edge = "*" if row.at_edge else ""
    remark = " (within noise)" if row.within_noise and row.verdict in {Standing.BETTER, Standing.WORSE} else ""
    steps = f"{write.steps(row.median_steps)} {write.interval(row.steps_interval, write.steps)}"
    solved = f"{row.solved}/{len(row.seeds)} {write.interval(row.success, '{:.2f}'.format)}"
    mean = {f"mean [{level}]": f"{write.score(row.mean)} {write.interval(row.interval, write.score)}"}
    median_steps = {f"median steps [{level}]": "" if math.isnan(group.threshold) else steps}
    verdict = f"{row.verdict}{remark}"
    color = VERDICTS.get(row.verdict)
    # The columns that decide come first.
    return {
        "initializer": Markup('<span id="{}">{}</span>').format(address, row.label),
        "verdict": render("unitcircle.report/mark.html", verdict=color, words=verdict) if color else verdict,
        f"to the reference [{level}]": "" if reference else f"{write.difference(row)} {write.difference_interval(row)}",
        "p, Holm": write.p(row.p_holm),
        **(median_steps if by_steps else mean),
        f"solved [{level}]": "" if math.isnan(group.threshold) else solved,
        "rate": "–" if math.isnan(row.learning_rate) else f"{row.learning_rate:g}{edge}",
        "p": write.p(row.p),
        "Cliff's δ": "" if reference or math.isnan(row.effect) else f"{row.effect:+.2f}".replace("-", "−"),
        "median": write.score(row.median),
        "worst": write.score(row.worst),
        "std": write.score(row.deviation),
        **(mean if by_steps else median_steps),
        "diverged": f"{row.diverged or ''}",
    }


class _Lines(Numbers):
    """The numbers of one group as text that breaks between a value and its interval only."""

    def interval(self, interval: Interval, write: Callable[[float], str], /) -> str:
        return super().interval(interval, write).replace(" ", "\N{NO-BREAK SPACE}")


def _figures(chart: Chart, comparison: Comparison, prefix: str, hover: dict[str, list[str]]) -> list[Markup]:
    """Return a figure for each panel of a chart, which stand below one another where there is little room."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with style(), rc_context(FIGURE_RC):
        if chart[0]:
            figure = Figure(figsize=(WIDTH, ROW), layout="constrained")
            draw_chart(figure, chart, comparison.labels)
            return [inline_svg(figure, label=chart_title(chart))]
        (group,) = chart[1]
        panels = [plot_seeds, plot_learning_curves]
        panels += [plot_learning_rates] if any(row.tuning for row in group.rows) else []
        figures = [Figure(figsize=(PANEL, ROW), layout="constrained") for _ in panels]
        for draw, figure in zip(panels, figures, strict=True):
            draw(group, labels=comparison.labels, ax=figure.subplots())
        _mark(figures[0].axes[0], figures[1].axes[0], group, prefix, hover)
        return [inline_svg(figure, label=f"{group.title}: {figure.axes[0].get_title()}") for figure in figures]


def _mark(seeds: Axes, curves: Axes, group: Group, prefix: str, hover: dict[str, list[str]]) -> None:
    """Name the artists of seeds and learning curves, and add the texts shown when hovering over them."""
    write = Numbers(group)
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
