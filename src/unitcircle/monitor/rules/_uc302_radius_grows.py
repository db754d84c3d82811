"""Rule UC302, radius-grows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis import Finding, Severity
from unitcircle.monitor._history import History, Series
from unitcircle.monitor._weights import WeightRole
from unitcircle.monitor.rules._judgement import CONFIRMED, fell, is_low, run_at_end
from unitcircle.monitor.rules._registry import rule

RADIUS = 1.5
"""Spectral radius, and multiple of its first value, above which growth is reported."""
GROWN = 1.02
"""Growth over the measurements looked at that counts: twice the error of a warm-started ρ."""
FALLING = 0.9
"""Share of the losses before below which the latest losses are falling."""


@rule("UC302", "radius-grows")
def radius_grows(history: History) -> Iterator[Finding]:
    """The spectral radius of a recurrent weight has passed 1.5, and 1.5 times its first value, and is still growing.

    ## What was found
    ρ is above both thresholds, has not fallen at any of the last three measurements, and has grown by more than 2 %
    over them.

    ## Why it matters
    In a plain cell the linear part of a step multiplies the state by up to ρ. Only saturation bounds the state, and
    saturated units pass no gradient. The finding is a note while the loss falls or is below half of its first value
    (plain tanh networks that learn long dependencies often end with ρ of 2 or 3), and in a gated cell, where ρ of one
    gate block does not determine the dynamics.

    ## Remedy
    A smaller learning rate, clipping, weight decay on the recurrent weight, or a penalty on growth of the gradient in
    time, which in PyTorch is `unitcircle.torch.pascanu_omega`.
    """
    loss = history.series("loss")
    learns = is_low(loss) or _falls(loss)
    for name, place, role in history.blocks():
        if role is WeightRole.SQUARE:
            continue
        radius = history.series(f"{name}/radius")
        last, threshold = radius.values[-CONFIRMED - 1 :], RADIUS * max(1.0, radius.first)
        if len(last) <= CONFIRMED or not radius.now > threshold:
            continue
        if (np.diff(last) >= 0).all() and last[-1] > GROWN * last[0]:
            passed = int(radius.steps[-run_at_end(radius.values > threshold)])
            yield Finding(
                Severity.NOTE if role is WeightRole.GATE or learns else Severity.WARNING,
                place,
                f"the spectral radius passed {threshold:.3g} by step {passed} and is still "
                f"growing: {last[0]:.3g} → {radius.now:.3g} since step {int(radius.steps[-len(last)])}",
                "only saturation bounds the state of a plain cell with ρ > 1, and saturated units pass no gradient",
                "lower the learning rate, clip the gradient, decay the weight, or penalise growth of the gradient in "
                "time (in PyTorch unitcircle.torch.pascanu_omega)",
                {"radius": radius.now, "first": radius.first, "passed": passed, "latest": last.tolist()},
            )


def _falls(loss: Series) -> bool:
    """Whether the latest losses are lower than those before."""
    before, latest = loss.values[:-CONFIRMED], loss.values[-CONFIRMED:]
    return len(before) > 0 and fell(float(np.median(before)), float(np.median(latest)), 1 - FALLING)
