"""A statement of a text about contenders, and the claim that follows when they are compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unitcircle.experiments.comparison import Group, Row, Standing, plot_learning_curves, plot_seeds
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._equivalence import equivalence_p, pairs_needed
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval

CAPTION = "Left: every seed; right: mean score on validation data, 95 % interval. Dotted: baseline; dashed: threshold."


FACTOR, POINTS, BLEU, PART = 1.25, 0.05, 1.0, 0.1
"""Margins within which there is no practical difference: a factor of steps, accuracy, BLEU, part of the baseline."""


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
        _evidence(", ".join(filter(None, (row.label, heading))), statement, group, row)
        for heading, group in groups.items()
        for row in group.rows
        if row.label in statement.others
    ]
    margins = dict.fromkeys(filter(None, (_margin(group)[1] for group in groups.values())))
    verdict, condition = follows(evidence, margin=f"margin declared beforehand: {'; '.join(margins)}")
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


def _evidence(name: str, statement: Statement, group: Group, row: Row) -> Evidence:
    """Return what one row says of a statement; where nothing is told apart, whether it is equivalent."""
    sign, (margin, _) = _sign(row.verdict, statement.others_are), _margin(group)
    reference = next((other for other in group.rows if other.label == statement.reference), None)
    if sign or reference is None or math.isnan(margin):
        return Evidence(name, sign)
    differences, level = _differences(group, row, reference), 1 - CONFIDENCE
    known = differences[np.isfinite(differences)]
    deviation = float(known.std(ddof=1)) if len(known) > 1 else math.inf
    equivalent = equivalence_p(differences.tolist(), margin) < level
    return Evidence(name, 0, equivalent, pairs_needed(deviation, margin, level))


def _margin(group: Group) -> tuple[float, str]:
    """Return the margin of a group's differences, of steps that of their logarithm, and the margin in words."""
    if group.rank_by == "steps":
        return math.log(FACTOR), f"a factor of {FACTOR:g} in the steps"
    if group.higher_is_better:
        points = BLEU if group.signature else POINTS
        return points, f"{points:g} of {group.unit}"
    return PART * group.baseline, "" if math.isnan(group.baseline) else f"{PART:g} of the baseline's {group.unit}"


def _differences(group: Group, row: Row, reference: Row) -> np.ndarray:
    """Return the differences of the pairs, of steps those of their logarithms; NaN where neither got there."""
    pairs = sorted(set(row.seeds) & set(reference.seeds))
    by_steps = group.rank_by == "steps"
    values, others = (
        np.array([dict(zip(r.seeds, r.steps if by_steps else r.scores, strict=True))[seed] for seed in pairs])
        for r in (row, reference)
    )
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.log(values) - np.log(others) if by_steps else values - others


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
            "rate": number(row.learning_rate) + edge(row),
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


def edge(row: Row, /) -> str:
    """Return a mark where the rate of a row is the smallest or the largest that was tried; nothing else."""
    tried = row.tuning
    return " (edge)" if len(tried) > 1 and row.learning_rate in {min(tried), max(tried)} else ""


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
