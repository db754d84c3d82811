"""Rule UC118, one-token-memory."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._head_memory import head_memory, listed, tokens
from unitcircle.diagnosis._lost_decay import law_of, lost_parameters
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers


@rule("UC118", "one-token-memory", status="preview")
def one_token_memory(exam: Examination) -> Iterator[Finding]:
    """At least half of the heads of a linear recurrence forget in one token.

    ## What was found
    In these heads no eigenvalue at rest keeps 1/1000 of a write over one token.

    ## Why it matters
    A head that forgets in one token is no recurrence: the layer computes from the current token, and from its short
    convolution where it has one. A sign or a logarithm that was lost in the decay does this.

    ## Remedy
    Draw the parameters again, from the law that the finding states. On a batch, heads that remember its tokens are not
    reported.
    """
    for layer, linear in linear_layers(exam):
        memory = head_memory(layer.layer)
        if memory is None or 2 * len(memory.momentary) < linear.units or lost_parameters(linear):
            continue
        if linear.family.nonlinear:  # its inputs decide
            continue
        heads = layer.heads_on_tokens(memory.momentary, lambda tokens: tokens.survival[1] <= LOST)
        if 2 * len(heads) < linear.units:
            continue
        laws = [law_of(linear, parameter) for parameter in linear.family.laws if parameter in linear.parameters]
        yield Finding(
            Severity.WARNING,
            layer.place(),
            f"{len(heads)} of {linear.units} {memory.unit}s forget in one token ({memory.unit} "
            f"{listed(heads)}); longest memory {tokens(memory.longest)} tokens",
            "a head that keeps nothing over one token is no recurrence",
            "; ".join(laws) or "raise the bias of the forget gate",
            {"heads": list(heads), **memory.to_dict()},
        )
