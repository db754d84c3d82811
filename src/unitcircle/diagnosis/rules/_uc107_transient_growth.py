"""Rule UC107, transient-growth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import powers_of_one_weight

TRANSIENT = 10.0
"""Transient growth by more than this factor is reported."""


@rule("UC107", "transient-growth")
def transient_growth(exam: Examination) -> Iterator[Finding]:
    """The weight is strongly non-normal: ρ < 1, but Wᵗ grows by more than a factor of 10 before it decays.

    ## What was found
    The recurrent weight of a plain cell has spectral radius below 1, and the largest ‖Wᵗ‖ over the length T exceeds
    10. The eigenvectors are far from orthogonal, so the spectral radius says little about finite t.

    ## Why it matters
    A gradient can grow by that factor within the length you train on, although ρ implies decay for large t.
    Non-normal growth can be intended (a delay line has only transient behaviour); then keep it, and clip the gradient.

    ## Remedy
    A normal weight (orthogonal, block rotations) has no transient: ‖Wᵗ‖ = ρᵗ. Otherwise scale by the Kreiss constant
    or the numerical radius rather than by ρ.
    """
    for layer in powers_of_one_weight(exam):
        for gate, logs in layer.log_norms.items():
            radius, peak = float(layer.spectra[gate].radius), int(np.argmax(logs))
            if radius >= 1 or logs[peak] < math.log(TRANSIENT):
                continue
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                f"ρ = {radius:.3f} < 1, but ‖Wᵗ‖ grows to {math.exp(min(logs[peak], 700)):.3g} at step {peak}",
                "within that length a gradient grows, although the spectral radius is below 1",
                "a normal weight (orthogonal, block_rotation) has no transient growth; if it is intended, clip the "
                "gradient",
                {"radius": radius, "peak_norm_log": float(logs[peak]), "peak_step": peak},
                action={"recurrent": "orthogonal"},
            )
