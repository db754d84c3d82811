"""Cells held against each other: one study a cell, then paired tests across their rows."""

from __future__ import annotations

__all__ = ["CONFIDENCE", "Contender", "Contest", "contest"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from unitcircle.experiments.models import Cell
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.studies import Experiment, Study
from unitcircle.experiments.studies._contest import Contest as Judge
from unitcircle.report._comparison import Group, Row

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Contender:
    """A cell with its initializer.

    Attributes
    ----------
    label
        In tables and figures.
    cell
        Specification.
    initializer
        Of the recurrent weight, or of it and the bias, as in a study; any where the cell has none.
    options
        Attributes of its runs that differ from those of the experiment.
    """

    label: str
    cell: str
    initializer: str = "torch_default"
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Contest:
    """What contenders of several cells reached on one task.

    Attributes
    ----------
    group
        Task, unit, baseline, threshold.
    rows
        In the order of the contenders, not held against each other yet.
    note
        What tells it from another contest on the same task.
    """

    group: Group
    rows: tuple[Row, ...]
    note: str = ""

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
    """Train contenders of several cells on one task.

    Parameters
    ----------
    context
        Decides where the results are, and how many seeds there are.
    name
        Of the studies, one for all contenders of one cell and options.
    contenders
        Each with its own learning rate, chosen on validation data.
    experiment
        Task, sizes, learning rates and options; the cells are those of the contenders.
    tuning_seeds
        That choose the learning rate of a quick run; 3 in a full one.
    note
        What tells it from another contest on the same task.

    Returns
    -------
    Contest
        As far as its runs are there.
    """
    groups: list[Group] = []
    alike: dict[tuple[str, str], list[Contender]] = {}
    for contender in contenders:
        alike.setdefault((contender.cell, repr(sorted(contender.options.items()))), []).append(contender)
    for (cell, _), members in alike.items():
        options = dict(experiment.options) | dict(members[0].options)
        study = Study(
            "-".join([name, Cell.parse(cell).name, *map(str, chain(*sorted(members[0].options.items())))]),
            {member.label: member.initializer for member in members},
            (replace(experiment, cells=(cell,), options=options),),
            seeds=context.pick(7, 10),
            tuning_seeds=context.pick(tuning_seeds, 3),
            twin=False,
        )
        groups += context.study(context.seeded(study), here=True).groups
    rows = {row.label: row for group in groups for row in group.rows}
    return Contest(groups[0], tuple(rows[c.label] for c in contenders), note)
