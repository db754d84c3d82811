"""Rule UC103, identical-weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule


@rule("UC103", "identical-weights")
def identical_weights(exam: Examination) -> Iterator[Finding]:
    """Two gates, or two layers, hold the same recurrent weight.

    ## What was found
    Two blocks are equal to the last bit and are neither zero nor a multiple of the identity. The usual cause is a
    reused seed: one Keras `Initializer` instance that is called twice, or a generator that is seeded again before each
    layer. Layers that share one tensor on purpose are not reported.

    ## Why it matters
    Identical gates start with the same response to the hidden state, so the layer starts with fewer independent
    features than it has units. Identical layers are correlated without need.

    ## Remedy
    Draw every gate and layer independently: use one generator throughout, and never the same seed twice.
    """
    owners: dict[bytes, tuple[LayerExamination, str]] = {}
    for layer in exam.layers:
        for gate, block in layer.blocks.items():
            n = layer.layer.hidden_size
            if n < 2 or not layer.finite or np.array_equal(block, block[0, 0] * np.eye(n)):
                continue
            first = owners.setdefault(block.tobytes(), (layer, gate))
            if first == (layer, gate) or _same_tensor(first[0], layer):
                continue
            other = f"gate {first[1]}" if first[0] is layer else f"gate {first[1]} of {first[0].layer.label}"
            yield Finding(
                Severity.WARNING,
                layer.place(gate),
                f"the recurrent weight is the same, to the last bit, as that of {other}",
                "gates and layers that start equal are not independent features",
                "draw each block independently: one generator throughout, never the same seed twice",
                {"same_as": str(first[0].place(first[1]))},
            )


def _same_tensor(a: LayerExamination, b: LayerExamination) -> bool:
    one, two = a.layer.source.tensors, b.layer.source.tensors
    return a is not b and bool(one) and one[:1] == two[:1]
