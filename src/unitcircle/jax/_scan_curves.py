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


def batch_axes(shapes: Sequence[tuple[int, ...]], sizes: Sequence[int], steps: int) -> tuple[int, ...]:
    """Return the axis of each array that has the length of the batch, one of the first two axes of the inputs."""
    # One of these is time, if its length is the number of steps.
    candidates = [size for size in sizes if size != steps] or list(sizes)
    for size in dict.fromkeys(candidates):
        axes = [shape.index(size) if size in shape else -1 for shape in shapes]
        # Of a state with one axis that is the units', although their number may be that of something else.
        if -1 not in axes and all(len(shape) > 1 for shape in shapes):
            return tuple(axes)
    return ()


def scan_curves(states: Leaves, axes: tuple[int, ...], of_loss: Leaves, of_first: Leaves) -> ScanCurves:
    """Return the norms of the gradient of the loss, of all sequences as one where they depend on one another."""
    # The last state of the first sequence has gradients at others where they do.
    for leaf, axis in zip(of_first, axes, strict=False):
        others = np.moveaxis(leaf, 1 + axis, 0)[1:]
        if np.any(others):
            axes = ()
            break
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
