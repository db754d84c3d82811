"""Rule UC204, collapsed-state."""

from __future__ import annotations

from collections.abc import Iterator

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedies import freeing, mostly_dead
from unitcircle.diagnosis._remedy import best_action, initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers


@rule("UC204", "collapsed-state")
def collapsed_state(exam: Examination) -> Iterator[Finding]:
    """The hidden state ends at the origin for every input.

    ## What was found
    The root mean square of h at the last step is below 1/1000 (for unbounded activations: 1/1000 of its maximum).

    ## Why it matters
    At the origin all inputs look alike, and the output of a readout of the last state is its bias. This is the most
    informative finding before training: in the study `prediction` 177 of 1,344 runs had it, from all eleven families
    of initializers; 70 % of them stayed at the baseline against 18 % of the others, both means over settings with the
    weights of Mantel and Haenszel, not shares of all runs. It was so again among 360 runs of tanh networks with 20
    other recurrent weights (59 % against 9 %).

    ## Remedy
    Where the biases hold the units at 0 (UC207): free them. If the sequence ends in padding (UC210), read the
    state at the end of the data. Else use a recurrent gain of 1 or slightly above, or, for a gated cell, a longer
    memory of the gates (Chrono).
    """
    for layer, live in live_layers(exam):
        if live.distance is None:
            continue
        end, peak = float(live.distance[-1]), float(live.distance.max())
        if end < LOST * max(peak, 1.0):
            dead = mostly_dead(live)
            action = freeing(layer.layer, live) if dead else {} if live.padding else best_action(layer, exam)
            instead = (
                "read the state before the padding"
                if live.padding
                else "raise the recurrent gain, or lengthen the gates"
            )
            yield Finding(
                Severity.WARNING,
                layer.place(),
                f"the hidden state has root mean square {end:.2g} at the last step (at most {peak:.2g} before)",
                "at the origin all inputs look alike",
                initialize_call(layer, **action) if action else instead,
                {"end": end, "peak": peak},
                action=action,
            )
