"""Rule UC108, polynomial-growth."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import powers_of_one_weight
from unitcircle.spectra import Asymptotics


@rule("UC108", "polynomial-growth")
def polynomial_growth(exam: Examination) -> Iterator[Finding]:
    """A defective eigenvalue on the unit circle: Wᵗ grows like a power of t.

    ## What was found
    The recurrent weight of a plain cell has spectral radius 1, and an eigenvalue of modulus 1 with fewer eigenvectors
    than its multiplicity. ‖Wᵗ‖ grows like t, t², ... although no eigenvalue lies outside the circle.

    ## Why it matters
    A weight with ρ = 1 keeps a norm bounded only if every eigenvalue on the circle is also semisimple.

    ## Remedy
    Scale the weight so that ρ is slightly below 1, or replace it by an orthogonal one, which is always semisimple.
    """
    for layer in powers_of_one_weight(exam):
        for gate, s in layer.spectra.items():
            if s.asymptotics.verdict is not Asymptotics.GROWS:
                continue
            growth = float(layer.log_norms[gate][-1])
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                "ρ = 1 with a defective eigenvalue on the unit circle: "
                f"‖W^{exam.steps}‖ = {math.exp(min(growth, 700)):.3g}",
                "powers of this weight grow without bound although ρ = 1",
                "scale ρ below 1, or use an orthogonal weight",
                {"radius": float(s.radius), "log_norm": growth, "steps": exam.steps},
                action={"recurrent": "orthogonal"},
            )
