"""Rule UC209, detached-state."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers
from unitcircle.diagnosis.rules._task import HALF, after_mending, near


@rule("UC209", "detached-state", status="preview")
def detached_state(exam: Examination) -> Iterator[Finding]:
    """The model detaches its state within the sequence: no gradient passes that step.

    ## What was found
    A call of the layer began with the last state of an earlier call, and autograd does not connect the two: `detach()`,
    `.data`, `torch.no_grad()` or a copy through NumPy lies between them. From that step back the gradient of a loss on
    the last state is exactly 0. The finding is a warning where the length asked for is longer than what is left, unless
    what is left tells half of the target or more (UC201); else a note.

    ## Why it matters
    Nothing before the last such step can be learned from the end of the sequence, whatever the weights are: neither
    initialization nor training lengthens the reach. This is what truncated backpropagation through time is for; within
    one training step it is often left over from a loop over batches.

    ## Remedy
    Detach the state between training steps only, or at least as many steps apart as the dependencies to be learned are
    long. Where the weights lose the gradient as well (1/1000 is left before the length, at the rate measured up to the
    cut), initialize them besides: two networks whose target was the first of 20 inputs learned nothing by the one
    without the other (docs/results/verdicts.md). Where the truncation is meant, pass its length: `steps=`.
    """
    for layer, live in live_layers(exam):
        if live.cut is None:
            continue
        severe = exam.steps > live.cut and not near(exam) >= HALF
        action, then = after_mending(exam, layer) if severe else ({}, "")
        where = f"at {live.links} places" if live.links > 1 else f"at step {live.steps - live.cut}"
        yield Finding(
            Severity.WARNING if severe else Severity.NOTE,
            layer.place(),
            f"the model detaches the state {where} of {live.steps}: the gradient is exactly 0 beyond {live.cut} steps "
            "back",
            "nothing before that step can be learned from the end of the sequence, whatever the weights are",
            f"detach the state between training steps only{then}; where it is meant, pass its length as steps=",
            {"cut": live.cut, "links": live.links, "steps": live.steps},
            action=action,
        )
