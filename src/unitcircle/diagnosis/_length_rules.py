"""Rules over what a layer does along the length T: decay, explosion, transient growth, memory of its gates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST, DrivenDynamics
from unitcircle.diagnosis._examination import ONE_ACTIVATION, Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._lost_decay import law_of
from unitcircle.diagnosis._remedy import Action, helpful_action, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell
from unitcircle.spectra import Asymptotics

TRANSIENT = 10.0
"""Transient growth by more than this factor is reported."""
SATURATED_SHARE = 0.5
"""From this share of saturated states on, the saturation is named as the cause of a loss."""


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
    yours. Without `--steps` the first line of the report answers for 64 steps and there is no finding: a network whose
    task needs 10 steps may forget what is older.

    ## Remedy
    Vanishing, plain RNN: an orthogonal or block-rotation recurrent weight. Vanishing, LSTM or GRU: forget biases spread
    over the length, `bias="chrono(max_steps=T)"`. Each is tried on the rebuilt cell, and proposed only where more is
    left afterwards. A trained network cannot be given a longer memory by an initializer: it must be trained again.
    Exploding: use a smaller gain, or a gradient penalty (Pascanu's Ω) rather than clipping alone.
    """
    if not exam.steps_given:
        return
    actions: dict[Cell, Action | None] = {}
    for layer in exam.layers:
        cell = layer.layer.cell
        if cell in {Cell.DIAGONAL, Cell.LINEAR} or (driven := layer.driven) is None:
            continue
        vanish, explode = driven.first_below(LOST), driven.first_above(1 / LOST)
        if explode is not None:
            remedy = "lower the recurrent gain, or penalise it (Pascanu's Ω)"
            yield _length_finding(exam, layer, driven, lag=explode, what="rises above 1000", remedy=remedy)
        elif vanish is not None:
            if cell not in actions:  # one trial for each kind of cell: layers of one kind need the same
                actions[cell] = helpful_action(layer, exam.steps)
            action = actions[cell]
            remedy = _no_initializer(layer) if action is None else initialize_call(layer, **action)
            yield _length_finding(
                exam, layer, driven, lag=vanish, what="falls below 1/1000", remedy=remedy, action=action
            )


def _no_initializer(layer: LayerExamination) -> str:
    if layer.layer.cell.gated and not layer.layer.biases:
        return "create the layer with biases (bias=True), which a longer memory of its gates needs"
    if layer.driven is not None and layer.driven.saturation > SATURATED_SHARE:
        return f"{layer.driven.saturation:.0%} of the states are saturated: scale inputs and input weights down"
    return "no initializer that was tried on the rebuilt cell leaves more; a gated cell remembers longer"


def _length_finding(
    exam: Examination,
    layer: LayerExamination,
    driven: DrivenDynamics,
    /,
    *,
    lag: int,
    what: str,
    remedy: str,
    action: Action | None = None,
) -> Finding:
    return Finding(
        Severity.WARNING,
        layer.place(),
        f"under {driven.inputs} the state's Jacobian {what} at lag {lag} of {exam.steps} "
        f"({driven.growth_rate:+.3f} nats a step)",
        f"a gradient does not reach {exam.steps} steps back"
        if "below" in what
        else "a gradient explodes on its way back",
        remedy,
        {"lag": lag, "steps": exam.steps, "growth_rate": driven.growth_rate, "log_growth": driven.log_growth.tolist()},
        action=action or {},
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
    for layer in _powers_of_one_weight(exam):
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


def _powers_of_one_weight(exam: Examination) -> Iterator[LayerExamination]:
    """Yield the layers whose state is taken through powers of their one weight: plain cells without a leak."""
    for layer in exam.layers:
        if layer.layer.cell in ONE_ACTIVATION and "leak" not in layer.layer.unknown:
            yield layer


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
    for layer in _powers_of_one_weight(exam):
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


@rule("UC110", "forget-bias")
def forget_bias(exam: Examination) -> Iterator[Finding]:
    """An untrained LSTM has no forget bias, or has it twice.

    ## What was found
    The forget-gate bias still has its initial values: one value for all units, or small values from the default
    U(±1/√n), and nothing else in the layer shows that it was trained. *Missing*: its mean is below 0.5. *Doubled*:
    torch adds two biases, and both hold the same positive value, so a forget bias of 1 acts as 2. A layer made without
    biases (`bias=False`), or whose biases are not known, is not reported.

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
        if layer.layer.cell is not Cell.LSTM or bias is None or not layer.finite or len(layer.layer.gates["f"]) < 2:
            continue
        total = np.asarray(bias, dtype=float)
        parts = [np.asarray(part["f"], dtype=float) for part in layer.layer.bias_parts.values() if "f" in part]
        constant = float(np.ptp(total)) == 0.0
        if exam.trained(layer):
            continue
        mean = float(total.mean())
        doubled = len(parts) == 2 and constant and mean > 0 and all(float(np.ptp(part)) == 0 for part in parts)
        action = {"bias": exam.chrono}
        if doubled and parts[0][0] == parts[1][0]:
            message = f"both torch biases of the forget gate are {parts[0][0]:g}: together they act as {mean:g}"
            action = {"bias": "forget_bias"}
            remedy = f"set the sum: {initialize_call(layer, **action)}"
        elif mean < 0.5:
            what = "no forget bias" if not total.any() else f"a mean forget bias of {mean:.2f}"
            retention = _sigmoid(mean)
            memory = math.log(LOST) / -np.logaddexp(0.0, -mean)
            message = f"{what}: a step keeps {retention:.2f} of the cell state, 1/1000 is left after {memory:.0f} steps"
            remedy = f"{initialize_call(layer, **action)}, or 'forget_bias'"
        else:
            continue
        yield Finding(
            Severity.WARNING,
            layer.place("f"),
            message,
            "the forget bias sets how long the cell state remembers before training has begun",
            remedy,
            {"mean_bias": mean, "retention": _sigmoid(mean), "parts": [float(part.mean()) for part in parts]},
            action=action,
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
    Parametrise |λ| = exp(−exp(ν)), which cannot leave the disc. A memory of m steps needs |λ| ≈ 1 − 1/m: in an LRU,
    draw the moduli from a ring close enough to 1; in a Mamba or S4D, use a smaller step Δ for some units (`dt_bias`,
    `log_dt`). Families whose decay at rest is no parameter (minGRU, RetNet) are not judged by it. Without `--steps` a
    short memory is no finding: the first line of the report says how long it is.
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
                _inside_the_disc(layer),
                evidence,
            )
        elif exam.steps_given and memory < exam.steps / 4 and not _is_fixed(layer):
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"the slowest eigenvalue has modulus {radius:.4f}: "
                f"1/1000 is left after {memory:.0f} of {exam.steps} steps",
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
