"""A statement of a text about contenders, and the claim that follows when they are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from unitcircle.experiments.comparison import Group, Standing, plot_learning_curves, plot_seeds
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._judgement import Evidence, follows, number, with_interval

CAPTION = "Left: every seed; right: mean score on validation data, 95 % interval. Dotted: baseline; dashed: threshold."


@dataclass(frozen=True)
class Statement:
    """A statement about contenders: that the others are better, or worse, than a reference."""

    name: str
    title: str
    text: str  # What the source says
    reference: str  # Label of a contender
    others: tuple[str, ...]  # Labels
    others_are: Standing = Standing.BETTER


def claim_of(
    statement: Statement,
    groups: Mapping[str, Group],
    measured: str,
    /,
    *,
    figures: Mapping[str, Callable[[], Figure]] | None = None,
    data: Mapping[str, Any] | None = None,
) -> Claim:
    """Return what follows for a statement from judged groups by heading; every row of the others is one comparison."""
    evidence = [
        Evidence(", ".join(filter(None, (row.label, heading))), _sign(row.verdict, statement.others_are))
        for heading, group in groups.items()
        for row in group.rows
        if row.label in statement.others
    ]
    verdict, condition = follows(evidence)
    labels = (statement.reference, *statement.others)
    return Claim(
        statement.name,
        statement.title,
        statement.text,
        measured,
        verdict,
        [row for heading, group in groups.items() for row in table(heading or group.title, group)],
        curves(groups, labels) if figures is None else figures,
        data or {},
        condition,
    )


def _sign(verdict: Standing, expected: Standing) -> int:
    """Return 1 for the expected standing, −1 for the contrary, 0 where the data cannot tell."""
    return 0 if verdict not in {Standing.BETTER, Standing.WORSE} else 1 if verdict is expected else -1


def sentence(heading: str, group: Group, /) -> str:
    """Return what each row of a judged group reached, in a sentence."""
    results = ", ".join(
        f"{row.label} {with_interval(row.mean, row.interval)}"
        + ("" if row.verdict is Standing.REFERENCE else f" ({row.verdict}, p = {number(row.p_holm)})")
        for row in group.rows
    )
    steps, seeds = max(group.rows[0].curve.steps, default=0), len(group.rows[0].seeds)
    baseline = "" if math.isnan(group.baseline) else f", baseline {number(group.baseline)}"
    return f"{heading}, {steps:.0f} steps, {seeds} seeds, {group.unit}{baseline}: {results}."


def table(heading: str, group: Group, /) -> list[dict[str, Any]]:
    """Return the rows of a judged group for a page, with their differences to the reference."""
    by_steps = group.rank_by == "steps"
    can_be_solved = not math.isnan(group.threshold)
    return [
        {
            "task": f"{heading}: {group.unit}",
            "contender": row.label,
            "rate": number(row.learning_rate),
            "score": with_interval(row.mean, row.interval),
            "worst": number(row.worst),
            "solved": f"{row.solved}/{len(row.seeds)}" if can_be_solved else "",
            "steps to it": number(row.median_steps).replace("∞", "never") if can_be_solved else "",
            "difference": ("× " if by_steps and not math.isnan(row.difference) else "")
            + with_interval(row.difference, row.difference_interval),
            "p (Holm)": "" if math.isnan(row.p_holm) else number(row.p_holm),
            "verdict": str(row.verdict),
        }
        for row in group.rows
    ]


def curves(groups: Mapping[str, Group], labels: Sequence[str], /) -> dict[str, Callable[[], Figure]]:
    """Return caption → figure of every group; a label has one colour in all of them."""
    return {f"{heading}. {CAPTION}": partial(_curves_and_seeds, group, labels) for heading, group in groups.items()}


def _curves_and_seeds(group: Group, labels: Sequence[str]) -> Figure:
    """Draw the result of every seed, and the learning curves."""
    figure = Figure(figsize=(8.2, 0.22 * len(group.rows) + 2.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_seeds(group, labels=labels, ax=left)
    plot_learning_curves(group, labels=labels, ax=right)
    if not group.higher_is_better:
        # The loss before training is far above all others and would flatten them.
        later = [mean for row in group.rows for mean in row.curve.mean[1:]]
        top = group.baseline if group.baseline > 0 else max(later, default=1.0)
        if min(later, default=top) < top / 10:
            right.set(yscale="log", ylim=(None, 2 * top))
        else:
            right.set_ylim(0, 1.5 * top)
    return figure
