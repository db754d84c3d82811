"""Rules over what was measured on a live model and a batch: gradient, states, gates."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._length_rules import LOST
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._trial import AS_IT_IS

MANY = 8
"""Fewer dimensions than this make no statement about how few are used."""
LONG = 100
"""From this length on short gates are a warning: below it, in our pilot, plain biases trained as well as Chrono's."""
DECADE = math.log(10)
SIGMAS = 3


def _measured(exam: Examination) -> Iterator[tuple[LayerExamination, LiveLayer]]:
    for layer in exam.layers:
        if layer.live is not None:
            yield layer, layer.live


def _power(nats: float) -> str:
    return "0" if nats == -math.inf else f"10^{nats / DECADE:.1f}" if abs(nats) > DECADE else f"{math.exp(nats):.2g}"


def _length_remedy(exam: Examination, layer: LayerExamination) -> str:
    """Return what to do about a gradient that vanishes: what was measured to be better, if anything was tried."""
    if exam.trials is not None and exam.trials.better:
        best, own = exam.trials.better[0], exam.trials.as_it_is
        low, high = best.interval("flow")
        return (
            f"{best.call}  (measured over {best.seeds} seeds: the gradient over {exam.steps} steps changes by "
            f"10^{best.mean('flow'):.2f} [{low:.2f}, {high:.2f}] instead of 10^{own.mean('flow'):.1f})"
        )
    if exam.trials is not None and len(exam.trials.ranking) > 1:
        return f"nothing that was tried is better than the model {AS_IT_IS}; try others with try_initializers"
    tries = "; measure remedies with try_initializers=['remedies'], or --try remedies"
    arguments = {"bias": exam.chrono} if layer.layer.cell.gated else {"recurrent": "block_rotation"}
    return f"{initialize_call(layer, **arguments)}{tries}"


@rule("UC201", "gradient-vanishes")
def gradient_vanishes(exam: Examination) -> Iterator[Finding]:
    """The gradient of your loss, on your batch, falls below 1/1000 of its end value before the sequence begins.

    ## What was found
    One backward pass gave ‖∂L/∂s_t‖ for every step t and every recurrent layer (s is the full state: h, and c of an
    LSTM). Seen from the last state backwards it falls below 1/1000 of its end value at the step named. For an LSTM or
    GRU the gate is named that closes (f of an LSTM, z of a GRU: what a step keeps) if its mean log-activation is at
    least half of the nats per step that the gradient loses; the other paths through the cell make up the difference.

    A loss with a term at every step hides the defect, for each term brings a gradient of its own. Then the Jacobian
    ∂h_T/∂s_t is judged, and the finding is a note.

    ## Why it matters
    What happened before that step cannot be learned at an ordinary learning rate unless training first opens the way.
    It often does: in our pilot a network that lost 13 decades still learned tasks with short-range signal in them. The
    finding is an alarm, not a prediction. It did not fail where nothing short-range helps: with a ratio below 10⁻⁶ all
    ten of ten runs stayed at chance.

    ## Remedy
    LSTM, GRU: spread the keeping gate's biases over the length (Chrono). Plain RNN: orthogonal or block-rotation
    recurrent weights, or `unitcircle.dynamics.calibrate_`. `try_initializers=["remedies"]` (`--try remedies`) measures
    them on copies of your model and says which is better by how much.
    """
    for layer, live in _measured(exam):
        if (lag := live.first_lag(LOST)) is not None and lag <= exam.steps:
            of, what, severity = "gradient", "the gradient of the loss", Severity.WARNING
        elif (lag := live.first_lag(LOST, of="jacobian")) is not None and lag <= exam.steps:
            of, what, severity = "jacobian", "∂h_T/∂s_t (the loss has nearer terms that hide it)", Severity.NOTE
        else:
            continue
        step = live.steps - lag - (live.start if of == "gradient" else 0)
        curve = live.log_gradient[live.start :] if of == "gradient" else live.log_jacobian
        rate = float(curve[lag] - curve[0]) / lag
        gate, closing = _closing_gate(layer, live, rate)
        yield Finding(
            severity,
            layer.place(gate),
            f"{what} falls below 1/1000 of its end value at step {step} of {live.steps}, {lag} steps back, and to "
            f"{_power(float(curve[-1] - curve[0]))} at the start{closing}",
            f"nothing before step {step} can be learned until training has opened the way",
            _length_remedy(exam, layer),
            {"step": step, "lag": lag, "steps": live.steps, "of": of, "log_norm": curve.tolist(), "gate": gate},
        )


