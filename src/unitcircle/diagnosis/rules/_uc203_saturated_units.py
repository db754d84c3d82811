"""Rule UC203, saturated-units."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers


@rule("UC203", "saturated-units")
def saturated_units(exam: Examination) -> Iterator[Finding]:
    """More than half of the values of tanh are beyond ±0.95.

    ## What was found
    Over the batch and all steps, more than half of the values of tanh (h of a plain RNN or GRU, tanh c of an LSTM) have
    a modulus of 0.95 or more.

    ## Why it matters
    At 0.95 the slope of tanh is 0.1: such a unit passes at most a tenth of a gradient at every step. By itself this is
    no defect: among the 1,344 runs of the study `prediction` those with this finding did not end worse than the others
    of their setting (mean place .49 against .50, 7 % against 16 % at the baseline: means over settings with the weights
    of Mantel and Haenszel, not shares of all runs). It is a note, which explains a gradient that vanishes (UC201).

    ## Remedy
    Scale down the inputs (to a standard deviation of at most 1) and the input weights first, then the recurrent gain.
    """
    for layer, live in live_layers(exam):
        if live.saturation > 0.5:
            yield Finding(
                Severity.NOTE,
                layer.place(),
                f"{live.saturation:.0%} of the units' values lie beyond ±0.95",
                "there a unit passes less than a tenth of the gradient at every step",
                "scale inputs and input weights down, then the recurrent weight",
                {"saturation": live.saturation},
            )
