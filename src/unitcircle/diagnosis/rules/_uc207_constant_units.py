"""Rule UC207, constant-units."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
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
    A dead unit has no gradient, so training cannot change it, and it costs as much as the other units.

    ## Remedy
    ReLU: use smaller negative biases, an identity or orthogonal recurrent weight, or a lower learning rate if the units
    died during training. Saturated: use smaller biases and input weights. Confirm the finding on a larger batch first.
    """
    for layer, live in live_layers(exam):
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
