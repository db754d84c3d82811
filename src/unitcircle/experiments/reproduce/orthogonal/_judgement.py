"""What follows from contests for a statement, with its numbers and learning curves."""

from __future__ import annotations

__all__ = ["Statement", "curves_figure", "judged", "number", "table", "verdict"]

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from unitcircle.experiments.reproduce._claim import Claim, Verdict
from unitcircle.experiments.reproduce.orthogonal._contest import Contest
from unitcircle.report._comparison import Interval, Row
from unitcircle.report._comparison import Verdict as Told
from unitcircle.report._style import CYCLE, DASHES


def verdict(better: int, worse: int, total: int, /) -> tuple[Verdict, str]:
    """Return what follows for the claim that something is better, from comparisons of which some are told apart.

    Parameters
    ----------
    better, worse, total
        Comparisons that say so, that say the opposite, and all.

    Returns
    -------
    tuple
        Holds: all are better. With a condition: some are. Does not hold: none is, and one is worse. Undecided: none is
        told apart. And the condition.
    """
    if better == total:
        return Verdict.HOLDS, ""
    if better:
        rest = [f"{n} {word}" for n, word in ((worse, "worse"), (total - better - worse, "not told apart")) if n]
        return Verdict.CONDITIONALLY, f"Better in {better} of {total} comparisons, {', '.join(rest)}."
    if worse:
        return Verdict.FAILS, ""
    return Verdict.UNDECIDED, "These runs cannot tell them apart: too few seeds or steps."


@dataclass(frozen=True)
class Statement:
    """What is said of contenders: that others are better, or worse, than one of them.

    Attributes
    ----------
    name, title, statement
        As in :class:`Claim`.
    reference, others
        Labels of contenders.
    others_are
        What the others are said to be.
    """

    name: str
    title: str
    statement: str
    reference: str
    others: tuple[str, ...]
    others_are: Told = Told.BETTER


def judged(said: Statement, contests: Sequence[Contest], remark: str = "", /) -> Claim:
    """Return the claim that a statement makes of some contests, with what they gave.

    Parameters
    ----------
    said
        The statement.
    contests
        One a task; the reference is held against the others in each.
    remark
        What else is to be said of the measurement.

    Returns
    -------
    Claim
        With the rows of the reference and the others, and their learning curves.
    """
    better = worse = total = 0
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    for found in contests:
        held = found.against(said.reference, said.others)
        told = [row.verdict for row in held[1:]]
        as_said = told.count(said.others_are)
        better, total = better + as_said, total + len(told)
        worse += len(told) - as_said - told.count(Told.UNDECIDED)
        rows += table(found, held)
        sentences.append(_sentence(found, held))
    follows, condition = verdict(better, worse, total)
    caption = "Score on validation data while training: mean and 95 % interval over the seeds"
    figure = partial(curves_figure, contests, (said.reference, *said.others))
    measured = " ".join(filter(None, [*sentences, remark]))
    return Claim(said.name, said.title, said.statement, measured, follows, rows, {caption: figure}, condition=condition)


def _sentence(found: Contest, held: Sequence[Row]) -> str:
    each = ", ".join(
        f"{row.label} {_interval(row.mean, row.interval)}"
        + ("" if row.verdict is Told.REFERENCE else f" ({row.verdict}, p = {number(row.p_holm)})")
        for row in held
    )
    steps, seeds = max(held[0].curve.steps, default=0), len(held[0].seeds)
    baseline = "" if math.isnan(found.group.baseline) else f", baseline {number(found.group.baseline)}"
    return f"{found.title}, {steps:.0f} steps, {seeds} seeds, {found.group.unit}{baseline}: {each}."


def table(found: Contest, rows: Iterable[Row], /) -> list[dict[str, Any]]:
    """Return rows for a page, the reference among them if they were held against one."""
    return [
        {
            "task": found.title,
            "contender": row.label,
            "rate": number(row.learning_rate),
            f"score ({found.group.unit})": _interval(row.mean, row.interval),
            "of baseline": "" if math.isnan(found.group.baseline) else f"{row.mean / found.group.baseline:.2f}",
            "solved": f"{row.solved}/{len(row.seeds)}",
            "steps to it": number(row.median_steps).replace("∞", "never"),
            "difference": _interval(row.difference, row.difference_interval),
            "p (Holm)": "" if math.isnan(row.p_holm) else number(row.p_holm),
            "told": str(row.verdict),
        }
        for row in rows
    ]


def _interval(value: float, interval: Interval) -> str:
    return "" if math.isnan(value) else f"{number(value)} [{number(interval.low)}, {number(interval.high)}]"


def number(value: float, /) -> str:
    """Return a number in three digits."""
    return "∞" if value == math.inf else f"{value:.3g}"


def curves_figure(contests: Sequence[Contest], labels: Iterable[str], /) -> Figure:
    """Draw the validation score against the step, one panel a task.

    Parameters
    ----------
    contests
        Of :func:`contest`, all with these labels.
    labels
        Of the rows to draw.

    Returns
    -------
    Figure
        Mean and 95 % interval over the seeds, the baseline in grey.
    """
    wanted = list(labels)
    figure = Figure(figsize=(4.1 * len(contests) + 0.4, 3.6), layout="constrained")
    axes = figure.subplots(1, len(contests), squeeze=False)[0]
    for ax, found in zip(axes, contests, strict=True):
        group = found.group
        for k, row in enumerate(row for row in found.rows if row.label in wanted):
            color, dash = CYCLE[k % len(CYCLE)], DASHES[k % len(DASHES)]
            ax.plot(row.curve.steps, row.curve.mean, dash, color=color, label=row.label)
            ax.fill_between(row.curve.steps, row.curve.low, row.curve.high, color=color, alpha=0.15, lw=0)
        if not math.isnan(group.baseline):
            ax.axhline(group.baseline, color="#8A8A8A", lw=0.9, zorder=1, label="baseline")
        ax.set(xlabel="optimizer steps", ylabel=group.unit, title=found.title)
        if not group.higher_is_better:
            # The first loss says nothing and hides the others.
            later = [mean for row in found.rows if row.label in wanted for mean in row.curve.mean[1:]]
            top = group.baseline if group.baseline > 0 else max(later, default=1.0)
            if min(later, default=top) < top / 10:
                ax.set(yscale="log", ylim=(None, 2 * top))
            else:
                ax.set_ylim(0, 1.5 * top)
    handles = {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=3)
    return figure
