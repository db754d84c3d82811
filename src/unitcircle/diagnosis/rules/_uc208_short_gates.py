"""Rule UC208, short-gates."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers
from unitcircle.diagnosis.rules._task import no_remedy, severity_of_forgetting, worth


@rule("UC208", "short-gates")
def short_gates(exam: Examination) -> Iterator[Finding]:
    """No unit of an LSTM or GRU keeps its state for the length of the batch.

    ## What was found
    The gate that keeps the state (f of an LSTM, z of a GRU) was recorded along your batch. Even for the unit that keeps
    most, the product of its activations falls below 1/1000 within the length, and so does ∂h_T/∂s_t. The finding is a
    warning where UC201 would be one: not where what is near tells enough of the target.

    ## Why it matters
    What the gate of a unit keeps is the memory that needs no training. In our pilot (LSTM, 164 steps with a delay)
    accuracy was .14 with a forget bias of 1 and .81 with Chrono's spread of biases; on the same digits without delay
    (64 steps) it was .970 and .947. On tasks of 10 to 100 steps (docs/results/verdicts.md) Chrono's spread improved
    the mean score of all 16 LSTMs and GRUs whose target lay beyond reach or was spread over all steps, of 13 beyond the
    noise of five seeds, and made most others worse.

    ## Remedy
    Use `initialize_(model, bias="chrono(max_steps=T)")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`:
    time constants from 2 to T, with the input gate closed by as much as the forget gate is open. One bias for all units
    is no substitute: the spread matters.
    """
    for layer, live in live_layers(exam):
        gate = layer.layer.cell.keeping
        activity = live.gates.get(gate)
        # Other paths of a trained cell may carry what its gates forget: then nothing is lost.
        lost = live.first_lag(LOST, of="jacobian") is not None
        if activity is None or not lost or activity.slowest * exam.steps > math.log(LOST):
            continue
        memory = math.log(LOST) / activity.slowest
        severity, action = worth(exam, layer, severity_of_forgetting(exam, layer), {})
        yield Finding(
            severity,
            layer.place(gate),
            f"the unit whose gate {gate} is widest open keeps {math.exp(activity.slowest):.2f} a step: 1/1000 is left "
            f"after {memory:.0f} of {exam.steps} steps",
            "no unit remembers for the length of the sequence before training has begun",
            initialize_call(layer, **action) if action else no_remedy(exam),
            {"slowest": activity.slowest, "openness": activity.openness, "memory": memory, "steps": exam.steps},
            action=action,
        )
