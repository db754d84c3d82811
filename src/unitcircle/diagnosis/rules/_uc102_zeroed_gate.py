"""Rule UC102, zeroed-gate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule


@rule("UC102", "zeroed-gate", fix="safe")
def zeroed_gate(exam: Examination) -> Iterator[Finding]:
    """A gate has no recurrent weight, while another gate of the same layer has one.

    ## What was found
    At least one gate block is exactly zero and at least one is not. `torch.nn.init.eye_(lstm.weight_hh_l0)` does
    this: the identity fits into the block of the first gate, and every other block of the stack becomes zero.

    ## Why it matters
    The zeroed gates ignore the hidden state until training changes their weights. With a zeroed candidate (`g`, `n`),
    no part of the hidden state enters the new candidate state.

    ## Remedy
    Initialize gate by gate: `initialize_(model, recurrent="identity")` of `unitcircle.torch`, `unitcircle.keras` or
    `unitcircle.jax`, or by hand with a scaled identity in each block.
    """
    for layer in exam.layers:
        zero = [gate for gate, block in layer.blocks.items() if not block.any()]
        if not zero or len(zero) == len(layer.blocks):
            continue
        others = [gate for gate in layer.blocks if gate not in zero]
        eye = [gate for gate in others if np.array_equal(layer.blocks[gate], np.eye(layer.layer.hidden_size))]
        trace = f"; gate {eye[0]} is the identity, which is the result of eye_ on the stack" if eye else ""
        yield Finding(
            Severity.ERROR,
            layer.place(",".join(zero)),
            f"the recurrent weight of gate{'s' * (len(zero) > 1)} {', '.join(zero)} is exactly zero{trace}",
            "these gates cannot see the hidden state",
            f"initialize gate by gate: {initialize_call(layer, recurrent='identity')}",
            {"zero": zero, "identity": eye},
            action={"recurrent": "identity"},
        )
