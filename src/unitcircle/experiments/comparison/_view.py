"""A comparison of initializers in the terminal: a ranked table and plain sentences, at 80 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Standing
from unitcircle.experiments.comparison._sentences import study_sentences

if TYPE_CHECKING:
    from rich.console import Group as RichGroup
    from rich.console import RenderableType
    from rich.table import Table

STYLES = {Standing.BETTER: "green", Standing.WORSE: "red", Standing.REFERENCE: "bold", Standing.NOISE: "dim"}
MARKS = {Standing.BETTER: "▲", Standing.WORSE: "▼"}


def progress_line(comparison: Comparison, /) -> str:
    """Return how much of a study is there."""
    failed = f", {comparison.failed:,} failed" if comparison.failed else ""
    if not comparison.missing:
        return f"complete: {comparison.present:,} runs{failed}"
    return (
        f"partial: {comparison.present:,} of {comparison.planned:,} runs{failed}, "
        f"{comparison.missing:,} missing; what is there is compared"
    )


def study_view(comparison: Comparison, /) -> RichGroup:
    """Return a comparison to print on a rich console.

    Parameters
    ----------
    comparison
        What was found.

    Returns
    -------
    rich.console.Group
        For each group a ranked table and what follows from it, in sentences.
    """
    from rich.console import Group as RichGroup
    from rich.text import Text

    parts: list[RenderableType] = [Text(comparison.name, style="bold")]
    if comparison.description:
        parts.append(Text(" ".join(comparison.description.split())))
    parts.append(Text(progress_line(comparison)))
    for group in comparison.groups:
        parts += [Text(""), Text(group.title, style="bold"), Text(measure(group), style="dim")]
        parts.append(_table(group, comparison))
        parts.append(_bullets(study_sentences(group, comparison)))
    parts += [Text(""), Text(legend(comparison), style="dim")]
    return RichGroup(*parts)


def study_progress_view(comparison: Comparison, /) -> RichGroup:
    """Return how far a study is, to print on a rich console.

    Parameters
    ----------
    comparison
        Of what is there.

    Returns
    -------
    rich.console.Group
        Row by row the chosen learning rate, the runs that are there, and what became of them.
    """
    from rich import box
    from rich.console import Group as RichGroup
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(comparison.name, style="bold"), Text(progress_line(comparison))]
    for group in comparison.groups:
        write = Numbers(group)
        parts += [Text(""), Text(group.title, style="bold")]
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
        table.add_column("initializer", overflow="fold", min_width=14, max_width=24)
        for heading in ("tuned", "rate", "reported", "diverged", "failed", "mean"):
            table.add_column(heading, justify="right", no_wrap=True)
        by_name = sorted(group.rows, key=lambda row: comparison.labels.index(row.label))
        for row in by_name:
            chosen = not math.isnan(row.learning_rate)
            table.add_row(
                row.label,
                str(sum(map(len, row.tuning.values())) or ""),
                f"{row.learning_rate:g}" if chosen else "–",
                f"{len(row.seeds)}/{len(row.seeds) + row.missing + row.failed}",
                str(row.diverged or ""),
                str(row.failed or ""),
                write.score(row.mean),
            )
        parts.append(table)
    return RichGroup(*parts)


def _bullets(lines: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row("-", Text(line))
    return grid


def measure(group: Group, /) -> str:
    """Return what the score of a group is."""
    unit = f"{group.unit} ({group.signature})" if group.signature else group.unit
    facts = [f"score: {unit}, {'higher' if group.higher_is_better else 'lower'} is better"]
    if not math.isnan(group.baseline):
        facts.append(f"baseline {group.baseline:.4g}")
    if not math.isnan(group.threshold):
        facts.append(f"solved at {group.threshold:.4g}")
    ranked = "" if group.rank_by == "score" else "; ranked by steps to that"
    return ", ".join(facts) + ranked


def _table(group: Group, comparison: Comparison) -> Table:
    from rich import box
    from rich.table import Table

    by_steps = group.rank_by == "steps"
    write = Numbers(group)
    level = f"{100 * comparison.confidence:g} %"
    headings = ("median", level, "slowest") if by_steps else ("mean", level, "worst")
    # rich drops what does not fit, and scores may have five decimals: one space apart, long names folded.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=0)
    table.add_column("initializer", overflow="fold", min_width=12, max_width=24)
    for heading in ("rate", *headings, "solved", "to ref.", "p"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in group.rows:
        edge = "*" if row.at_edge else ""
        rate = "–" if math.isnan(row.learning_rate) else f"{row.learning_rate:g}{edge}"
        if by_steps:
            numbers = (write.steps(row.median_steps), write.interval(row.steps_interval, write.steps))
            numbers += (write.steps(max(row.steps, default=math.nan)),)
        else:
            numbers = (write.score(row.mean), write.interval(row.interval, write.score), write.score(row.worst))
        solved = "" if math.isnan(group.threshold) else f"{row.solved}/{len(row.seeds)}"
        mark = MARKS.get(row.verdict, "~" if row.within_noise else "")
        to_reference = f"{mark} {write.difference(row)}".strip()
        p = write.p(row.p if row.verdict is Standing.NOISE else row.p_holm)
        table.add_row(row.label, rate, *numbers, solved, to_reference, p, style=STYLES.get(row.verdict, ""))
    return table


def legend(comparison: Comparison, /) -> str:
    """Return what the marks and the last columns of the tables mean."""
    steps = any(group.rank_by == "steps" for group in comparison.groups)
    ratio = " (of steps: median ratio, ×0 and ×∞ where one never reached the threshold)" if steps else ""
    return (
        f"▲ better, ▼ worse than {comparison.reference}, the reference; no mark: the data cannot tell; ~: no larger a "
        f"difference than between the reference and itself. Differences{ratio} are paired by seed; p: paired "
        f"permutation test, corrected by Holm within a table. * first or last of the learning rates tried."
    )
