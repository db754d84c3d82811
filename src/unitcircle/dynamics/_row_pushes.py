"""Jacobians of one standard cell applied to directions in NumPy, where a step costs little more than its product."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from unitcircle.dynamics._cells import GRUTorchCell, LSTMTorchCell, PlainTorchCell, State, TorchCell


class RowPushes(ABC):
    """The Jacobians ``J_t`` of a cell, applied to directions that are rows: ``(B, k, N)``.

    All directions of all sequences meet the weight in one product.
    """

    def __init__(self, cell: TorchCell, factors: Sequence[np.ndarray], /) -> None:
        """Take the elementwise factors ``(T, B, n)`` of the cell's derivative."""
        self._Wt = np.ascontiguousarray(cell.weight.numpy().T)
        self._factors = [np.ascontiguousarray(factor)[:, :, None] for factor in factors]

    def of(self, b: int, /) -> Self:
        """Return those of one sequence."""
        alone = copy(self)
        alone._factors = [factor[:, b : b + 1] for factor in self._factors]
        return alone

    def through(self, start: int, stop: int, rows: np.ndarray, /) -> np.ndarray:
        """Return ``J_{stop-1} ⋯ J_start`` applied to the rows, in memory of its own."""
        p, n = len(self._Wt), self._factors[0].shape[-1]
        gates = self._Wt.shape[1] // n
        made = np.empty((*rows.shape[:-1], gates * n))
        for factors in zip(*(factor[start:stop] for factor in self._factors), strict=True):
            h = self._of_output(rows)
            if rows.shape[1] < n:
                np.dot(h.reshape(-1, p), self._Wt, out=made.reshape(-1, gates * n))
                made *= factors[1]
            else:
                # For as many directions as units the gates are added up before the product: that of a third.
                weights = self._Wt * factors[1]
                added = weights[..., 2 * n :]
                added[..., :n] += weights[..., :n]
                added[..., :n] += weights[..., n : 2 * n]
                made = h @ added
            rows = self._combined(made, rows, factors)
        return rows

    def _of_output(self, rows: np.ndarray) -> np.ndarray:
        return rows

    @abstractmethod
    def _combined(self, made: np.ndarray, rows: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
        """Return the directions after a step from the products ``(B, k, G)`` and those before it, in new memory."""


class _PlainPushes(RowPushes):
    def through(self, start: int, stop: int, rows: np.ndarray, /) -> np.ndarray:
        # The shortest loop: for one direction, calls take longer than the products.
        Wt, n = self._Wt, len(self._Wt)
        here, there = (np.empty_like(rows) for _ in range(2))
        after, before = here.reshape(-1, n), there.reshape(-1, n)
        flat = rows.reshape(-1, n)
        for slope in self._factors[0][start:stop]:
            np.dot(flat, Wt, out=after)
            here *= slope
            flat = after
            here, there, after, before = there, here, before, after
        return there

    def _combined(self, made: np.ndarray, rows: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:  # noqa: ARG002
        return made * factors[0]


class _GRUPushes(RowPushes):
    def _combined(self, made: np.ndarray, rows: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
        return _add_blocks(factors[0] * rows, made)


class _LSTMPushes(RowPushes):
    def __init__(self, cell: LSTMTorchCell, factors: Sequence[np.ndarray], /) -> None:
        super().__init__(cell, factors)
        self._projection = None if cell.projection is None else np.ascontiguousarray(cell.projection.numpy().T)

    def _of_output(self, rows: np.ndarray) -> np.ndarray:
        return rows[..., : len(self._Wt)]

    def _combined(self, made: np.ndarray, rows: np.ndarray, factors: Sequence[np.ndarray]) -> np.ndarray:
        forget, _, cell = factors
        n, p = forget.shape[-1], len(self._Wt)
        after = np.empty_like(rows)
        c = _add_blocks(np.multiply(forget, rows[..., p:], out=after[..., p:]), made[..., :-n])
        if self._projection is None:
            h = np.multiply(cell, c, out=after[..., :p])
            h += made[..., -n:]
        else:
            after[..., :p] = (cell * c + made[..., -n:]) @ self._projection
        return after


def _add_blocks(total: np.ndarray, blocks: np.ndarray) -> np.ndarray:
    n = total.shape[-1]
    for k in range(0, blocks.shape[-1], n):
        total += blocks[..., k : k + n]
    return total


def row_pushes(cell: TorchCell, coefficients: State, /) -> RowPushes | None:
    """Return the derivative of a cell in NumPy from its coefficients ``(T, B, n)``; None for a cell without one."""
    values = [c.numpy() for c in coefficients]
    if isinstance(cell, PlainTorchCell):
        return _PlainPushes(cell, values)
    if isinstance(cell, GRUTorchCell):
        z, reset, update, candidate, r = values
        return _GRUPushes(cell, (z, np.concatenate([reset, update, candidate * r], -1)))
    if isinstance(cell, LSTMTorchCell):
        forget, i, f, g, o, slope = values
        return _LSTMPushes(cell, (forget, np.concatenate([i, f, g, o], -1), slope))
    return None
