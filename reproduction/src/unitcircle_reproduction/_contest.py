"""Contenders held against one of them on some tasks: what the page says, shows and concludes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from unitcircle.experiments.comparison import Group, Judge, Row, Standing, holm, plot_learning_curves, plot_seeds
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._judgement import CONFIDENCE, Compared, follows, number, told, with_interval


@dataclass(frozen=True, eq=False)
class Contest:
    """What contenders of several cells reached on one task."""

    group: Group  # Task, unit, baseline, threshold
    rows: tuple[Row, ...]  # In the order of the contenders, not held against each other yet
    note: str = ""  # What tells it from another contest on the same task

    @property
    def title(self) -> str:
        """The task, and the note if there is one."""
        return self.group.task.removesuffix("()") + (f", {self.note}" if self.note else "")

    def against(self, label: str, others: Iterable[str], /) -> list[Row]:
        """Return one row, then others, with their paired differences to it and verdicts (Holm over the others)."""
        wanted = {label, *others}
        rows = [row for row in self.rows if row.label in wanted]
        rows.sort(key=lambda row: row.label != label)
        judge = Judge(self.group.rank_by == "steps", self.group.higher_is_better, CONFIDENCE)
        return judge.all_against(rows, label, "")


@dataclass(frozen=True)
class Statement:
    """What is said of contenders: that others are better, or worse, than one of them."""

    name: str  # name, title, statement: As in :class:`Claim`
    title: str
    statement: str
    reference: str  # reference, others: Labels of contenders
    others: tuple[str, ...]
    others_are: Standing = Standing.BETTER  # What the others are said to be


def judged(said: Statement, contests: Sequence[Contest], remark: str = "", /) -> Claim:
    """Return the claim that a statement makes of some contests, with what they gave."""
    held = _corrected([found.against(said.reference, said.others) for found in contests])
    compared: list[Compared] = []
    sentences: list[str] = []
    rows: list[dict[str, Any]] = []
    figures: dict[str, Any] = {}
    for found, own in zip(contests, held, strict=True):
        for row in own[1:]:
            sign = 0 if row.verdict is Standing.UNDECIDED else 1 if row.verdict is said.others_are else -1
            compared.append(Compared(f"{row.label}, {found.title}", sign))
        shown = replace(found.group, rows=tuple(own))
        rows += table(found.title, shown)
        sentences.append(_sentence(found, own))
        labels = (said.reference, *said.others)
        figures[f"{found.title}. {CAPTION}"] = partial(curves_and_seeds, shown, labels)
    verdict, condition = follows(compared)
    measured = " ".join(filter(None, [*sentences, remark]))
    return Claim(said.name, said.title, said.statement, measured, verdict, rows, figures, condition=condition)


def _corrected(held: Sequence[Sequence[Row]]) -> list[list[Row]]:
    """Return the rows with p-values and verdicts corrected for the comparisons of all contests together."""
    others = [row for own in held for row in own[1:]]
    signs = [{Standing.BETTER: 1, Standing.WORSE: -1}.get(row.verdict, 0) for row in others]
    apart = told(signs, [row.p for row in others])
    kept = iter(zip(others, apart, holm([row.p for row in others]), strict=True))
    return [
        [own[0], *(
            replace(row, p_holm=p, verdict=row.verdict if sign else Standing.UNDECIDED)
            for row, sign, p in (next(kept) for _ in own[1:])
        )]
        for own in held
    ]  # fmt: skip


def _sentence(found: Contest, held: Sequence[Row]) -> str:
    each = ", ".join(
        f"{row.label} {with_interval(row.mean, row.interval)}"
        + ("" if row.verdict is Standing.REFERENCE else f" ({row.verdict}, p = {number(row.p_holm)})")
        for row in held
    )
    steps, seeds = max(held[0].curve.steps, default=0), len(held[0].seeds)
    baseline = "" if math.isnan(found.group.baseline) else f", baseline {number(found.group.baseline)}"
    return f"{found.title}, {steps:.0f} steps, {seeds} seeds, {found.group.unit}{baseline}: {each}."


def table(title: str, group: Group, /) -> list[dict[str, Any]]:
    """Return the rows of a group for a page, with their differences to the reference."""
    by_steps = group.rank_by == "steps"
    can_be_solved = not math.isnan(group.threshold)
    return [
        {
            "task": f"{title}: {group.unit}",
            "contender": row.label,
            "rate": number(row.learning_rate),
            "score": with_interval(row.mean, row.interval),
            "worst": number(row.worst),
            "solved": f"{row.solved}/{len(row.seeds)}" if can_be_solved else "",
            "steps to it": number(row.median_steps).replace("∞", "never") if can_be_solved else "",
            "difference": ("× " if by_steps and not math.isnan(row.difference) else "")
            + with_interval(row.difference, row.difference_interval),
            "p (Holm)": "" if math.isnan(row.p_holm) else number(row.p_holm),
            "told": str(row.verdict),
        }
        for row in group.rows
    ]


CAPTION = "Left: every seed; right: mean score on validation data, 95 % interval. Dotted: baseline; dashed: threshold."


def curves_and_seeds(group: Group, labels: Sequence[str], /) -> Figure:
    """Draw the result of every seed, and the learning curves."""
    figure = Figure(figsize=(8.2, 0.22 * len(group.rows) + 2.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_seeds(group, labels=labels, ax=left)
    plot_learning_curves(group, labels=labels, ax=right)
    if not group.higher_is_better:
        # The first loss says nothing and hides the others.
        later = [mean for row in group.rows for mean in row.curve.mean[1:]]
        top = group.baseline if group.baseline > 0 else max(later, default=1.0)
        if min(later, default=top) < top / 10:
            right.set(yscale="log", ylim=(None, 2 * top))
        else:
            right.set_ylim(0, 1.5 * top)
    return figure
