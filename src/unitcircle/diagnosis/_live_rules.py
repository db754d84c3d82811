"""Rules over the measurements of a live model on a batch: gradient, states, gates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._growth_remedy import growth_remedy
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedy import effect_of_best, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._trial import AS_IT_IS
from unitcircle.recurrence import Cell

MANY = 8
"""With fewer possible dimensions than this, the number in use is not judged."""
LONG = 100
"""From this length on a gated cell that forgets is a warning: below it, gated cells learned as they were."""
ROUNDING = 2.0**-24
"""Unit roundoff of float32, in which networks are trained."""
VISIBLE = 0.1
"""Rounding that has grown to this share of the state is as large as the state itself, for a reader of it."""
DECADE = math.log(10)
SIGMAS = 3


def _live_layers(exam: Examination) -> Iterator[tuple[LayerExamination, LiveLayer]]:
    """Yield the layers that were measured inside their model."""
    for layer in exam.layers:
        if layer.live is not None:
            yield layer, layer.live


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
    advice = "; measure remedies with try_initializers=['remedies'], or --try remedies"
    return f"{initialize_call(layer, **_length_action(exam, layer))}{advice}"


def _length_action(exam: Examination, layer: LayerExamination) -> dict[str, str]:
    if layer.layer.cell is Cell.HAND_WRITTEN:
        return {}
    return {"bias": exam.chrono} if layer.layer.cell.gated else {"recurrent": "block_rotation"}


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
    reach of the gradient. It often does: in our pilot a network that lost 13 decades still learned tasks that contain
    short-range signal. The finding is an alarm, not a prediction. It was reliable on a task without short-range signal:
    with a ratio below 10⁻⁶ ten of ten runs stayed at chance. For an LSTM or GRU the finding is a note below 100 steps:
    a default GRU that loses 1/1000 within 50 steps solved its task in 400 steps of training, and the remedy made it
    worse.

    ## Remedy
    LSTM, GRU: spread the biases of the gate that keeps the state over the length (Chrono). Plain RNN: use orthogonal or
    block-rotation recurrent weights, or `unitcircle.dynamics.calibrate_`. `try_initializers=["remedies"]`
    (`--try remedies`) measures these remedies on copies of your model and reports which is better, and by how much.
    """
    for layer, live in _live_layers(exam):
        if (lag := live.first_lag(LOST)) is not None and lag <= exam.steps:
            of, what, severity = "gradient", "the gradient of the loss", Severity.WARNING
        elif (lag := live.first_lag(LOST, of="jacobian")) is not None and lag <= exam.steps:
            of, what, severity = "jacobian", "∂h_T/∂s_t (the loss has nearer terms that hide it)", Severity.NOTE
        else:
            continue
        if layer.layer.cell.gated and exam.steps < LONG:
            severity = Severity.NOTE
        if live.cut is not None and lag >= live.cut - (live.start if of == "gradient" else 0):
            continue  # it is lost because the state is detached, which is a finding of its own
        step = live.steps - lag - (live.start if of == "gradient" else 0)
        curve = live.log_gradient[live.start :] if of == "gradient" else live.log_jacobian
        rate = float(curve[lag] - curve[0]) / lag
        gate, closing = _closing_gate(layer, live, rate)
        yield Finding(
            severity,
            layer.place(gate),
            f"{what} falls below 1/1000 of its end value at step {step} of {live.steps}, {lag} steps back, and to "
            f"{_power(float(curve[-1] - curve[0]))} at the start{closing}",
            f"nothing before step {step} can be learned until training lengthens the reach of the gradient",
            _length_remedy(exam, layer),
            {"step": step, "lag": lag, "steps": live.steps, "of": of, "log_norm": curve.tolist(), "gate": gate},
            action=_length_action(exam, layer),
        )


def _closing_gate(layer: LayerExamination, live: LiveLayer, rate: float) -> tuple[str, str]:
    """Return the gate that accounts for at least half of the decay rate (nats per step), and a clause about it."""
    gate = layer.layer.cell.keeping
    activity = live.gates.get(gate)
    if activity is None or activity.log_openness > rate / 2:
        return "", ""
    rates = f"{activity.log_openness:+.2f} nats by itself, {rate:+.2f} measured"
    return gate, f"; gate {gate} closes: it keeps {activity.openness:.2f} a step ({rates})"


