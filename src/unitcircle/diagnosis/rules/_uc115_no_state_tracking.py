"""Rule UC115, no-state-tracking."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers


@rule("UC115", "no-state-tracking", status="preview", kind="expressivity")
def no_state_tracking(exam: Examination) -> Iterator[Finding]:
    """What no weights of such a layer can compute: its eigenvalues are real, or not negative, for every input.

    ## What was found
    The range of the eigenvalues of the transition over all inputs, where it limits what a layer can compute. In
    Mamba, Mamba-2, RWKV 4 to 6, GLA, HGRN, RG-LRU and mLSTM the equation fixes it to (0, 1). In the delta rule β = σ(b)
    gives [0, 1], and β = 2 σ(b) (`allow_neg_eigval`) [−1, 1]; which of them a model uses stands in its configuration,
    which is read where it lies beside the weights, and not in the weights.

    ## Why it matters
    A finite number of layers with eigenvalues in [0, 1] cannot compute the parity of a sequence of any length, nor
    count modulo 3; a layer with real eigenvalues, negative ones included, cannot count modulo 3 where its transitions
    commute (Grazzi et al., "Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues", 2024, arXiv
    2411.12537, theorems 1 and 2). Tomita's language 5 is two parities, his language 6 counts modulo 3. This is of the
    kind *expressivity*: a limit of what the architecture computes at every length, and no defect of these weights.
    Layers of other kinds beside it (attention, a nonlinear cell) are not limited by it, and language modelling may not
    need it.

    ## Remedy
    None is needed, unless the task must track a state: then eigenvalues in (−1, 1), products of several Householder
    factors, rotations, or a nonlinear recurrence.
    """
    for layer, linear in linear_layers(exam):
        if linear.family.rotates or linear.range is None:
            continue
        low, high = linear.range
        negative = low < 0
        why = (
            "one such layer cannot count modulo 3, at every length; parity is in its range"
            if negative
            else "such layers cannot compute parity, nor count modulo 3, at every length"
        )
        remedy = "none needed; for state tracking: " + (
            "several Householder factors a token, or rotations"
            if negative
            else "eigenvalues in (−1, 1), as with allow_neg_eigval of a delta rule, or rotations"
        )
        yield Finding(
            Severity.NOTE,
            layer.place(),
            f"{linear.family.name}: real eigenvalues from {low:.3g} to {high:.3g} over all inputs",
            why,
            remedy,
            {"family": linear.family.name, "range": [low, high], "complex": False},
        )
