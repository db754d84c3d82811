"""Rule UC116, endless-memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import ENDLESS, head_memory, listed, tokens
from unitcircle.diagnosis._lost_decay import law_of
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers

if TYPE_CHECKING:
    from unitcircle.dynamics import TokenMemory


@rule("UC116", "endless-memory", status="preview")
def endless_memory(exam: Examination) -> Iterator[Finding]:
    """A head of a linear recurrence never decays, although its decay is a parameter.

    ## What was found
    The memory of some heads at rest is above five million tokens: exp(A_log) or the step at rest is so small that
    nothing is ever forgotten.

    ## Why it matters
    Such a head adds up everything it reads. The gradient of the decay is proportional to its rate, so that the head
    does not learn to forget either.

    ## Remedy
    Draw the parameters of these heads again, from the law that the finding states. Families whose decay is fixed by
    design (RetNet, lightning attention, the delta rule without a gate) are not reported, and the bounded gate of KDA,
    which its inputs open, only by a note. On a batch, heads that forget on its tokens are not reported.
    """
    for layer, linear in linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None or not memory.endless or linear.family.fixed or not linear.family.laws:
            continue
        heads = layer.heads_on_tokens(memory.endless, _is_endless)
        if not heads:
            continue
        yield Finding(
            Severity.NOTE if linear.family.shut else Severity.WARNING,
            layer.place(),
            f"{len(heads)} of {linear.units} {memory.unit}s never decay ({memory.unit} "
            f"{listed(heads)}): memory at rest {tokens(memory.longest)} tokens",
            "such a head sums up all it reads, and the gradient of its decay vanishes with the rate",
            "; ".join(law_of(linear, parameter) for parameter in linear.family.laws if parameter in linear.parameters),
            {"heads": list(heads), **memory.to_dict()},
        )


def _is_endless(memory: TokenMemory) -> np.ndarray:
    """Return of each head whether its decay alone leaves everything over the longest lag on the tokens of a batch."""
    lag, share = max(memory.survival.items())
    return share > math.exp(-lag / ENDLESS)