@rule("UC202", "gradient-explodes")
def gradient_explodes(exam: Examination) -> Iterator[Finding]:
    """The gradient of your loss, on your batch, grows beyond 1000 times its end value, or overflows.

    ## What was found
    ‖∂L/∂s_t‖, or ‖∂h_T/∂s_t‖ where the loss hides it, rises above 1000 times its value at the end of the sequence, at
    the reported step.

    ## Why it matters
    A step of training then depends on the earliest inputs only, and undoes what was learned from the others. Clipping
    bounds the length of that step and does not change its direction.

    ## Remedy
    Use a smaller recurrent gain: `unitcircle.dynamics.calibrate_(model, batch)` finds the gain that keeps the norm. A
    plain cell can be initialized at the gain that is critical for its inputs: `recurrent="critical(input_std=s)"`, s
    the standard deviation of U x. During training, penalize growth of the gradient in time with Pascanu's Ω
    (`unitcircle.torch.pascanu_omega`).
    """
    for layer, live in _live_layers(exam):
        overflow = np.flatnonzero(np.isposinf(live.log_gradient))
        lags = (live.first_lag(1 / LOST, of=of) for of in ("gradient", "jacobian"))
        lag = int(overflow[0]) if overflow.size else next((lag for lag in lags if lag is not None), None)
        if lag is None or lag > exam.steps:
            continue
        what = "overflows" if overflow.size else "rises above 1000 times its end value"
        yield Finding(
            Severity.ERROR if overflow.size else Severity.WARNING,
            layer.place(),
            f"the gradient {what} {lag} steps back of {live.steps}",
            "a step of training depends on the earliest inputs only; clipping does not change its direction",
            growth_remedy(layer, live),
            {"lag": lag, "steps": live.steps, "growth_rate": live.growth_rate, "log_norm": live.log_gradient.tolist()},
        )


@rule("UC203", "saturated-units")
def saturated_units(exam: Examination) -> Iterator[Finding]:
    """More than half of the values of tanh are beyond ±0.95.

    ## What was found
    Over the batch and all steps, more than half of the values of tanh (h of a plain RNN or GRU, tanh c of an LSTM) have
    a modulus of 0.95 or more.

    ## Why it matters
    At 0.95 the slope of tanh is 0.1: such a unit passes at most a tenth of a gradient at every step. By itself this is
    no defect: among the 1,344 runs of the study `prediction` those with this finding did not end worse than the others
    of their setting (mean place .49 against .50, 7 % against 16 % at the baseline). It is a note, which explains a
    gradient that vanishes (UC201).

    ## Remedy
    Scale down the inputs (to a standard deviation of at most 1) and the input weights first, then the recurrent gain.
    """
    for layer, live in _live_layers(exam):
        if live.saturation > 0.5:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"{live.saturation:.0%} of the units' values lie beyond ±0.95",
                "there a unit passes less than a tenth of the gradient at every step",
                "scale inputs and input weights down, then the recurrent weight",
                {"saturation": live.saturation},
            )


@rule("UC204", "collapsed-state")
def collapsed_state(exam: Examination) -> Iterator[Finding]:
    """The hidden state ends at the origin for every input.

    ## What was found
    The root mean square of h at the last step is below 1/1000 (for unbounded activations: 1/1000 of its maximum).

    ## Why it matters
    At the origin all inputs look alike, and the output of a readout of the last state is its bias. This is the most
    informative finding before training: in the study `prediction`, 70 % of the 177 runs with it, from all eleven
    families of initializers, stayed at the baseline, against 18 % of the other runs of their settings.

    ## Remedy
    Use a recurrent gain of 1 or slightly above, or, for a gated cell, a longer memory of the gates (Chrono). If the
    sequence ends in padding, read the state at the end of the data.
    """
    for layer, live in _live_layers(exam):
        if live.distance is None:
            continue
        end, peak = float(live.distance[-1]), float(live.distance.max())
        if end < LOST * max(peak, 1.0):
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"the hidden state has root mean square {end:.2g} at the last step (at most {peak:.2g} before)",
                "at the origin all inputs look alike",
                "raise the recurrent gain, lengthen the gates (Chrono), or read the state before the padding",
                {"end": end, "peak": peak},
            )


