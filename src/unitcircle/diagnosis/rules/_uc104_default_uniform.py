"""Rule UC104, default-uniform."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial

import numpy as np

from unitcircle.diagnosis._examination import Examination
from unitcircle.diagnosis._finding import Finding, Severity
from unitcircle.diagnosis._remedy import initialize_call
from unitcircle.diagnosis._rule import rule
from unitcircle.diagnosis._training import p_value_of, uniform
from unitcircle.diagnosis.rules._layers import MANY
from unitcircle.diagnosis.rules._task import no_remedy, worth

ENOUGH = 200_000
"""Of larger stacks so many entries are tested."""


@rule("UC104", "default-uniform", fix="unsafe")
def default_uniform(exam: Examination) -> Iterator[Finding]:
    """The recurrent weight is the framework's default, uniform on ±1/√n, unchanged by training.

    ## What was found
    The gate blocks pass a Kolmogorov-Smirnov test for the uniform law on (−1/√n, 1/√n) at the 1 % level, for which
    200,000 evenly spaced entries of a large layer are taken, and no entry lies outside. This is torch's initialization
    of `nn.RNN`, `nn.GRU` and `nn.LSTM`.

    ## Why it matters
    Entries of standard deviation 1/√(3n) give a spectral radius of 1/√3 ≈ 0.577: in a plain RNN a gradient loses
    half a decade every two steps. On our delayed-digits task the default stayed at chance, and every orthogonal
    initialization learned. For an LSTM or GRU it matters less than the bias of the forget gate (UC110), and the finding
    is a note. So it is in a live model whose batch shows that the task needs nothing far (UC201): such networks trained
    as well as they were (docs/results/verdicts.md).

    ## Remedy
    Use `initialize_(model, recurrent="orthogonal")` of `unitcircle.torch`, `unitcircle.keras` or `unitcircle.jax`; for
    a plain RNN with a long delay, block rotations. In a live model the remedy is that of UC201.
    """
    for layer in exam.layers:
        n = layer.layer.hidden_size
        if not layer.finite or n < MANY or not layer.blocks:
            continue
        bound = 1 / math.sqrt(n)
        entries = layer.stack.ravel()
        reach = float(np.abs(entries).max())
        if reach > bound * (1 + 4 * layer.layer.source.eps) or reach < bound * (1 - 12 / entries.size):
            continue
        some = np.sort(entries[:: max(1, entries.size // ENOUGH)])
        p_value = p_value_of(some, partial(uniform, bound))
        if p_value < 0.01:
            continue
        radii = {gate: float(s.radius) for gate, s in layer.spectra.items()}
        severity = Severity.NOTE if layer.layer.cell.gated else Severity.WARNING
        severity, action = worth(exam, layer, severity, {"recurrent": "orthogonal"})
        yield Finding(
            severity,
            layer.place(),
            f"recurrent weights are still the default U(±1/√{n}): spectral radius {max(radii.values()):.2f}, near "
            "1/√3 = 0.58",
            "a signal through such a weight alone loses 42 % a step",
            initialize_call(layer, **action) if action else no_remedy(exam),
            {"bound": bound, "largest_entry": reach, "ks_p_value": p_value, "radius": radii},
            action=action,
        )
