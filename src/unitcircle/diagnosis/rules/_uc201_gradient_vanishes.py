"""Rule UC201, gradient-vanishes."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedy import best_action, effect_of_best, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._trial import AS_IT_IS
from unitcircle.diagnosis.rules._layers import live_layers
from unitcircle.diagnosis.rules._task import far, near, no_remedy, severity_of_forgetting, task_clause, worth
from unitcircle.recurrence import Cell

DECADE = math.log(10)


@rule("UC201", "gradient-vanishes")
def gradient_vanishes(exam: Examination) -> Iterator[Finding]:
    """The gradient of your loss, on your batch, falls below 1/1000 of its end value before the sequence begins.

    ## What was found
    One backward pass gave ‖∂L/∂s_t‖ for every step t and every recurrent layer (s is the full state: h, and c of an
    LSTM). Going back from the last state, it falls below 1/1000 of its end value at the reported step. For an LSTM or
    GRU the report names the gate that determines what a step keeps (f of an LSTM, z of a GRU) if its mean
    log-activation is at least half of the nats per step that the gradient loses; the other paths through the cell
    account for the difference.

    A loss with a term at every step hides the defect, because each term adds a gradient. Then the Jacobian ∂h_T/∂s_t
    is judged instead, and the finding is a note.

    ## Why it matters
    What happened before that step cannot be learned at an ordinary learning rate unless training first lengthens the
    reach of the gradient. Whether the task needs it is measured, on a batch of 32 sequences or more that has a target:
    what a readout of what is near, the last state or the inputs within reach, foretells of the target (each sequence
    from the others), and what up to eight steps foretell, some of them beyond. The severity follows what training
    showed (docs/results/verdicts.md):

    - What is near foretells half of the target or more: a note, without a remedy. A tanh network of which only the last
      five of 100 inputs counted learned as it was, and a GRU's remedy made it worse.
    - A few steps that reach beyond foretell half, or all sequences are alike within reach: a warning. Default networks
      whose target was the first of 40 inputs stayed at the error of a constant answer, of every kind of cell; with the
      first remedy they learned.
    - Neither: every step may count a little. Readouts of 32 sequences show too little of such a task; if its steps
      count equally, those within reach tell as large a share of the target as they are of the steps, and training
      lengthens the reach from there step by step, while the remedy gives the whole length at once and learns what is
      near more slowly. An LSTM or GRU with three quarters of the steps or more beyond its reach gets a warning: then
      half of what counts is beyond even if only the last half of the steps counts. Over 60 and 80 steps both improved
      with the remedy. With less beyond it, a note: a GRU got worse over 25 and 30 steps and did not improve over 40 and
      50, nor where later ones of 50 steps count more; an LSTM did improve over 40 and 50. Most plain cells learned as
      they were, and no initialization made much of a difference: a note.

    Where nothing is known of the task, it is a warning, but for an LSTM, a GRU or another gated cell below 100 steps a
    note. A hand-written cell is gated if its step multiplies what depends on the state by a value in [0, 1] that a
    bounded function of the input or the state gives.

    ## Remedy
    LSTM, GRU: spread the biases of the gate that keeps the state over the length (Chrono). Plain RNN: block-rotation or
    orthogonal recurrent weights, of ReLU the identity, or the critical gain of the inputs of your batch.
    `try_initializers=["remedies"]` (`--try remedies`) measures the same remedies on copies of your model and reports
    which is better, and by how much.
    """
    for layer, live in live_layers(exam):
        if (lag := live.first_lag(LOST)) is not None and lag <= exam.steps:
            of, what, severity = "gradient", "the gradient of the loss", Severity.WARNING
        elif (lag := live.first_lag(LOST, of="jacobian")) is not None and lag <= exam.steps:
            of, what, severity = "jacobian", "∂h_T/∂s_t (the loss has nearer terms that hide it)", Severity.NOTE
        else:
            continue
        if live.cut is not None and lag >= live.cut - (live.start if of == "gradient" else 0):
            continue  # it is lost because the state is detached, which is a finding of its own
        step = live.steps - lag - (live.start if of == "gradient" else 0)
        curve = live.log_gradient[live.start :] if of == "gradient" else live.log_jacobian
        rate = float(curve[lag] - curve[0]) / lag
        gate, closing = _closing_gate(layer, live, rate)
        severity, action = worth(exam, layer, min(severity, severity_of_forgetting(exam, layer)), {})
        task = task_clause(exam) if of == "gradient" else ""
        evidence = {"step": step, "lag": lag, "steps": live.steps, "of": of, "log_norm": curve.tolist(), "gate": gate}
        yield Finding(
            severity,
            layer.place(gate),
            f"{what} falls below 1/1000 of its end value at step {step} of {live.steps}, {lag} steps back, and to "
            f"{_power(float(curve[-1] - curve[0]))} at the start{closing}{task}",
            f"nothing before step {step} can be learned until training lengthens the reach of the gradient",
            _length_remedy(exam, layer) if severity > Severity.NOTE or math.isnan(near(exam)) else no_remedy(exam),
            evidence | {"near": near(exam), "far": far(exam)},
            action=action,
        )


def _power(nats: float) -> str:
    return "0" if nats == -math.inf else f"10^{nats / DECADE:.1f}" if abs(nats) > DECADE else f"{math.exp(nats):.2g}"


def _length_remedy(exam: Examination, layer: LayerExamination) -> str:
    """Return what to do about a vanishing gradient: the best of the initializers tried, if any was tried."""
    if exam.trials is not None and exam.trials.better:
        return f"{exam.trials.better[0].call}  ({effect_of_best(exam.trials, exam.steps)})"
    if exam.trials is not None and len(exam.trials.ranking) > 1:
        return f"no initializer that was tried is better than the model {AS_IT_IS}; try others with try_initializers"
    if layer.layer.cell is Cell.HAND_WRITTEN:
        return (
            "keep more of the state at each step: an orthogonal recurrent weight, a gate or a shortcut that starts open"
        )
    if not (action := best_action(layer, exam)):
        return "no initializer is known to help; a gated cell remembers longer"
    advice = "; measure remedies with try_initializers=['remedies'], or --try remedies"
    return f"{initialize_call(layer, **action)}{advice}"


def _closing_gate(layer: LayerExamination, live: LiveLayer, rate: float) -> tuple[str, str]:
    """Return the gate that accounts for at least half of the decay rate (nats per step), and a clause about it."""
    gate = layer.layer.cell.keeping
    activity = live.gates.get(gate)
    if activity is None or activity.log_openness > rate / 2:
        return "", ""
    rates = f"{activity.log_openness:+.2f} nats by itself, {rate:+.2f} measured"
    return gate, f"; gate {gate} closes: it keeps {activity.openness:.2f} a step ({rates})"