@rule("UC205", "few-directions")
def few_directions(exam: Examination) -> Iterator[Finding]:
    """The last states of a whole batch differ in fewer than two directions.

    ## What was found
    The participation ratio (tr C)²/tr C² of the covariance of h_T over the batch is below 2, though units and batch
    would allow at least eight.

    ## Why it matters
    The ratio counts the directions in which states differ: states that differ in one direction only are, to a readout,
    one number. Among the 1,344 runs of the study `prediction` (32 initializers, five kinds of task, three cells) the
    812 with fewer than two directions before training ended worse than the others of their setting (mean place .45
    against .56, p = .006), and 26 % against 15 % stayed at the baseline. This is a screening: it does not distinguish
    one seed from another.

    ## Remedy
    Keep more directions: use orthogonal or block-rotation recurrent weights, and avoid weights close to the identity. A
    batch of nearly equal sequences gives the same finding; then the batch is the cause.
    """
    for layer, live in _live_layers(exam):
        if live.largest_dimension >= MANY and live.dimension < 2:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"the last states of {live.sequences} sequences differ in {live.dimension:.1f} directions of "
                f"{live.largest_dimension} possible; so did 60 % of the untrained networks of our study",
                "to a readout of the last state they are hardly more than one number",
                "orthogonal or block_rotation recurrent weights; longer gates in an LSTM or GRU",
                {"effective_dimension": live.dimension, "largest": live.largest_dimension},
            )


@rule("UC206", "chaos")
def chaos(exam: Examination) -> Iterator[Finding]:
    """The leading Lyapunov exponent is above 0: small differences of the state grow along your batch.

    ## What was found
    Along the trajectories of your batch, small differences of the state grow on average, at the rate λ of the leading
    exponent (nats per step), which is above 0 by more than three standard errors, and by more than a factor e over the
    length T. The exponent is the growth rate of
    ‖∂h_T/∂s_t‖ with the lag; its error is estimated from blocks of time and from the scatter over sequences.

    ## Why it matters
    A gradient grows at the same rate on its way back. The finding is a warning where the rounding of float32, 6·10⁻⁸,
    grows to a tenth of the state (λT above 14): then the last state depends on rounding as it does on the inputs.
    Below, it is a note: in the study `prediction` such networks ended no worse than the others of their setting, and
    training often leads to an exponent slightly above 0.

    ## Remedy
    A smaller recurrent gain: `unitcircle.dynamics.calibrate_(model, batch)`, or, for a plain cell,
    `recurrent="critical(input_std=s)"`, s the standard deviation of U x: the gain at which λ is 0 in a wide network.
    """
    for layer, live in _live_layers(exam):
        growth = live.exponent * live.steps
        if live.exponent <= SIGMAS * live.exponent_stderr or growth <= 1:
            continue
        rounding = math.exp(min(growth, 700)) * ROUNDING
        visible = rounding >= VISIBLE
        yield Finding(
            Severity.WARNING if visible else Severity.NOTE,
            layer.place(),
            f"the leading Lyapunov exponent is {live.exponent:+.3f} ± {live.exponent_stderr:.3f} nats per step: "
            f"differences grow ×{math.exp(min(growth, 700)):.3g} over {live.steps} steps, and rounding in float32 to "
            f"{min(rounding, 1):.1e} of a state",
            "the last state depends on rounding as it does on the inputs"
            if visible
            else "a gradient grows at this rate on its way back",
            growth_remedy(layer, live),
            {"exponent": live.exponent, "stderr": live.exponent_stderr, "rounding": rounding},
        )


@rule("UC207", "constant-units")
def constant_units(exam: Examination) -> Iterator[Finding]:
    """The output of some units is constant over all steps and sequences of the batch.

    ## What was found
    The reported units have the same h at every step of every sequence, to the rounding of the stored weights: ReLU
    units that are always 0, or units that are always saturated. It is a warning where they are at least half of the
    units, and a note below: before training, 17 of the 64 units of an identity-initialized ReLU network did not move on
    a batch.

    ## Why it matters
    A dead unit has no gradient, so training cannot change it, and it costs as much as the other units.

    ## Remedy
    ReLU: use smaller negative biases, an identity or orthogonal recurrent weight, or a lower learning rate if the units
    died during training. Saturated: use smaller biases and input weights. Confirm the finding on a larger batch first.
    """
    for layer, live in _live_layers(exam):
        if live.dead:
            identity = all(np.array_equal(block, np.eye(len(block))) for block in layer.blocks.values())
            weight = "" if identity else "; for ReLU, recurrent='identity' or 'orthogonal'"
            yield Finding(
                Severity.WARNING if 2 * len(live.dead) >= live.units else Severity.NOTE,
                layer.place(),
                f"{len(live.dead)} of {live.units} units never change: {_first_of(live.dead)}",
                "a dead unit has no gradient: training cannot change it",
                f"smaller biases and input weights{weight}",
                {"dead": list(live.dead), "units": live.units},
            )


