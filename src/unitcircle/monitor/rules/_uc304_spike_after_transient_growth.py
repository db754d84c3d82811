"""Rule UC304, spike-after-transient-growth."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis import Finding, Severity
from unitcircle.monitor._history import History
from unitcircle.monitor._weights import WeightRole
from unitcircle.monitor.rules._judgement import CONFIRMED
from unitcircle.monitor.rules._registry import rule

SPIKE = 3.0
"""Multiple of the median of the last losses that is a spike ..."""
HIGHER = 1.5
"""... if it is so many times the highest peak of the measurements before, because losses of small batches scatter."""
LOOK_BACK = 10
TRANSIENT = math.log(2.0)
"""Transient growth (nats) that can make a spike."""


@rule("UC304", "spike-after-transient-growth")
def spike_after_transient_growth(history: History) -> Iterator[Finding]:
    """The loss spiked, and before it the transient growth of a recurrent weight had risen.

    ## What was found
    The largest loss since the last measurement is more than three times the median of the losses before, and more than
    1.5 times the largest of them. At the measurement before, ‖Wᵗ v‖ of a weight rose to more than twice what its
    spectral radius gives, and to more than 1.25 times the smallest such factor of the measurements before.

    ## Why it matters
    A non-normal weight can amplify a signal for some steps before it decays. The spectral radius does not show this
    transient growth, but the gradient over a sequence contains it, and an optimizer step can then be much too large.
    The finding reports the order of events and does not prove the cause. In a gated cell, where the powers of one gate
    block are not the dynamics, it is a note.

    ## Remedy
    Clip the gradient's norm; lower the learning rate of the recurrent weight; go back to the checkpoint before the
    growth began.
    """
    peak = history.series("loss_peak")
    # The losses at the measurements, and not the peaks, which depend on how many steps lie between.
    usual = history.series("loss").values[-LOOK_BACK - 1 : -1]
    if len(usual) < CONFIRMED or not math.isfinite(peak.now):
        return
    earlier = peak.values[-LOOK_BACK - 1 : -1]
    earlier = earlier[np.isfinite(earlier)]
    if not _rose(float(np.median(usual)), peak.now, SPIKE - 1):
        return
    if len(earlier) and not _rose(float(earlier.max()), peak.now, HIGHER - 1):
        return
    for name, place, role in history.blocks():
        if role is WeightRole.SQUARE:
            continue
        growth = history.series(f"{name}/transient")
        if len(growth) < CONFIRMED + 1:
            continue
        preceding, before = float(growth.values[-2]), growth.values[-LOOK_BACK - 2 : -2]
        if preceding > TRANSIENT and preceding > float(np.min(before)) + math.log(1.25):
            yield Finding(
                Severity.NOTE if role is WeightRole.GATE else Severity.WARNING,
                place,
                f"the loss spiked to {peak.now:.3g} (median before: {float(np.median(usual)):.3g}) between steps "
                f"{int(growth.steps[-2])} and {history.step}, after the transient growth of W had risen from "
                f"×{math.exp(float(np.min(before))):.2g} to ×{math.exp(preceding):.2g}",
                "a non-normal weight can amplify the gradient for some steps, and an optimizer step is then too large",
                "clip the gradient's norm, or lower the learning rate of the recurrent weight",
                {"loss_peak": peak.now, "usual": float(np.median(usual)), "transient": preceding},
            )


def _rose(before: float, now: float, by: float) -> bool:
    """Whether a number has risen by more than a share of its absolute value, so that a negative loss works too."""
    return now - before > by * abs(before)
