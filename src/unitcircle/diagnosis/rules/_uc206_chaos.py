"""Rule UC206, chaos."""

from __future__ import annotations

import math
from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._growth_remedy import growth_remedy
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers

ROUNDING = 2.0**-24
"""Unit roundoff of float32, in which networks are trained."""
VISIBLE = 0.1
"""Rounding that has grown to this share of the state is as large as the state itself, for a reader of it."""
SIGMAS = 3


@rule("UC206", "chaos")
def chaos(exam: Examination) -> Iterator[Finding]:
    """The leading Lyapunov exponent is above 0: small differences of the state grow along your batch.

    ## What was found
    Along the trajectories of your batch, small differences of the state grow on average, at the rate λ of the leading
    exponent (nats per step), which is above 0 by more than three standard errors, and by more than a factor e over the
    length T. The exponent is the growth rate of ‖∂h_T/∂s_t‖ with the lag; its error is estimated from blocks of time
    and from the scatter over sequences.

    ## Why it matters
    A gradient grows at the same rate on its way back. The finding is a warning where the rounding of float32, 6·10⁻⁸,
    grows to a tenth of the state (λT above 14): then the last state depends on rounding as it does on the inputs.
    Below, rounding stays invisible and it is a note: in the study `prediction` such networks ended no worse than the
    others of their setting, and training often leads to an exponent slightly above 0.

    ## Remedy
    A smaller recurrent gain: `unitcircle.dynamics.calibrate_(model, batch)`, or, for a plain cell,
    `recurrent="critical(input_std=s)"`, s the standard deviation of U x: the gain at which λ is 0 in a wide network.
    In our study (docs/results/critical-modulus.md) it trained best on copying; on digits with blank steps an orthogonal
    weight of modulus 1.1 was better from s = 0.3 on.
    """
    for layer, live in live_layers(exam):
        growth = live.exponent * live.steps
        # An exponent that is not known, of a state that is cut off, is NaN.
        if not (live.exponent > SIGMAS * live.exponent_stderr and growth > 1):
            continue
        rounding = math.exp(min(growth, 700)) * ROUNDING
        visible = rounding >= VISIBLE
        of_rounding = f", and the rounding of float32, {ROUNDING:.0e}, to {min(rounding, 1):.1g} of a state" * visible
        remedy, action = growth_remedy(layer, exam)
        yield Finding(
            Severity.WARNING if visible else Severity.NOTE,
            layer.place(),
            f"the leading Lyapunov exponent is {live.exponent:+.3f} ± {live.exponent_stderr:.3f} nats per step: "
            f"differences grow ×{math.exp(min(growth, 700)):.3g} over {live.steps} steps{of_rounding}",
            "the last state depends on rounding as it does on the inputs"
            if visible
            else "a gradient grows at this rate on its way back",
            remedy,
            {"exponent": live.exponent, "stderr": live.exponent_stderr, "rounding": rounding},
            action=action if visible else {},
        )
