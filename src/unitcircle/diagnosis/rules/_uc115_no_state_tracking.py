"""Rule UC115, no-state-tracking."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers


@rule("UC115", "no-state-tracking", on_request=True, status="preview")
def no_state_tracking(exam: Examination) -> Iterator[Finding]:
    """For information, with `--select UC115`: the eigenvalues of a layer are real and not negative for every input.

    ## What was found
    The transition of this family has eigenvalues in [0, 1] whatever the input is. Some are fixed by the equation
    (Mamba, Mamba-2, RWKV 4 to 6, GLA, RG-LRU, mLSTM); in the delta rule β = 2 σ(b) (`allow_neg_eigval`) would widen the
    range to (−1, 1), and whether a model uses it stands in its configuration, not in its weights.

    ## Why it matters
    A finite number of such layers cannot compute the parity of a sequence of any length, and layers with real
    eigenvalues only cannot count modulo 3 (Grazzi et al., "Unlocking State-Tracking in Linear RNNs Through Negative
    Eigenvalues", 2024, arXiv 2411.12537, theorems 1 and 2). This is a limit of what the architecture computes at every
    length, not a defect, and language modelling may not need it. Tomita's languages 5 and 6 need it.

    ## Remedy
    None is needed, unless the task must track a state: then eigenvalues in (−1, 1), products of several Householder
    factors, rotations, or a nonlinear recurrence.
    """
    for layer, linear in linear_layers(exam):
        low, high = linear.family.range
        if low >= 0 and not linear.family.rotates:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"{linear.family.name}: eigenvalues in [{low:g}, {high:g}] for every input",
                "such layers cannot compute the parity of sequences of any length",
                "none needed; for state tracking: eigenvalues in (−1, 1), as with allow_neg_eigval of a delta rule",
                {"family": linear.family.name, "range": [low, high]},
            )
