"""Means of correlated series, with the error that blocks of them show."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import namespace

BLOCKS = 20
"""How many blocks a series is cut into: their scatter then knows the error to about 16 %."""


def blocks_of(steps: int, /, *, blocks: int = BLOCKS) -> np.ndarray:
    """Return the edges ``0 = e_0 < ... < e_b = steps`` of nearly equal blocks, at most one a step."""
    count = max(1, min(blocks, steps))
    return np.linspace(0, steps, count + 1).round().astype(int)


def block_error(means: Any, lengths: np.ndarray, /) -> Any:
    """Return the standard error of the weighted mean of blocks, taken as independent: ``s / √b``."""
    # Shapes: means (b, ...), lengths (b,) -> (...)
    #
    # Flyvbjerg and Petersen, Error estimates on averages of correlated data, J. Chem. Phys. 91 (1989), eq. 28.
    if len(lengths) < 2:
        return means[0] * np.nan
    with np.errstate(invalid="ignore"):
        residual = means - _mean(means, lengths)
        return namespace(means).sqrt(_mean(residual**2, lengths) / (len(lengths) - 1))


def estimates(means: Any, lengths: np.ndarray, tolerance: float, /) -> tuple[Any, Any, Any]:
    """Return means over time in descending order, standard errors and convergence, from means of blocks."""
    # Shapes: means (b, ..., k), lengths (b,) -> (..., k)
    xp = namespace(means)
    average, stderr = _mean(means, lengths), block_error(means, lengths)
    half = max(1, len(lengths) // 2)
    early, late = _mean(means[:half], lengths[:half]), _mean(means[-half:], lengths[-half:])
    with np.errstate(invalid="ignore"):
        # Each half has twice the variance of the whole, their difference four times.
        apart = xp.abs(early - late)
        agree = ((apart <= 6.0 * stderr) | (apart <= tolerance)) & (stderr <= tolerance)
    converged = agree | ((early == late) & (early == -np.inf))
    order = xp.argsort(-average, axis=-1, stable=True)
    return (
        xp.take_along_axis(average, order, axis=-1),
        xp.take_along_axis(stderr, order, axis=-1),
        xp.take_along_axis(converged, order, axis=-1),
    )


def _mean(means: Any, lengths: np.ndarray) -> Any:
    xp = namespace(means)
    weights = (lengths / lengths.sum()).reshape(-1, *[1] * (means.ndim - 1))
    return xp.sum(xp.asarray(weights, dtype=means.dtype) * means, axis=0)
