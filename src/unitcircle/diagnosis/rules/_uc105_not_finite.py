"""Rule UC105, not-finite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._lost_decay import law_of
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import LinearRecurrence


@rule("UC105", "not-finite")
def not_finite(exam: Examination) -> Iterator[Finding]:
    """A weight or bias holds NaN or infinity.

    ## What was found
    At least one stored number of the layer is not finite. No other measurement was made on this layer.

    ## Why it matters
    One NaN in a recurrent weight makes every hidden state NaN after one step. The training run that wrote this
    file diverged before it was saved. In a linear recurrence an `A_log` of −inf leaves a finite λ = 1: the head never
    decays, and never learns to, because the derivative of exp(A_log) is 0 there.

    ## Remedy
    Go back to an earlier checkpoint, lower the learning rate or clip the gradient, and stop training when the loss is
    not finite.
    """
    for layer in exam.layers:
        if layer.finite:
            continue
        linear = layer.layer.linear
        counts = ", ".join(f"{count} in {name}" for name, count in layer.not_finite.items())
        yield Finding(
            Severity.ERROR,
            layer.place(),
            f"entries that are NaN or infinite: {counts}",
            *_damage(linear),
            {"not_finite": dict(layer.not_finite)},
        )


def _damage(linear: LinearRecurrence | None) -> tuple[str, str]:
    """Return why entries that are not finite matter, and what to do."""
    bad = [] if linear is None else [name for name, x in linear.parameters.items() if not np.isfinite(x).all()]
    if linear is None or not bad:
        remedy = "go back to an earlier checkpoint; clip the gradient or lower the learning rate"
        return "one of them makes every hidden state NaN", remedy
    return "such a head neither decays nor learns to", "; ".join(law_of(linear, name) for name in bad)
