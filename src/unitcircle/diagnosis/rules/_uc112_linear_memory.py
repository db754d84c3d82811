"""Rule UC112, linear-memory."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._lost_decay import law_of
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell


@rule("UC112", "linear-memory")
def linear_memory(exam: Examination) -> Iterator[Finding]:
    """A linear recurrence has |λ| > 1, or forgets everything long before T.

    ## What was found
    In a linear recurrence (LRU, S4D, S5, Mamba, a linear RNN) the eigenvalues determine the dynamics. Either some have
    modulus above 1, or even the slowest mode falls below 1/1000 within a quarter of the length T.

    ## Why it matters
    No activation limits a linear recurrence: one |λ| > 1 makes the state, and the loss, grow like |λ|ᵗ without bound.
    If the slowest unit forgets long before T, no unit of the layer can span T steps.

    ## Remedy
    Parametrise |λ| = exp(−exp(ν)), which cannot leave the disc. A memory of m steps needs |λ| ≈ 1 − 1/m: in an LRU,
    draw the moduli from a ring close enough to 1; in a Mamba or S4D, use a smaller step Δ for some units (`dt_bias`,
    `log_dt`). Families whose decay at rest is no parameter (minGRU, RetNet) are not judged by it. Without `--steps` a
    short memory is no finding: the first line of the report says how long it is. On a batch, a recurrence whose decay
    depends on its inputs is judged by its memory on these tokens, and not at rest.
    """
    for layer in exam.layers:
        if layer.layer.cell not in {Cell.DIAGONAL, Cell.LINEAR} or not layer.finite:
            continue
        if layer.layer.linear is not None and layer.layer.linear.family.nonlinear:
            continue  # its λ are those at rest
        if layer.layer.diagonal is not None:
            moduli = np.abs(layer.layer.diagonal)
        else:
            moduli = np.abs(np.asarray(layer.spectra["h"].eigenvalues))
        radius, outside = float(moduli.max()), int((moduli > 1 + 1e-6).sum())
        memory = math.inf if radius >= 1 else math.log(LOST) / math.log(radius) if radius > 0 else 0.0
        where = f"the slowest eigenvalue has modulus {radius:.4f}"
        if layer.tokens is not None:
            memory = float(layer.tokens.memory.max()) * -math.log(LOST)
            where = f"on these tokens the slowest head keeps 1/e of a write for {layer.tokens.memory.max():.3g}"
        evidence = {"radius": radius, "outside": outside, "units": len(moduli), "memory_steps": memory}
        if outside:
            yield Finding(
                Severity.ERROR,
                layer.place(),
                f"{outside} of {len(moduli)} eigenvalues lie outside the unit circle, the largest at {radius:.6g}: "
                f"×10^{exam.steps * math.log10(radius):.3g} after {exam.steps} steps",
                "nothing limits a linear recurrence: its state grows without bound",
                _inside_the_disc(layer),
                evidence,
            )
        elif exam.steps_given and memory < exam.steps / 4 and not _is_fixed(layer):
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"{where}: 1/1000 is left after {memory:.0f} of {exam.steps} steps",
                "no unit of this layer remembers for the length you need",
                _longer_memory(layer, exam.steps),
                evidence,
                action={"recurrent": "orthogonal"} if layer.layer.cell is Cell.LINEAR else {},
            )


def _is_fixed(layer: LayerExamination) -> bool:
    """Return whether the decay at rest is no parameter: its inputs, or the authors, decide how long it remembers."""
    return layer.layer.linear is not None and layer.layer.linear.family.fixed


def _inside_the_disc(layer: LayerExamination) -> str:
    linear = layer.layer.linear
    if linear is not None and linear.family.layout == "linear":
        return f"the parameters of {linear.family.name} cannot give |λ| > 1; look for damage in the file"
    remedies = {
        "mamba": "A_log and dt_bias cannot give |λ| > 1; look for damage in the file",
        "s4d": "keep the real part of A negative, A = −exp(log_A_real) + i A_imag",
    }
    other = "parametrise |λ| = exp(-exp(ν)), which stays inside the disc"
    return remedies.get(layer.layer.source.layout, other)


def _longer_memory(layer: LayerExamination, steps: int) -> str:
    """Return what lengthens the memory of a linear recurrence, in the parameters that it has."""
    modulus = 1 - 1 / max(steps, 2)
    linear = layer.layer.linear
    if linear is not None:
        laws = [law_of(linear, name) for name in linear.family.laws if name in linear.parameters]
        further = f"a memory of {steps} tokens needs a rate of 1/{steps} in some {linear.family.unit}s"
        return "; ".join([*laws, further])
    step = f"so that Δ|A| falls to 1/{steps} in some units"
    remedies = {
        "mamba": f"lower dt_bias, {step}: Δ = softplus(dt_bias), |A| = exp(A_log)",
        "s4d": f"lower log_dt, {step}",
        "lru": f"draw nu_log from ring(r_min=0.9, r_max={modulus:.6g})",
    }
    if layer.layer.cell is Cell.LINEAR:
        return initialize_call(layer, recurrent="orthogonal")
    other = f"draw moduli closer to 1: a memory of {steps} steps needs {modulus:.6g}"
    return remedies.get(layer.layer.source.layout, other)
