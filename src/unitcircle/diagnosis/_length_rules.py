"""Rules over what a layer does along the length T: decay, explosion, transient growth, memory of its gates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import DrivenDynamics
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell
from unitcircle.spectra import Asymptotics

LOST = 1e-3
"""A gradient below this share of its end value counts as lost: other terms of the loss dominate."""
TRANSIENT = 10.0
"""Transient growth by more than this factor is reported."""
ONE_ACTIVATION = {Cell.RNN, Cell.RNN_TANH, Cell.RNN_RELU, Cell.LINEAR}


@rule("UC106", "length-out-of-reach")
def length_out_of_reach(exam: Examination) -> Iterator[Finding]:
    """The recurrence explodes or vanishes within the length T, according to the Jacobian of the cell.

    ## What was found
    The cell was rebuilt from its weights and run for T steps, with standard-normal inputs or with `--data`, and
    perturbations of its full state (h, and c of an LSTM) were propagated by the step Jacobians. Their norm fell below
    1/1000 (the layer forgets) or rose above 1000 (it explodes) before T. The spectral radius of a gate block is not
    used: working LSTMs have blocks with ρ well above 1.

    ## Why it matters
    ∂h_T/∂h_t carries a gradient from step T back to step t. Below 1/1000, what happened T − t steps ago cannot be
    learned at an ordinary learning rate. Above 1000, one step of training can undo all the others, and clipping keeps
    the direction of noise.

    Standard-normal inputs are a convention: a layer inside a network receives other inputs. Pass `--data` to use
    yours. Without `--steps` the length is 64 and the finding is a note: a network whose task needs 10 steps may forget
    what is older.

    ## Remedy
    Vanishing, plain RNN: use an orthogonal or block-rotation recurrent weight, with a gain near 1.05. Vanishing, LSTM
    or GRU: spread the forget biases over the length, `bias="chrono(max_steps=T)"`. Exploding: use a smaller gain, or a
    gradient penalty (Pascanu's Ω) rather than clipping alone.
    """
    for layer in exam.layers:
        if layer.layer.cell in {Cell.DIAGONAL, Cell.LINEAR} or (driven := layer.driven) is None:
            continue
        vanish, explode = driven.first_below(LOST), driven.first_above(1 / LOST)
        if explode is not None:
            remedy = "lower the recurrent gain, or penalise it (Pascanu's Ω)"
            yield _length_finding(exam, layer, driven, lag=explode, what="rises above 1000", remedy=remedy)
        elif vanish is not None:
            arguments = {"bias": exam.chrono} if layer.layer.cell.gated else {"recurrent": "block_rotation"}
            remedy = initialize_call(layer, **arguments)
            yield _length_finding(exam, layer, driven, lag=vanish, what="falls below 1/1000", remedy=remedy)


def _length_finding(
    exam: Examination, layer: LayerExamination, driven: DrivenDynamics, /, *, lag: int, what: str, remedy: str
) -> Finding:
    return Finding(
        exam.length_severity,
        layer.place(),
        f"under {driven.inputs} the state's Jacobian {what} at lag {lag} of {exam.steps} "
        f"({driven.growth_rate:+.3f} nats a step)",
        f"a gradient does not reach {exam.steps} steps back"
        if "below" in what
        else "a gradient explodes on its way back",
        remedy,
        {"lag": lag, "steps": exam.steps, "growth_rate": driven.growth_rate, "log_growth": driven.log_growth.tolist()},
    )


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
    for layer in exam.layers:
        if layer.layer.cell not in ONE_ACTIVATION:
            continue
        for gate, logs in layer.log_norms.items():
            radius, peak = float(layer.spectra[gate].radius), int(np.argmax(logs))
            if radius >= 1 or logs[peak] < math.log(TRANSIENT):
                continue
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                f"ρ = {radius:.3f} < 1, but ‖Wᵗ‖ grows to {math.exp(min(logs[peak], 700)):.3g} at step {peak}",
                "within that length a gradient grows, although the spectral radius is below 1",
                "a normal weight (orthogonal, block_rotation) has no transient growth",
                {"radius": radius, "peak_norm_log": float(logs[peak]), "peak_step": peak},
            )


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
    for layer in exam.layers:
        if layer.layer.cell not in ONE_ACTIVATION:
            continue
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
            )


@rule("UC110", "forget-bias")
def forget_bias(exam: Examination) -> Iterator[Finding]:
    """An untrained LSTM has no forget bias, or has it twice.

    ## What was found
    The forget-gate bias still has its initial values: one value for all units, or small values from the default
    U(±1/√n). *Missing*: its mean is below 0.5. *Doubled*: torch adds two biases, and both hold the same positive
    value, so a forget bias of 1 acts as 2. A bias that training has moved beyond ±1/√n is never reported.

    ## Why it matters
    With bias b the cell state keeps a share σ(b) at each step: one half at b = 0, so that 0.1 % is left after 10
    steps. Among all initializations of an LSTM that we compared, the forget bias mattered more than the recurrent
    weights.

    ## Remedy
    Use `initialize_(model, bias="forget_bias")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`, which
    sets the sum of all biases in every layer and direction; for long gaps, `bias="chrono(max_steps=T)"`.
    """
    for layer in exam.layers:
        bias = layer.layer.biases.get("f")
        if layer.layer.cell is not Cell.LSTM or not layer.finite or len(layer.layer.gates["f"]) < 2:
            continue
        n = layer.layer.hidden_size
        total = np.zeros(n) if bias is None else np.asarray(bias, dtype=float)
        parts = [np.asarray(part["f"], dtype=float) for part in layer.layer.bias_parts.values() if "f" in part]
        constant = float(np.ptp(total)) == 0.0
        untrained = constant or all(float(np.abs(part).max()) <= 1.01 / math.sqrt(n) for part in parts or [total])
        if not untrained:
            continue
        mean = float(total.mean())
        doubled = len(parts) == 2 and constant and mean > 0 and all(float(np.ptp(part)) == 0 for part in parts)
        if doubled and parts[0][0] == parts[1][0]:
            message = f"both torch biases of the forget gate are {parts[0][0]:g}: together they act as {mean:g}"
            remedy = f"set the sum: {initialize_call(layer, bias='forget_bias')}"
        elif mean < 0.5:
            what = "no forget bias" if bias is None or not total.any() else f"a mean forget bias of {mean:.2f}"
            retention = _sigmoid(mean)
            memory = math.log(LOST) / -np.logaddexp(0.0, -mean)
            message = f"{what}: a step keeps {retention:.2f} of the cell state, 1/1000 is left after {memory:.0f} steps"
            remedy = f"{initialize_call(layer, bias=exam.chrono)}, or 'forget_bias'"
        else:
            continue
        yield Finding(
            Severity.WARNING,
            layer.place("f"),
            message,
            "the forget bias sets how long the cell state remembers before training has begun",
            remedy,
            {"mean_bias": mean, "retention": _sigmoid(mean), "parts": [float(part.mean()) for part in parts]},
        )


def _sigmoid(x: float) -> float:
    return 0.5 * (1 + math.tanh(x / 2))


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
    Parametrise |λ| = exp(−exp(ν)), which cannot leave the disc. Draw the moduli from a ring close enough to 1,
    `ring(r_min=0.9, r_max=0.999)`: a memory of m steps needs |λ| ≈ 1 − 1/m.
    """
    for layer in exam.layers:
        if layer.layer.cell not in {Cell.DIAGONAL, Cell.LINEAR} or not layer.finite:
            continue
        if layer.layer.diagonal is not None:
            moduli = np.abs(layer.layer.diagonal)
        else:
            moduli = np.abs(np.asarray(layer.spectra["h"].eigenvalues))
        radius, outside = float(moduli.max()), int((moduli > 1 + 1e-6).sum())
        memory = math.inf if radius >= 1 else math.log(LOST) / math.log(radius) if radius > 0 else 0.0
        evidence = {"radius": radius, "outside": outside, "units": len(moduli), "memory_steps": memory}
        if outside:
            yield Finding(
                Severity.ERROR,
                layer.place(),
                f"{outside} of {len(moduli)} eigenvalues lie outside the unit circle, the largest at {radius:.6g}: "
                f"×10^{exam.steps * math.log10(radius):.3g} after {exam.steps} steps",
                "nothing limits a linear recurrence: its state grows without bound",
                "parametrise |λ| = exp(-exp(ν)), which stays inside the disc",
                evidence,
            )
        elif memory < exam.steps / 4:
            yield Finding(
                exam.length_severity,
                layer.place(),
                f"the slowest eigenvalue has modulus {radius:.4f}: "
                f"1/1000 is left after {memory:.0f} of {exam.steps} steps",
                "no unit of this layer remembers for the length you need",
                "draw moduli closer to 1: ring(r_min=0.9, r_max=0.999)",
                evidence,
            )


@rule("UC113", "swapped-activations")
def swapped_activations(exam: Examination) -> Iterator[Finding]:
    """The gates and the candidate of a gated cell have their activation functions swapped.

    ## What was found
    The candidate (g or n) has a sigmoid and the gates have tanh. `activation` and `recurrent_activation` of a Keras
    layer were interchanged.

    ## Why it matters
    A gate with tanh can be negative: it flips the sign of what it should let through. A candidate with a sigmoid can
    only add, so the state drifts to one side.

    ## Remedy
    Set `activation="tanh", recurrent_activation="sigmoid"`, and train again.
    """
    for layer in exam.layers:
        if not layer.layer.cell.gated:
            continue
        candidate = "g" if layer.layer.cell is Cell.LSTM else "n"
        phi = layer.layer.activations
        if phi[candidate].startswith("tanh") or "sigmoid" not in phi[candidate]:
            continue
        gates = {gate: phi[gate] for gate in layer.layer.cell.gates if gate != candidate}
        if set(gates.values()) == {"tanh"}:
            yield Finding(
                Severity.ERROR,
                layer.place(),
                f"the candidate {candidate} has {phi[candidate]} and the gates have tanh: they are swapped",
                "a gate that can be negative flips the sign of what it lets through",
                "activation='tanh', recurrent_activation='sigmoid', and train again",
                {"activations": dict(phi)},
            )
