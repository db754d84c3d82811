"""Means of correlated series, with the error that blocks of them show."""

from __future__ import annotations

__all__ = ["BLOCKS", "block_error", "blocks_of"]

import numpy as np

BLOCKS = 20
"""How many blocks a series is cut into: their scatter then knows the error to about 16 %."""


def blocks_of(steps: int, /, *, blocks: int = BLOCKS) -> np.ndarray:
    """Return the edges ``0 = e_0 < ... < e_b = steps`` of nearly equal blocks, at most one a step."""
    count = max(1, min(blocks, steps))
    return np.linspace(0, steps, count + 1).round().astype(int)


def block_error(means: np.ndarray, lengths: np.ndarray, /) -> np.ndarray:
    """Return the standard error of the weighted mean of blocks, taken as independent: ``s / √b``.

    Parameters
    ----------
    means
        Mean of every block ``(b, ...)``.
    lengths
        Steps in every block ``(b,)``, the weights.

    Returns
    -------
    numpy.ndarray
        Shape ``(...)``; NaN for a single block, which has no scatter, and where a block is infinite.

    References
    ----------
    Flyvbjerg and Petersen, Error estimates on averages of correlated data, J. Chem. Phys. 91 (1989), eq. 28.
    """
    if len(means) < 2:
        return np.full(means.shape[1:], np.nan)
    weights = (lengths / lengths.sum()).reshape(-1, *[1] * (means.ndim - 1))
    with np.errstate(invalid="ignore"):
        residual = means - (weights * means).sum(0)
        scatter = (weights * residual**2).sum(0) / (len(means) - 1)
    return np.sqrt(scatter)