def _first_of(units: tuple[int, ...]) -> str:
    return ", ".join(map(str, units[:8])) + (", ..." if len(units) > 8 else "")


@rule("UC208", "short-gates")
def short_gates(exam: Examination) -> Iterator[Finding]:
    """No unit of an LSTM or GRU keeps its state for the length of the batch.

    ## What was found
    The gate that keeps the state (f of an LSTM, z of a GRU) was recorded along your batch. Even for the unit that keeps
    most, the product of its activations falls below 1/1000 within the length, and so does ∂h_T/∂s_t. The finding is a
    warning from 100 steps on, and a note below.

    ## Why it matters
    What the gate of a unit keeps is the memory that needs no training. In our pilot (LSTM, 164 steps with a delay)
    accuracy was .14 with a forget bias of 1 and .81 with Chrono's spread of biases; on the same digits without delay
    (64 steps) it was .970 and .947.

    ## Remedy
    Use `initialize_(model, bias="chrono(max_steps=T)")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`:
    time constants from 2 to T, with the input gate closed by as much as the forget gate is open. One bias for all units
    is no substitute: the spread matters.
    """
    for layer, live in _live_layers(exam):
        gate = layer.layer.cell.keeping
        activity = live.gates.get(gate)
        # Other paths of a trained cell may carry what its gates forget: then nothing is lost.
        lost = live.first_lag(LOST, of="jacobian") is not None
        if activity is None or not lost or activity.slowest * exam.steps > math.log(LOST):
            continue
        memory = math.log(LOST) / activity.slowest
        yield Finding(
            Severity.WARNING if exam.steps >= LONG else Severity.NOTE,
            layer.place(gate),
            f"the unit whose gate {gate} is widest open keeps {math.exp(activity.slowest):.2f} a step: 1/1000 is left "
            f"after {memory:.0f} of {exam.steps} steps",
            "no unit remembers for the length of the sequence before training has begun",
            initialize_call(layer, bias=exam.chrono),
            {"slowest": activity.slowest, "openness": activity.openness, "memory": memory, "steps": exam.steps},
            action={"bias": exam.chrono},
        )


@rule("UC209", "detached-state")
def detached_state(exam: Examination) -> Iterator[Finding]:
    """The model detaches its state within the sequence: no gradient passes that step.

    ## What was found
    A call of the layer began with the last state of an earlier call, and autograd does not connect the two: `detach()`,
    `.data`, `torch.no_grad()` or a copy through NumPy lies between them. From that step back the gradient of a loss on
    the last state is exactly 0. The finding is a warning where the length asked for is longer than what is left, else
    a note.

    ## Why it matters
    Nothing before the last such step can be learned from the end of the sequence, whatever the weights are: neither
    initialization nor training lengthens the reach. This is what truncated backpropagation through time is for; within
    one training step it is often left over from a loop over batches.

    ## Remedy
    Detach the state between training steps only, or at least as many steps apart as the dependencies to be learned are
    long. Where the truncation is meant, pass its length: `steps=`.
    """
    for layer, live in _live_layers(exam):
        if live.cut is None:
            continue
        where = f"at {live.links} places" if live.links > 1 else f"at step {live.steps - live.cut}"
        yield Finding(
            Severity.WARNING if exam.steps > live.cut else Severity.NOTE,
            layer.place(),
            f"the model detaches the state {where} of {live.steps}: the gradient is exactly 0 beyond {live.cut} steps "
            "back",
            "nothing before that step can be learned from the end of the sequence, whatever the weights are",
            "detach the state between training steps only; where it is meant, pass its length as steps=",
            {"cut": live.cut, "links": live.links, "steps": live.steps},
        )
