"""Norms of gradients at the states of a scan, by lag, each sequence counted back from its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Leaves = Sequence[np.ndarray]
"""The arrays of the states of a scan, each ``(T + 1, ...)``."""


@dataclass(frozen=True, eq=False)
class ScanCurves:
    """The gradient of the loss by lag, and where each sequence ends."""

    axes: tuple[int, ...]  # Of the batch in each array, without the axis of time; empty where there is none
    last: np.ndarray  # (B,): the state at which each sequence ends
    log_gradient: np.ndarray  # (T + 1, B)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each sequence, ``(B,)``."""
        return self.last

    def by_lag(self, gradients: Leaves) -> np.ndarray:
        """Return the log of the root mean square norm of gradients ``(probes, T + 1, ...)`` by lag, ``(T + 1, B)``."""
        norms = np.stack([_norms(tuple(leaf[p] for leaf in gradients), self.axes) for p in range(len(gradients[0]))])
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = norms.max(0)
            squares = np.where(scale > 0, norms / scale, 0.0) ** 2
            logs = np.where(np.isinf(scale), np.inf, np.log(scale) + 0.5 * np.log(squares.mean(0)))
            logs = np.where(scale == 0, -np.inf, logs)
        return _counted_back(logs, self.last)


def batch_axes(shapes: Sequence[tuple[int, ...]], sizes: Sequence[int], steps: int) -> list[tuple[int, ...]]:
    """Return which axis of each array may be that of the batch, one of the first two axes of the inputs."""
    # One of these is time, most likely the one whose length is the number of steps. Of a state with one axis that is
    # the units', although their number may be that of something else.
    if not all(len(shape) > 1 for shape in shapes):
        return []
    return [
        tuple([k for k, length in enumerate(shape) if length == size][occurrence] for shape in shapes)
        for size in dict.fromkeys(sorted(sizes, key=lambda size: size == steps))
        # As many layers as sequences: the axis of the layers comes first in a stack of their states.
        for occurrence in range(min((shape.count(size) for shape in shapes), default=0))
    ]


def is_separate(of_ends: Leaves, axes: tuple[int, ...]) -> bool:
    """Return whether gradients of the first and the last sequence, rows 1 and 2, are 0 at the others."""
    # Of layers, which are no batch, the first depends on no other, and the last on all of them.
    for leaf, axis in zip(of_ends, axes, strict=True):
        by_sequence = np.moveaxis(np.asarray(leaf), 2 + axis, 0)
        if np.any(by_sequence[1:, 1]) or np.any(by_sequence[:-1, 2]):
            return False
    return True


def scan_curves(states: Leaves, axes: tuple[int, ...], of_loss: Leaves) -> ScanCurves:
    """Return the norms of the gradient of the loss, of all sequences as one where they depend on one another."""
    norms = _norms(of_loss, axes)
    with np.errstate(divide="ignore"):
        logs = np.log(norms)
    last = _ends(norms, _frozen(states, axes, norms.shape[1]))
    return ScanCurves(axes, last, _counted_back(logs, last))


def _norms(gradients: Leaves, axes: Sequence[int]) -> np.ndarray:
    """Return the norms over all arrays, ``(T + 1, B)``; an overflow, which becomes NaN one step on, is infinite."""
    total = 0.0
    for k, leaf in enumerate(gradients):
        rows = np.moveaxis(leaf, 1 + axes[k], 1) if axes else leaf[:, None]
        rows = np.abs(rows.reshape(*rows.shape[:2], -1)).astype(float)
        largest = rows.max(-1, initial=0.0)
        with np.errstate(invalid="ignore", over="ignore"):
            scaled = np.linalg.norm(rows / np.where(largest > 0, largest, 1.0)[..., None], axis=-1)
        total = np.hypot(total, np.where(largest > 0, largest * scaled, np.where(np.isnan(largest), np.inf, 0.0)))
    total = np.asarray(total)
    return np.where(np.isnan(total), np.inf, total)


def _ends(norms: np.ndarray, frozen: np.ndarray) -> np.ndarray:
    """Return the last state of each sequence: where the loss begins to read it, or the state stops to change."""
    steps, batch = len(norms) - 1, norms.shape[1]
    zeros = np.array([steps - (np.flatnonzero(norms[:, b])[-1] if norms[:, b].any() else -1) for b in range(batch)])
    read = zeros <= steps
    drop = np.zeros(batch, dtype=int)
    if read.any():
        # Where all are read equally early, the lags before are part of the answer.
        drop[read] = zeros[read] - zeros[read].min()
    return steps - np.maximum(drop, frozen)


def _frozen(states: Leaves, axes: Sequence[int], batch: int) -> np.ndarray:
    """Return over how many last steps more than the others a sequence keeps its state, as it does over padding."""
    same = np.ones((len(states[0]) - 1, batch), dtype=bool)
    for k, leaf in enumerate(states):
        rows = np.moveaxis(leaf, 1 + axes[k], 1) if axes else leaf[:, None]
        rows = rows.reshape(*rows.shape[:2], -1)
        same &= (rows[1:] == rows[:-1]).all(-1)
    count = np.where(same.all(0), 0, np.argmin(same[::-1], 0))
    return count - count.min(initial=len(same))


def _counted_back(values: np.ndarray, last: np.ndarray) -> np.ndarray:
    lags = np.full((int(last.max()) + 1, len(last)), np.nan)
    for b, end in enumerate(last):
        lags[: end + 1, b] = values[end::-1, b]
    return lags