def _closing_gate(layer: LayerExamination, live: LiveLayer, rate: float) -> tuple[str, str]:
    """Return the gate that accounts for at least half of a loss per step, and a clause about it."""
    gate = layer.layer.cell.keeping
    activity = live.gates.get(gate)
    if activity is None or activity.log_openness > rate / 2:
        return "", ""
    kept = activity.openness
    alone = f"{activity.log_openness:+.2f} nats by itself, {rate:+.2f} measured"
    return gate, f"; gate {gate} closes: it keeps {kept:.2f} a step ({alone})"


@rule("UC202", "gradient-explodes")
def gradient_explodes(exam: Examination) -> Iterator[Finding]:
    """The gradient of your loss, on your batch, grows beyond 1000 times its end value, or overflows.

    ## What was found
    ‖∂L/∂s_t‖, or where the loss hides it ‖∂h_T/∂s_t‖, rises above 1000 times its value at the end of the sequence at
    the step named.

    ## Why it matters
    One step of training then follows the earliest inputs alone, and undoes what the others taught. Clipping keeps the
    length of that step in bounds and leaves its direction.

    ## Remedy
    A smaller recurrent gain: `unitcircle.dynamics.calibrate_(model, batch)` finds the one at which the norm is kept.
    During training, a penalty on growth of the gradient in time, Pascanu's Ω (`unitcircle.torch.pascanu_omega`).
    """
    for layer, live in _measured(exam):
        overflow = np.flatnonzero(np.isposinf(live.log_gradient))
        found = (live.first_lag(1 / LOST, of=of) for of in ("gradient", "jacobian"))
        lag = int(overflow[0]) if overflow.size else next((lag for lag in found if lag is not None), None)
        if lag is None or lag > exam.steps:
            continue
        what = "overflows" if overflow.size else "rises above 1000 times its end value"
        yield Finding(
            Severity.ERROR if overflow.size else Severity.WARNING,
            layer.place(),
            f"the gradient {what} {lag} steps back of {live.steps}",
            "a step of training follows the earliest inputs alone; clipping does not change its direction",
            "unitcircle.dynamics.calibrate_(model, batch), or lower the recurrent gain",
            {"lag": lag, "steps": live.steps, "growth_rate": live.growth_rate, "log_norm": live.log_gradient.tolist()},
        )


@rule("UC203", "saturated-units")
def saturated_units(exam: Examination) -> Iterator[Finding]:
    """More than half of the units are pressed against ±1.

    ## What was found
    Over the batch and all steps, more than half of the values of tanh (h of a plain RNN or GRU, tanh c of an LSTM) have
    a modulus of 0.95 or more.

    ## Why it matters
    At 0.95 the slope of tanh is 0.1: a saturated unit passes a tenth of a gradient or less, at every step. The state
    then holds signs rather than numbers.

    ## Remedy
    Scale the inputs (their standard deviation to 1 or below) and the input weights first, then the recurrent gain.
    """
    for layer, live in _measured(exam):
        if live.saturation > 0.5:
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"{live.saturation:.0%} of the units' values lie beyond ±0.95",
                "a saturated unit passes less than a tenth of the gradient at every step",
                "scale inputs and input weights down, then the recurrent weight",
                {"saturation": live.saturation},
            )


