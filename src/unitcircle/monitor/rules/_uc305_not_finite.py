"""Rule UC305, not-finite."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from unitcircle.diagnosis import Finding, Place, Severity
from unitcircle.monitor._history import History, Series
from unitcircle.monitor.rules._registry import rule


@rule("UC305", "not-finite")
def not_finite(history: History) -> Iterator[Finding]:
    """A watched weight, its gradient or the loss is NaN or infinite.

    ## What was found
    The weight or the loss contains a NaN or an infinity, or the gradient does at two measurements in a row. (A single
    gradient that overflows is normal under mixed precision: the scaler then skips the step.)

    ## Why it matters
    A weight that contains a NaN stays NaN, so all later steps are useless.

    ## Remedy
    Go back to the last checkpoint with finite weights; clip the gradient's norm; check the data for values that are not
    finite. `torch.autograd.set_detect_anomaly(True)` or `jax.config.update("jax_debug_nans", True)` reports the
    operation that produced the first NaN.
    """
    remedy = "go back to a checkpoint with finite weights, clip the gradient, and check the data for NaN"
    for name, place, _ in history.blocks():
        radius, gradient = history.series(f"{name}/radius"), history.series(f"{name}/gradient")
        norm = history.series(f"{name}/norm")
        if _infinite(radius, 1) or _infinite(norm, 1):
            what = "the weight is not finite"
        elif _infinite(gradient, 2):
            what = "the gradient is not finite at two measurements in a row"
        else:
            continue
        evidence = {"step": history.step}
        message = f"{what} at step {history.step}"
        yield Finding(Severity.ERROR, place, message, "all later steps are useless", remedy, evidence)
    loss = history.series("loss")
    if _infinite(loss, 1):
        yield Finding(
            Severity.ERROR,
            Place(),
            f"the loss is {loss.now} at step {history.step}",
            "its gradient is not finite either",
            remedy,
            {"step": history.step, "loss": loss.now},
        )


def _infinite(series: Series, count: int) -> bool:
    return len(series) >= count and not np.isfinite(series.values[-count:]).any()
