"""The eigen initializer against its rivals, fairly tuned: convergence and final score."""

from __future__ import annotations

from unitcircle.errors import UnitcircleError
from unitcircle.experiments.comparison import Comparison, Standing, study_sentences
from unitcircle.experiments.tasks import Task
from unitcircle_reproduction._claim import Claim, Verdict
from unitcircle_reproduction._statement import Statement, claim_of, curves
from unitcircle_reproduction.eigen._studies import EIGEN

RIVALS = ("Xavier", "Kaiming", "IRNN", "np-RNN")
"""What the text says it outperforms; sp-RNN we read as np-RNN. Haar and torch's default are ours."""


def outperforms(name: str, title: str, text: str, /, *comparisons: Comparison, note: str = "") -> Claim:
    """Return the claim that the eigen initializer converges faster, or ends better, than its rivals."""
    pairs = [(comparison, group) for comparison in comparisons for group in comparison.groups]
    groups = {group.title: group for _, group in pairs}
    assert len(groups) == len(pairs), "every group needs a title of its own"
    sentences = [f"{group.title}: {' '.join(study_sentences(group, comparison))}" for comparison, group in pairs]
    signatures = "; ".join(dict.fromkeys(group.signature for group in groups.values() if group.signature))
    counted = f"{pairs[0][1].unit}: {signatures}." if signatures else ""
    figures = [curves({group.title: group}, comparison.labels) for comparison, group in pairs]
    return claim_of(
        Statement(name, title, text, EIGEN, RIVALS, Standing.WORSE),
        groups,
        " ".join(filter(None, [*sentences, counted, note])),
        figures={caption: draw for drawn in figures for caption, draw in drawn.items()},
        data={"comparisons": [comparison.to_dict() for comparison in comparisons]},
    )


def unavailable(name: str, title: str, statement: str, task: str, /) -> Claim | None:
    """Return a claim that says why a task cannot be run here, None where its data are there."""
    try:
        next(iter(Task.parse(task).held_out("validation")))
    except UnitcircleError as error:
        return Claim(
            name, title, statement, f"Not run: {error}", Verdict.TOO_FEW, condition="not run: the data are not here"
        )
    return None
