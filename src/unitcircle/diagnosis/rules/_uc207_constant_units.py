"""Rule UC207, constant-units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedies import freeing, mostly_dead
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import live_layers


@rule("UC207", "constant-units")
def constant_units(exam: Examination) -> Iterator[Finding]:
    """The output of some units is constant over all steps and sequences of the batch.

    ## What was found
    The reported units have the same h at every step of every sequence, to the rounding of the stored weights: ReLU
    units that are always 0, or units that are always saturated. It is a warning where they are at least half of the
    units, and a note below: before training, 17 of the 64 units of an identity-initialized ReLU network did not move on
    a batch.

    ## Why it matters
    A dead unit has no gradient, so training cannot change it, and it costs as much as the other units. ReLU networks
    whose biases of −2 or −3 held every unit at 0 stayed at the error of a constant answer on four tasks, and learned
    each of them once the units were free, the first of 25 inputs with identity weights besides
    (docs/results/verdicts.md).

    ## Remedy
    Where the biases hold the units, which is measured (the report says how many of them change over the same batch
    with every bias at 0): `initialize_(model, bias="zeros")`, of ReLU `bias="constant(value=s)"`, s the standard
    deviation of U x, so that most of the drive is above 0. Else ReLU: an identity or orthogonal recurrent weight, or a
    lower learning rate if the units died during training; saturated: smaller input weights. Confirm the finding on a
    larger batch first.
    """
    for layer, live in live_layers(exam):
        if live.dead:
            identity = all(np.array_equal(block, np.eye(len(block))) for block in layer.blocks.values())
            weight = "" if identity else "; for ReLU, recurrent='identity' or 'orthogonal'"
            free = freeing(layer.layer, live) if mostly_dead(live) else {}
            moved = f"; with every bias at 0, {live.revived} of them do" if live.revived else ""
            yield Finding(
                Severity.WARNING if 2 * len(live.dead) >= live.units else Severity.NOTE,
                layer.place(),
                f"{len(live.dead)} of {live.units} units never change: {_first_of(live.dead)}{moved}",
                "a dead unit has no gradient: training cannot change it",
                initialize_call(layer, **free) if free else f"smaller biases and input weights{weight}",
                {"dead": list(live.dead), "units": live.units, "revived": live.revived},
                action=free,
            )


def _first_of(units: tuple[int, ...]) -> str:
    return ", ".join(map(str, units[:8])) + (", ..." if len(units) > 8 else "")
