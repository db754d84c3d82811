"""Rule UC202, gradient-explodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._growth_remedy import growth_remedy
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers


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
    the standard deviation of U x. That stops the growth; in our study (docs/results/critical-modulus.md) it trained
    best on copying, while on digits with blank steps an orthogonal weight of modulus 1.1 was better from s = 0.3 on.
    During training, penalize growth of the gradient in time with Pascanu's Ω (`unitcircle.torch.pascanu_omega`).
    """
    for layer, live in live_layers(exam):
        overflow = np.flatnonzero(np.isposinf(live.log_gradient))
        lags = (live.first_lag(1 / LOST, of=of) for of in ("gradient", "jacobian"))
        lag = int(overflow[0]) if overflow.size else next((lag for lag in lags if lag is not None), None)
        if lag is None or lag > exam.steps:
            continue
        what = "overflows" if overflow.size else "rises above 1000 times its end value"
        remedy, action = growth_remedy(layer, exam)
        yield Finding(
            Severity.ERROR if overflow.size else Severity.WARNING,
            layer.place(),
            f"the gradient {what} {lag} steps back of {live.steps}",
            "a step of training depends on the earliest inputs only; clipping does not change its direction",
            remedy,
            {"lag": lag, "steps": live.steps, "growth_rate": live.growth_rate, "log_norm": live.log_gradient.tolist()},
            action=action,
        )
