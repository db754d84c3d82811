"""Norms of powers to three digits, for figures: products in single precision, checked in double."""

from __future__ import annotations

import math

import numpy as np

from unitcircle._array import Weight
from unitcircle.spectra._scaled import LOG2, ScaledMatrix

SINGLE = 256
"""Units from which products, and not calls, take the time."""
AGREES = 1e-3
"""Largest difference (nats) from a product in double precision, after all the steps and after half of them."""


def in_single(w: Weight, steps: int, /) -> np.ndarray | None:
    """Return log ‖Wᵗ‖₂ for t = 0..steps of one large weight, or None where single precision does not give it."""
    # The singular vector found is multiplied by W as often in double precision. Where the powers have lost their
    # digits, as those of a weight far from normal may, its length grows otherwise.
    if w.batch or w.n < SINGLE or steps < 2:
        return None
    W = w.value
    whole = ScaledMatrix.of(W)
    factor = power = ScaledMatrix.of(whole.mantissa.astype(np.complex64 if np.iscomplexobj(W) else np.float32))
    logs = np.zeros(steps + 1)
    vector, rng = None, np.random.default_rng(0)
    for t in range(1, steps + 1):
        if t > 1:
            power = factor @ power
        logs[t], vector = power.log_norm_and_vector("spectral", vector, rng)
        if vector is None or not math.isfinite(logs[t]):
            return None
        if t in {steps // 2, steps} and not abs(_log_growth(whole.mantissa, vector, t) - logs[t]) <= AGREES:
            return None
    return logs + np.arange(steps + 1) * (whole.exponent * LOG2)


def _log_growth(W: np.ndarray, v: np.ndarray, steps: int) -> float:
    """Return log ‖Wᵗ v‖ − log ‖v‖ in double precision; NaN where it is exactly zero."""
    v = v.astype(W.dtype) / np.linalg.norm(v)
    total = 0.0
    for _ in range(steps):
        v = W @ v
        size = float(np.linalg.norm(v))
        if not size > 0:
            return math.nan
        total, v = total + math.log(size), v / size
    return total
