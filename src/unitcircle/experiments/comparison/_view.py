"""A comparison of initializers in a terminal of 80 columns: ranked tables and sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from unitcircle.experiments.comparison._numbers import Numbers
from unitcircle.experiments.comparison._result import Comparison, Group, Standing
from unitcircle.experiments.comparison._sentences import study_answer, study_sentences

if TYPE_CHECKING:
    from rich import console
    from rich.console import RenderableType
    from rich.table import Table

STYLES = {Standing.BETTER: "green", Standing.WORSE: "red", Standing.REFERENCE: "bold", Standing.NOISE: "dim"}
MARKS = {Standing.BETTER: "▲", Standing.WORSE: "▼"}


def progress_line(comparison: Comparison, /) -> str:
    """Return one line that says how much of a study is complete."""
    failed = f", {comparison.failed:,} failed" if comparison.failed else ""
    if not comparison.missing:
        return f"complete: {comparison.present:,} runs{failed}"
    return (
        f"partial: {comparison.present:,} of {comparison.planned:,} runs{failed}, "
        f"{comparison.missing:,} missing; the comparison uses the finished runs"
    )


def study_view(comparison: Comparison, /) -> console.Group:
    """Return a comparison to print on a rich console.

    Parameters
    ----------
    comparison
        The comparison.

    Returns
    -------
    rich.console.Group
        For each group a ranked table and sentences that state the result.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> from rich.console import Console
    >>> Console(width=80).print(study_view(comparison))  # doctest: +ELLIPSIS
    Is an initializer better than default? yes: orthogonal
    demo
    complete: 18 runs
    ...
    """
    from rich import console
    from rich.text import Text

    parts: list[RenderableType] = [Text(study_answer(comparison)[1], style="bold"), Text(comparison.name)]
    if comparison.description:
        parts.append(Text(" ".join(comparison.description.split())))
    parts.append(Text(progress_line(comparison)))
    for group in comparison.groups:
        parts += [Text(""), Text(group.title, style="bold"), Text(score_line(group), style="dim")]
        parts.append(_table(group, comparison))
        parts.append(_bullets(study_sentences(group, comparison)))
    parts += [Text(""), Text(legend(comparison), style="dim")]
    return console.Group(*parts)


def study_progress_view(comparison: Comparison, /) -> console.Group:
    """Return the progress of a study, to print on a rich console.

    Parameters
    ----------
    comparison
        Comparison of the finished runs.

    Returns
    -------
    rich.console.Group
        For each row the chosen learning rate and the number of finished, diverged and failed runs.

    Examples
    --------
    Of the comparison in the example of :func:`compare`:

    >>> from rich.console import Console
    >>> Console(width=80).print(study_progress_view(comparison))  # doctest: +ELLIPSIS
    demo
    complete: 18 runs
    ...
     orthogonal               0.001       6/6                    0.113
    ...
    """
    from rich import box, console
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
    return console.Group(*parts)


def _bullets(lines: Sequence[str]) -> Table:
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1, 0, 0))
    for line in lines:
        grid.add_row("-", Text(line))
    return grid


def score_line(group: Group, /) -> str:
    """Return one line that says how a group is scored."""
    unit = f"{group.unit} ({group.signature})" if group.signature else group.unit
    facts = [f"score: {unit}, {'higher' if group.higher_is_better else 'lower'} is better"]
    if not math.isnan(group.baseline):
        facts.append(f"baseline {group.baseline:.4g}")
    if not math.isnan(group.threshold):
        facts.append(f"solved at {group.threshold:.4g}")
    ranking = "" if group.rank_by == "score" else "; ranked by steps to that"
    return ", ".join(facts) + ranking


def _table(group: Group, comparison: Comparison) -> Table:
    from rich import box
    from rich.table import Table

    by_steps = group.rank_by == "steps"
    write = Numbers(group)
    level = f"{100 * comparison.confidence:g} %"
    headings = ("median", level, "slowest") if by_steps else ("mean", level, "worst")
    # rich drops columns that do not fit, and scores may have five decimals: one space between columns, labels folded.
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
    """Return the meaning of the marks and of the last columns of the tables."""
    steps = any(group.rank_by == "steps" for group in comparison.groups)
    ratio = " (of steps: median ratio, ×0 and ×∞ where one never reached the threshold)" if steps else ""
    return (
        f"▲ better, ▼ worse than {comparison.reference}, the reference; no mark: not significant; ~: the "
        f"difference is no larger than between the reference and itself. Differences{ratio} are paired by seed; "
        f"p: paired permutation test, corrected by Holm within a table. * smallest or largest of the rates tried."
    )
