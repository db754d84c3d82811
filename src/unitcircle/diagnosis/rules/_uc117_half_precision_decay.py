"""Rule UC117, half-precision-decay."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis.rules._layers import linear_layers


@rule("UC117", "half-precision-decay", status="preview")
def half_precision_decay(exam: Examination) -> Iterator[Finding]:
    """A parameter of the decay is stored in half precision.

    ## What was found
    `A_log`, `dt_bias` or another parameter of the decay is bfloat16 or float16. The finding states by how much the
    memory of a head can have moved by this rounding. Where that is more than a tenth it is UC111 instead.

    ## Why it matters
    These parameters are logarithms, so that rounding changes a memory by a few percent and not by its order. While
    training, an update below 0.4 % of the value is lost: the authors of Mamba keep them in float32.

    ## Remedy
    Keep the parameters of the decay in float32 for training; for inference nothing is needed.
    """
    for layer, linear in linear_layers(exam):
        stored = linear.in_half_precision
        error = float(np.max(linear.rounding, initial=0.0))
        if not stored or linear.family.fixed:
            continue
        names = ", ".join(stored)
        yield Finding(
            Severity.NOTE,
            layer.place(next(iter(stored))),
            f"{names} stored as {', '.join(sorted(set(stored.values())))}: the memory of a head is off by at most "
            f"{error:.1%}",
            "small updates of the decay are lost while training",
            f"keep {names} in float32 for training",
            {"stored": stored, "largest_relative_error": error},
        )
