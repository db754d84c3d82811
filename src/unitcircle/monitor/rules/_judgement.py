"""What several rules judge in the same way: low and falling losses, and how long something has held."""

from __future__ import annotations

import numpy as np

from unitcircle.monitor._history import Series

CONFIRMED = 3
"""Measurements in a row that confirm it."""
LEARNED = 0.5
"""Share of its first value below which the loss is low: small gradients are then expected."""


def fell(before: float, now: float, by: float) -> bool:
    """Return whether a value has fallen by more than a share of it."""
    return before - now > by * abs(before)


def is_low(loss: Series) -> bool:
    """Return whether the loss has fallen below half of its first value."""
    return fell(loss.first, loss.now, 1 - LEARNED)


def run_at_end(flags: np.ndarray) -> int:
    """Return how many flags in a row are set at the end."""
    clear = np.flatnonzero(~flags[::-1])
    return int(clear[0]) if clear.size else len(flags)
