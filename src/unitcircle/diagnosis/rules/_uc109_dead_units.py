"""Rule UC109, dead-units."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis._examination import Examination, LayerExamination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._rule import rule


@rule("UC109", "dead-units")
def dead_units(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is rank-deficient, or some units take no part in the recurrence.

    ## What was found
    Either the rows or the columns of some units are zero in every gate block, or a gate block has singular values at
    the level of rounding in the stored type. A low-rank RNN, whose rank is intended, is not reported; neither is a
    block that is entirely zero (UC102).

    ## Why it matters
    A unit whose column is zero has no effect on the recurrence; a unit whose row is zero receives nothing from it. A
    direction that the weight maps to zero stores nothing, and no gradient passes through it.

    ## Remedy
    If the network was not pruned, look for a mask, a dead activation, or a part of the tensor that was never
    initialized. Otherwise make the layer smaller.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if not layer.finite or n < 2 or not layer.blocks or layer.layer.factors is not None or not layer.stack.any():
            continue
        silent = np.flatnonzero(~layer.stack.any(axis=0))
        deaf = np.flatnonzero(~np.concatenate(list(layer.blocks.values()), axis=1).any(axis=1))
        for units, what in ((silent, "are never read: their columns"), (deaf, "receive nothing: their rows")):
            if units.size:
                yield Finding(
                    Severity.WARNING,
                    layer.place(),
                    f"{units.size} of {n} units {what} are zero in every gate (first: unit {units[0]})",
                    "they take no part in the recurrence",
                    "look for a mask or an uninitialized part of the tensor, or make the layer smaller",
                    {"units": units.tolist()},
                )
        if silent.size or deaf.size:
            continue
        full = min(n, layer.layer.output_size)
        ranks = {}
        for gate, s in layer.spectra.items():
            sigma = np.asarray(s.singular_values)
            rank = int((sigma > _rounding_level(layer, sigma)).sum()) if sigma[0] > 0 else full
            # One tiny singular value is chance: P(σ_n √n < y) ≈ y for a random weight.
            if rank < full - 1:
                ranks[gate] = rank
        if ranks:
            ranks_text = ", ".join(f"{gate} {rank}" for gate, rank in ranks.items())
            yield Finding(
                Severity.NOTE,
                layer.place(",".join(ranks)),
                f"gate blocks of {n} units have rank {ranks_text}",
                "in the missing directions nothing is remembered",
                "look for a mask or collapsed units; if the rank is intended, store the factors",
                {"rank": ranks, "units": n},
            )


def _rounding_level(layer: LayerExamination, sigma: np.ndarray) -> float:
    """Return the size to which rounding raises a singular value 0, in float32 arithmetic and in coarser storage."""
    # Storage rounds every entry independently: the error is a random matrix of norm 2·u·‖W‖_F/√n, not n·u·σ₁.
    n, eps = layer.layer.hidden_size, layer.layer.source.eps
    stored = 2 * eps * float(np.linalg.norm(sigma)) / math.sqrt(n)
    return max(n * min(eps, 2.0**-23) * float(sigma[0]), stored)
