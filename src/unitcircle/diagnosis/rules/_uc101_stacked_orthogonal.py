"""Rule UC101, stacked-orthogonal."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._training import orthogonality_defect
from unitcircle.diagnosis.rules._task import no_remedy, worth


@rule("UC101", "stacked-orthogonal", fix="safe")
def stacked_orthogonal(exam: Examination) -> Iterator[Finding]:
    """Gates are orthogonal only as a stack: each gate block is a truncated orthogonal matrix with ρ ≈ 1/√k.

    ## What was found
    The k gate blocks of an LSTM (k = 4) or GRU (k = 3) are stored one below the other in one tensor. The whole
    stack has orthogonal columns of equal norm (SᵀS = g² I), but none of its blocks is orthogonal. This is the result of
    `torch.nn.init.orthogonal_(lstm.weight_hh_l0)` and of Keras's default `recurrent_initializer="orthogonal"`.

    ## Why it matters
    A block of a Haar orthogonal stack is a *truncated* orthogonal matrix: its eigenvalues fill a disc of radius
    1/√k (0.5 for an LSTM, 0.577 for a GRU), its singular values range from 0 to 2√((1/k)(1 − 1/k)), and it does not
    preserve norms. The intended property, ρ = 1 and all σ = 1 in every gate, does not hold, and the radius is no
    better than that of the default initialization.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras`
    or `unitcircle.jax`, or by hand: `for block in weight.chunk(4): torch.nn.init.orthogonal_(block)`.
    """
    for layer in exam.layers:
        k = len(layer.blocks)
        if not layer.finite or k < 2 or layer.layer.hidden_size < 2 or layer.layer.projection is not None:
            continue
        # Rounding each entry by a relative u moves the defect by about u, whatever n is.
        most = max(4 * layer.layer.source.eps, 1e-3)
        if (of_stack := orthogonality_defect(layer.stack, enough=most)) > most:
            continue
        if (of_gates := min(orthogonality_defect(block) for block in layer.blocks.values())) < 0.1:
            continue
        radii = {gate: float(s.radius) for gate, s in layer.spectra.items()}
        radii_text = ", ".join(f"{gate} {radius:.2f}" for gate, radius in radii.items())
        severity, action = worth(exam, layer, Severity.WARNING, {"recurrent": "orthogonal"})
        if action and not (exam.trials and exam.trials.better):
            action = {"recurrent": "orthogonal", **action}  # what was meant, beside what the task needs
        yield Finding(
            severity,
            layer.place(),
            f"the {k} gates are orthogonal only as a stack; spectral radii are {radii_text}, near 1/√{k} = "
            f"{1 / math.sqrt(k):.2f}, not 1",
            "each gate block is a truncated orthogonal matrix that loses norm in every direction",
            f"initialize gate by gate: {initialize_call(layer, **action)}" if action else no_remedy(exam),
            {"stack_defect": of_stack, "smallest_gate_defect": of_gates, "radius": radii, "expected": 1 / math.sqrt(k)},
            action=action,
        )
