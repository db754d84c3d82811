"""Contests with several looks: more pairs are trained only while a comparison is open."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from unitcircle.experiments.comparison import Group, Row, Standing
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._equivalence import Decision, Plan, difference_p
from unitcircle_reproduction._judgement import CONFIDENCE, Evidence, follows, number, with_interval
from unitcircle_reproduction._statement import PART, Statement, curves, edge

LOOKS = (5, 10)
"""Pairs at which a contest is looked at."""


class _Looked(NamedTuple):
    plan: Plan
    pairs: list[float]  # Differences to the reference, in order of the seeds
    decision: Decision


def claim_by_looks(
    statement: Statement,
    train: Callable[[int], Mapping[str, Group]],
    remark: str,
    /,
    *,
    looks: tuple[int, ...] = LOOKS,
) -> Claim:
    """Return the claim of a statement about losses on tasks, from as many looks as it takes."""
    # train: number of pairs → groups by heading; asked for more as long as a comparison is open. The level of 5 % is
    # shared by all comparisons, and by the looks of each (Bonferroni). Margin: a tenth of the baseline.
    count = 0
    looked: dict[tuple[str, str], _Looked] = {}
    groups: Mapping[str, Group] = {}
    for count in looks:
        groups = train(count)
        looked = {
            (heading, other): _look(statement, group, other, looks, len(groups) * len(statement.others))
            for heading, group in groups.items()
            for other in statement.others
        }
        if not any(each.decision.open for each in looked.values()):
            break
    expected = 1 if statement.others_are is Standing.WORSE else -1
    evidence = [
        Evidence(
            f"{other}, {heading}",
            expected * each.decision.sign,
            each.decision.equivalent,
            each.plan.needed(each.pairs) if each.decision.open else float("nan"),
        )
        for (heading, other), each in looked.items()
    ]
    verdict, condition = follows(evidence, margin=f"margin declared beforehand: {PART:g} of the baseline")
    labels = (statement.reference, *statement.others)
    rows = [
        _row(heading, group, row, looked.get((heading, row.label)))
        for heading, group in groups.items()
        for row in _rows(group, labels)
    ]
    found = " ".join(_sentence(heading, group, labels, looked) for heading, group in groups.items())
    return Claim(
        statement.name,
        statement.title,
        statement.text,
        f"{found} Looked at after {' and '.join(map(str, looks))} pairs, at most; all stopped after {count}. {remark}",
        verdict,
        rows,
        curves(groups, labels),
        condition=condition,
    )


def _look(statement: Statement, group: Group, other: str, looks: tuple[int, ...], comparisons: int) -> _Looked:
    """Return what the pairs so far say of one comparison; runs worse than the baseline, or diverged, count as it."""
    assert not group.higher_is_better, "a contest by looks compares losses"
    scores = [
        np.minimum(np.nan_to_num(row.scores, nan=group.baseline), group.baseline)
        for row in _rows(group, (statement.reference, other))
    ]
    pairs = (scores[1] - scores[0]).tolist()
    plan = Plan(looks, PART * group.baseline, (1 - CONFIDENCE) / comparisons)
    return _Looked(plan, pairs, plan.decide(pairs, difference_p))


def _rows(group: Group, labels: tuple[str, ...]) -> list[Row]:
    rows = {row.label: row for row in group.rows}
    return [rows[label] for label in labels]


def _standing(looked: _Looked | None) -> str:
    if looked is None:
        return "reference"
    sign, equivalent, pairs = looked.decision.sign, looked.decision.equivalent, looked.decision.pairs
    words = "worse" if sign > 0 else "better" if sign < 0 else "no practical difference" if equivalent else ""
    return f"{words} ({pairs} pairs)" if words else f"not told apart ({pairs} pairs)"


def _sentence(heading: str, group: Group, labels: tuple[str, ...], looked: Mapping[tuple[str, str], _Looked]) -> str:
    results = ", ".join(
        f"{row.label} {with_interval(row.mean, row.interval)}"
        + (f" ({_standing(looked[heading, row.label])})" if (heading, row.label) in looked else "")
        for row in _rows(group, labels)
    )
    steps = max(group.rows[0].curve.steps, default=0)
    return f"{heading}, {steps:.0f} steps, {group.unit}, baseline {number(group.baseline)}: {results}."


def _row(heading: str, group: Group, row: Row, looked: _Looked | None) -> dict[str, str]:
    return {
        "task": f"{heading}: {group.unit}",
        "contender": row.label,
        "rate": number(row.learning_rate) + edge(row),
        "loss": with_interval(row.mean, row.interval),
        "worst": number(row.worst),
        "solved": f"{row.solved}/{len(row.seeds)}",
        "steps to it": number(row.median_steps).replace("∞", "never"),
        "diverged": f"{row.diverged}/{len(row.seeds)}",
        "verdict": _standing(looked),
    }
