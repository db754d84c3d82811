"""The eigen initializer against its rivals, fairly tuned: convergence and final score."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from unitcircle.errors import UnitcircleError
from unitcircle.experiments.comparison import Comparison, Group, Row, Standing, study_sentences
from unitcircle.experiments.tasks import Task
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._contest import CAPTION, curves_and_seeds, table
from unitcircle_reproduction._judgement import Compared, follows

RIVALS = {"Xavier", "Kaiming", "IRNN", "np-RNN"}
"""What the source says it outperforms; sp-RNN we read as np-RNN. Haar and torch's default are ours."""


def against(groups: Iterable[Group], /) -> tuple[Verdict, str]:
    """Judge "outperforms": from the verdicts of the rivals' rows, each held against the eigen initializer."""
    # A rival that is worse counts for the claim, one that is better against it.
    return follows(
        [
            compared(row, f"{row.label}, {group.title}")
            for group in groups
            for row in group.rows
            if row.seeds and _is_rival(group, row)
        ]
    )


def compared(row: Row, name: str, /) -> Compared:
    """Return what a row says for the eigen initializer: 1 where it is worse than that, −1 where it is better."""
    return Compared(name, {Standing.WORSE: 1, Standing.BETTER: -1}.get(row.verdict, 0))


def _is_rival(group: Group, row: Row) -> bool:
    # The identity in a ReLU-RNN is the IRNN.
    return row.label in RIVALS or (row.label == "identity" and group.factors["cell"] == "relu")


def contest(name: str, title: str, statement: str, /, *comparisons: Comparison, note: str = "") -> Claim:
    """Return the claim that the eigen initializer converges faster, or ends better, than its rivals."""
    found = [(comparison, group) for comparison in comparisons for group in comparison.groups]
    verdict, condition = against(group for _, group in found)
    counted = "; ".join(dict.fromkeys(group.signature for _, group in found if group.signature))
    said = " ".join(f"{group.title}: {' '.join(study_sentences(group, comparison))}" for comparison, group in found)
    return Claim(
        name,
        title,
        statement,
        " ".join(filter(None, [said, counted and f"{found[0][1].unit}: {counted}.", note])),
        verdict,
        condition=condition,
        table=[row for _, group in found for row in table(group.title, group)],
        figures={
            f"{group.title}. {CAPTION}": partial(curves_and_seeds, group, comparison.labels)
            for comparison, group in found
        },
        data={"comparisons": [comparison.to_dict() for comparison in comparisons]},
    )


def unavailable(name: str, title: str, statement: str, task: str, /) -> Claim | None:
    """Return a claim that says why a task cannot be run here, None where its data are there."""
    try:
        next(iter(Task.parse(task).held_out("validation")))
    except UnitcircleError as error:
        return Claim(
            name, title, statement, f"Not run: {error}", Verdict.UNDECIDED, condition="not run: the data are not here"
        )
    return None