@rule("UC204", "collapsed-state")
def collapsed_state(exam: Examination) -> Iterator[Finding]:
    """The hidden state ends at the origin, whatever the input was.

    ## What was found
    The root mean square of h at the last step is below 1/1000 (for unbounded activations: of the largest it had).

    ## Why it matters
    At the origin all inputs look alike: what a readout of the last state sees is its own bias. It is the most telling
    finding before training: in the study `prediction` 70 % of the 177 runs with it, of all eleven families of
    initializers, stayed at the baseline, of the others of their setting 18 %.

    ## Remedy
    A recurrent gain of 1 or slightly above, or, for a gated cell, longer gates (Chrono). If the sequence ends in
    padding, read the state at the true end.
    """
    for layer, live in _measured(exam):
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
    It counts the directions in which states differ: what differs in one direction only is, to a readout, one number.
    Among the 1,344 runs of the study `prediction` (32 initializers, five kinds of task, three cells) the 812 with fewer
    than two directions before training ended worse than the others of their setting (mean place .45 against .56,
    p = .006), 26 % against 15 % of them stuck at the baseline. It is a screening: it says nothing about one seed
    against another.

    ## Remedy
    Keep more directions alive: orthogonal or block-rotation recurrent weights; avoid identity-like ones. A batch of
    near-equal sequences shows the same, and then it is the batch.
    """
    for layer, live in _measured(exam):
        if live.largest_dimension >= MANY and live.dimension < 2:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"the last states of {live.sequences} sequences differ in {live.dimension:.1f} directions of "
                f"{live.largest_dimension} possible",
                "to a readout of the last state they are hardly more than one number",
                "orthogonal or block_rotation recurrent weights; longer gates in an LSTM or GRU",
                {"effective_dimension": live.dimension, "largest": live.largest_dimension},
            )


@rule("UC206", "chaos")
def chaos(exam: Examination) -> Iterator[Finding]:
    """The state is chaotic: its leading Lyapunov exponent is above 0 by more than three standard errors.

    ## What was found
    Along the trajectories of your batch small differences of the state grow on average, by the leading exponent (nats
    per step), and by more than a factor e over the length. The exponent is the growth rate of ‖∂h_T/∂s_t‖ with the
    lag; its error comes from blocks of time and from the scatter over sequences.

    ## Why it matters
    In chaos the last state depends on the first rounding errors as well as on the inputs, and the gradient grows
    likewise: training follows noise. Slightly above 0 can be useful, and training itself often drives it there.

    ## Remedy
    A smaller recurrent gain: `unitcircle.dynamics.calibrate_(model, batch)`.
    """
    for layer, live in _measured(exam):
        if live.exponent > SIGMAS * live.exponent_stderr and live.exponent * live.steps > 1:
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"the leading Lyapunov exponent is {live.exponent:+.3f} ± {live.exponent_stderr:.3f} nats per step: "
                f"differences grow ×{math.exp(min(live.exponent * live.steps, 700)):.3g} over {live.steps} steps",
                "the last state depends on rounding errors as it does on the inputs",
                "unitcircle.dynamics.calibrate_(model, batch), or lower the recurrent gain",
                {"exponent": live.exponent, "stderr": live.exponent_stderr},
            )


@rule("UC207", "constant-units")
def constant_units(exam: Examination) -> Iterator[Finding]:
    """Units whose output never changes, over all steps and sequences of the batch.

    ## What was found
    The units named have the same h at every step of every sequence, to the rounding of the stored weights: ReLU units
    that are always 0, or units saturated for good.

    ## Why it matters
    A dead unit has no gradient, so that training cannot wake it, and it costs as much as the others.

    ## Remedy
    ReLU: smaller negative biases, an identity or orthogonal recurrent weight, a lower learning rate if training killed
    them. Saturated: smaller biases and input weights. Pass a larger batch before you conclude.
    """
    for layer, live in _measured(exam):
        if live.dead:
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"{len(live.dead)} of {live.units} units never change: {_listed(live.dead)}",
                "a dead unit has no gradient: training cannot wake it",
                "smaller biases and input weights; for ReLU, recurrent='identity' or 'orthogonal'",
                {"dead": list(live.dead), "units": live.units},
            )


def _listed(units: tuple[int, ...]) -> str:
    return ", ".join(map(str, units[:8])) + (", ..." if len(units) > 8 else "")


@rule("UC208", "short-gates")
def short_gates(exam: Examination) -> Iterator[Finding]:
    """No unit of an LSTM or GRU keeps its state for the length of the batch.

    ## What was found
    The keeping gate (f of an LSTM, z of a GRU) was read along your batch. Even for the unit that keeps most, the
    product of its activations falls below 1/1000 within the length, and ∂h_T/∂s_t with it. A warning from 100 steps
    on, a note below.

    ## Why it matters
    What a unit keeps by its gate is the memory that needs no training. In our pilot (LSTM, 164 steps with a delay)
    accuracy was .14 with a forget bias of 1 and .81 with Chrono's spread of biases; on the same digits without delay
    (64 steps) .970 and .947.

    ## Remedy
    `initialize_(model, bias="chrono(max_steps=T)")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`: time
    constants from 2 to T, with the input gate closed by as much as the forget gate is open. One bias for all units is
    no substitute: the spread matters.
    """
    for layer, live in _measured(exam):
        gate = layer.layer.cell.keeping
        activity = live.gates.get(gate)
        # A trained cell may carry by its other paths what its gates let go: then nothing is lost.
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
        )
