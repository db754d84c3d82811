"""Contenders of several cells trained on one task: one study a cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from unitcircle.experiments.comparison import Group
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.studies import Experiment, Study
from unitcircle_reproduction._contest import Contest
from unitcircle_reproduction._context import Context

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


def contest(
    context: Context,
    name: str,
    contenders: Sequence[Contender],
    experiment: Experiment,
    /,
    *,
    tuning_seeds: int = 1,
    note: str = "",
) -> Contest:
    """Train contenders of several cells on one task."""
    groups: list[Group] = []
    alike: dict[tuple[str, str], list[Contender]] = {}
    for contender in contenders:
        alike.setdefault((contender.cell, repr(sorted(contender.options.items()))), []).append(contender)
    for (cell, _), members in alike.items():
        options = dict(experiment.options) | dict(members[0].options)
        study = Study(
            "-".join([name, TrainableCell.parse(cell).name, *map(str, chain(*sorted(members[0].options.items())))]),
            initializers={member.label: member.initializer for member in members},
            experiments=(replace(experiment, cells=(cell,), options=options),),
            seeds=context.pick(*SEEDS),
            tuning_seeds=context.pick(tuning_seeds, 3),
            twin=False,
        )
        groups += context.study(context.seeded(study), here=True).groups
    rows = {row.label: row for group in groups for row in group.rows}
    return Contest(groups[0], tuple(rows[c.label] for c in contenders), note)
