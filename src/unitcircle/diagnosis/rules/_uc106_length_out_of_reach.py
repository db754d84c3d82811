"""Rule UC106, length-out-of-reach."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._driven import LOST, DrivenDynamics
from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import Action, helpful_action, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.recurrence import Cell

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
