"""The eigen initializer against its rivals, fairly tuned: convergence and final score."""

from __future__ import annotations

__all__ = ["against", "contest", "unavailable"]

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from matplotlib.figure import Figure

from unitcircle.errors import UnitcircleError
from unitcircle.experiments.reproduce._claim import Claim, Verdict
from unitcircle.experiments.reproduce.eigen._studies import EIGEN
from unitcircle.experiments.tasks import Task
from unitcircle.report import Comparison, Group, Row, plot_learning_curves, plot_seeds
from unitcircle.report import Verdict as Found
from unitcircle.report._study_sentences import study_sentences

RIVALS = {"Xavier", "Kaiming", "IRNN", "np-RNN"}
"""What the source says it outperforms; sp-RNN we read as np-RNN. Haar and torch's default are ours."""


def against(groups: Iterable[Group], /) -> tuple[Verdict, str]:
    """Judge "outperforms": from the verdicts of the rivals' rows, each held against the eigen initializer.

    A rival that is worse counts for the claim, one that is better against it; one that cannot be told does not count
    for it. It holds where the eigen initializer is better than every rival in every group.

    Parameters
    ----------
    groups
        Of studies whose reference is the eigen initializer.

    Returns
    -------
    tuple
        The verdict and its condition.
    """
    rows = [(group, row) for group in groups for row in group.rows if row.seeds and _is_rival(group, row)]
    beaten = [_named(*pair) for pair in rows if pair[1].verdict is Found.WORSE]
    ahead = [_named(*pair) for pair in rows if pair[1].verdict is Found.BETTER]
    count = f"of {len(rows)} comparisons with the rivals it is better in {len(beaten)}, worse in {len(ahead)}"
    if not rows:
        return Verdict.UNDECIDED, "no run is there"
    if len(beaten) == len(rows):
        return Verdict.HOLDS, ""
    if not beaten:
        return Verdict.FAILS, f"{count}; the rest cannot be told apart"
    return Verdict.CONDITIONALLY, f"{count}: better than {', '.join(beaten)}"


def _is_rival(group: Group, row: Row) -> bool:
    # The identity in a ReLU-RNN is the IRNN.
    return row.label in RIVALS or (row.label == "identity" and group.factors["cell"] == "relu")


def _named(group: Group, row: Row) -> str:
    return f"{row.label} ({group.task}, {group.factors['cell']})"


def contest(name: str, title: str, statement: str, comparison: Comparison, /, *, note: str = "") -> Claim:
    """Return the claim that the eigen initializer converges faster, or ends better, than its rivals.

    Parameters
    ----------
    name, title, statement
        Of the claim.
    comparison
        Of a study whose reference is the eigen initializer.
    note
        A sentence about the protocol.

    Returns
    -------
    Claim
        With the rows of every group.
    """
    verdict, condition = against(comparison.groups)
    said = " ".join(f"{group.title}: {' '.join(study_sentences(group, comparison))}" for group in comparison.groups)
    return Claim(
        name,
        title,
        statement,
        f"{said} {note}".strip(),
        verdict,
        condition=condition,
        table=[row for group in comparison.groups for row in rows_of(group)],
        figures={
            f"{group.title}. Left: every seed; right: mean validation score with its interval.": partial(
                _figure, group, comparison.labels
            )
            for group in comparison.groups
        },
        data={"comparison": comparison.to_dict()},
    )


def rows_of(group: Group, /) -> list[dict[str, Any]]:
    """Return the rows of a group for a table.

    Parameters
    ----------
    group
        The group.

    Returns
    -------
    list of dict
        Setting, initializer, rate, results, difference, verdict against the eigen initializer.
    """
    return [
        {
            "task": group.task,
            "cell": str(group.factors["cell"]),
            "input scale": group.input_scale,
            "initializer": row.label,
            "rate": row.learning_rate,
            "seeds": len(row.seeds),
            "mean test score": row.mean,
            "worst": row.worst,
            "median steps to threshold": row.median_steps,
            "solved": f"{row.solved}/{len(row.seeds)}",
            f"against {EIGEN}": str(row.verdict),
            "p (Holm)": row.p_holm,
        }
        for row in group.rows
    ]


def _figure(group: Group, labels: Sequence[str]) -> Figure:
    figure = Figure(figsize=(8.2, 0.22 * len(group.rows) + 2.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    plot_seeds(group, labels=labels, ax=left)
    plot_learning_curves(group, labels=labels, ax=right)
    return figure


def unavailable(name: str, title: str, statement: str, task: str, /) -> Claim | None:
    """Return a claim that says why a task cannot be run here, None where its data are there.

    Parameters
    ----------
    name, title, statement
        Of the claim.
    task
        Specification.

    Returns
    -------
    Claim or None
        UNDECIDED, with the reason.
    """
    try:
        next(iter(Task.parse(task).held_out("validation")))
    except UnitcircleError as error:
        return Claim(name, title, statement, f"Not run: {error}", Verdict.UNDECIDED, condition="the data are not here")
    return None
