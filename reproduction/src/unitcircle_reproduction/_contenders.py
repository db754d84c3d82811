"""Contenders of several cells trained on one task: one study for each cell."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from unitcircle.experiments.comparison import Group, Row, judge
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.studies import Experiment, Study
from unitcircle_reproduction._claim import Claim
from unitcircle_reproduction._context import Context
from unitcircle_reproduction._judgement import CONFIDENCE
from unitcircle_reproduction._statement import Statement, claim_of, sentence, table

SEEDS = (8, 10)
"""In short and in full: with eight pairs the smallest p is 1/128, which Holm's correction of six tests lets pass."""


@dataclass(frozen=True)
class Contender:
    """A cell with its initializer."""

    label: str  # In tables and figures
    cell: str  # Specification
    # Of the recurrent weight, or of it and the bias, as in a study; any where the cell has none.
    initializer: str = "torch_default"
    # Attributes of its runs that differ from those of the experiment.
    options: Mapping[str, Any] = field(default_factory=dict)


def contenders(
    context: Context,
    name: str,
    members: Sequence[Contender],
    experiment: Experiment,
    /,
    *,
    tuning_seeds: int = 1,
    pairs: int | None = None,
) -> Group:
    """Train contenders of several cells on one task."""
    groups: list[Group] = []
    by_cell: dict[tuple[str, str], list[Contender]] = {}
    for member in members:
        by_cell.setdefault((member.cell, repr(sorted(member.options.items()))), []).append(member)
    for (cell, _), alike in by_cell.items():
        options = dict(experiment.options) | dict(alike[0].options)
        parts = [name, TrainableCell.parse(cell).name, *map(str, chain(*sorted(alike[0].options.items())))]
        study = Study(
            # A name of a folder: an initializer among the options has characters that none may have.
            re.sub(r"[^\w.-]+", "-", "-".join(parts)).rstrip("-"),
            initializers={member.label: member.initializer for member in alike},
            experiments=(replace(experiment, cells=(cell,), options=options),),
            seeds=pairs or context.pick(*SEEDS),
            tuning_seeds=tuning_seeds if experiment.further_rates else context.pick(tuning_seeds, 3),
            twin=False,
        )
        groups += context.study(context.seeded(study), here=True).groups
    rows = {row.label: row for group in groups for row in group.rows}
    return replace(groups[0], rows=tuple(rows[member.label] for member in members))


def judge_groups(groups: Mapping[str, Group], reference: str, others: Sequence[str], /) -> dict[str, Group]:
    """Return the groups, reference first, the others compared with it: Holm's correction over all groups."""
    chosen = [replace(group, rows=_chosen(group, reference, others)) for group in groups.values()]
    return dict(zip(groups, judge(*chosen, reference=reference, confidence=CONFIDENCE), strict=True))


def _chosen(group: Group, reference: str, others: Sequence[str]) -> tuple[Row, ...]:
    """Return the rows of the reference and of the others, in this order."""
    rows = {row.label: row for row in group.rows}
    return (rows[reference], *(row for label, row in rows.items() if label in others))


def claim_on(statement: Statement, groups: Mapping[str, Group], remark: str, /, *, beside: Sequence[str] = ()) -> Claim:
    """Return the claim that follows for a statement from groups by heading, with their results in words."""
    # beside: contenders of which the source says nothing; held against the reference as a family of their own.
    judged = judge_groups(groups, statement.reference, statement.others)
    sentences = [sentence(heading, group) for heading, group in judged.items()]
    claim = claim_of(statement, judged, " ".join([*sentences, remark]))
    rows = [
        row
        for heading, group in judge_groups(groups, statement.reference, beside).items()
        for row in table(heading, group)
        if row["contender"] in beside
    ]
    return replace(claim, table=[*claim.table, *rows])
