"""Rule UC211, step-not-carried."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import carried_best, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers
from unitcircle.diagnosis.rules._task import HALF, near
from unitcircle.report import factor

FACTOR = 3
"""By so much a remedy must bring the change nearer to 1."""
LOST = 10
"""By so much the gradient must change: less is learned from, since the optimizer divides by its size."""


@rule("UC211", "step-not-carried", status="preview")
def step_not_carried(exam: Examination) -> Iterator[Finding]:
    """A plain cell carries less to the step that tells the target than with a remedy, or more than it should.

    ## What was found
    On a batch of 32 sequences or more that has a target, the inputs of a few steps in a row foretell at least half of
    the target (each sequence from the others), the nearest of them at least 10 steps before the end. The Jacobian back
    to that step was averaged over the sequences, for 8 random cotangents of the last state that are the same for all.
    Its norm changes by the factor that is reported, and with a remedy from the list, measured on the same batch, by one
    that is at least three times nearer to 1 (the modulus of its logarithm, mean over three draws). A change by less
    than 10 is no finding: an optimizer that divides by the size of the gradient makes up for it. UC201 looks for a
    norm that is lost in each sequence; here the norms may be kept, and cancel.

    ## Why it matters
    The weights are shared by all sequences, so training follows the mean of their gradients. A ReLU network of Gaussian
    weights with gain 1.5 and a target 40 steps back had sequences whose gradients kept their norm and disagreed, or
    grew: four of five stayed at the error of a constant answer, and all five learned with identity weights. A tanh
    network of orthogonal weights, of whose gradient 1/100 was left, had four times the error of one of block rotations;
    one of which 1/5 was left, with its target 10 to 14 steps back, learned (.049, with the first remedy .039)
    (docs/results/verdicts.md).

    ## Remedy
    The initialization that was measured to carry most, as reported: for ReLU mostly `recurrent="identity"`, else
    `recurrent="block_rotation"`. A gated cell, or reading the state nearer to that step, avoids the question.
    """
    for layer, live in live_layers(exam):
        carrying, best = live.carrying, carried_best(layer, exam.steps)
        if carrying is None or best is None or near(exam) < HALF:  # what is beyond reach is judged by UC201
            continue
        now, (action, then) = carrying(layer.layer), best
        if abs(now) < math.log(LOST) or then + math.log(FACTOR) > abs(now):
            continue
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"steps from {carrying.lag} back on tell the target, and the mean gradient of the sequences changes by "
            f"{factor(now)} on its way there; with the remedy by no more than ×{math.exp(then):.2g} or its reciprocal",
            "training follows the mean of the sequences' gradients, and this one is lost, cancels or grows",
            initialize_call(layer, **action),
            {"lag": carrying.lag, "change": now, "after": then},
            action=action,
        )
