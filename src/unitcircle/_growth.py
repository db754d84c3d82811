"""How fast a curve of log-norms grows with lag or depth, and where it has changed by a factor."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from unitcircle._series import block_error, blocks_of
from unitcircle.errors import ArgumentError


class Step(NamedTuple):
    """One step back: in which layer, from which lag, and how much it changes the log-norm (nats)."""

    layer: str
    lag: int
    change: float


def span(log_norms: np.ndarray, /) -> slice:
    """Return the lags a curve ``(L + 1, B)`` can be followed over: from where the loss reaches it, while finite."""
    finite = np.asarray(np.isfinite(log_norms).all(-1))
    start = int(np.argmax(finite)) if finite.any() else finite.size
    rest = finite[start:]
    return slice(start, start + (rest.size if rest.all() else int(np.argmin(rest))))


def _increments(log_norms: np.ndarray) -> np.ndarray:
    return np.diff(log_norms[span(log_norms)], axis=0).mean(-1)


def growth(log_norms: np.ndarray, /) -> tuple[float, float]:
    """Return growth rate and standard error of a curve ``(L + 1, B)`` of log-norms, nats per step."""
    # The rate is the mean change per step, (log ‖g_L‖ − log ‖g_0‖) / L, averaged over the batch; its error is
    # that of blocks of consecutive steps, whose changes are those of a product of matrices, not of noise around a
    # line.
    # Shapes: log_norms (L + 1, B)
    steps = _increments(log_norms)
    if not steps.size:
        return math.nan, math.nan
    edges = blocks_of(steps.size)
    lengths = np.diff(edges)
    means = np.add.reduceat(steps, edges[:-1]) / lengths
    return float(steps.mean()), float(block_error(means, lengths))


def horizon(log_norms: np.ndarray, factor: float, /) -> float:
    """Return the lag at which the mean log-norm ``(L + 1, B) -> (L + 1,)`` has changed by a factor."""
    # The reference is the norm at the first lag that the loss reaches; the answer is a lag, counted from lag 0.
    if not 0 < factor < math.inf or factor == 1:
        raise ArgumentError("factor", "must be a positive number other than 1", f"{factor}")
    start = span(log_norms).start
    if start == len(log_norms):
        return math.nan
    change = log_norms[start:].mean(-1) - log_norms[start].mean()
    target = math.log(factor)
    passed = change <= target if target < 0 else change >= target
    return float(start + np.argmax(passed)) if passed.any() else math.inf


def steepest(layers: tuple[str, ...], log_norms: np.ndarray, /) -> Step | None:
    """Return the step back that loses most, of all layers of curves ``(L + 1, layers, B)``; None without a step."""
    found: list[Step] = []
    for k, layer in enumerate(layers):
        changes = _increments(log_norms[:, k])
        if changes.size:
            worst = int(np.argmin(changes))
            found.append(Step(layer, span(log_norms[:, k]).start + worst, float(changes[worst])))
    return min(found, key=lambda step: step.change, default=None)
