"""Products of Jacobians in time order, re-orthonormalized as often as their conditioning requires."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unitcircle._graded_products import condition_of, longest_interval, qr
from unitcircle.dynamics._recurrence import Linearization
from unitcircle.dynamics._row_pushes import RowPushes

_SMALL = 1e-140
"""Size from which on the square of a number keeps its digits."""


def identity(linearization: Linearization, k: int, /, *, like: Tensor) -> Tensor:
    """Return the first k columns of the identity for every batch element: ``Q0``, ``(B, N, k)``."""
    eye = torch.eye(linearization.state_size, k, dtype=like.dtype, device=like.device)
    return eye.expand(linearization.batch, -1, -1)


def factors(linearization: Linearization, Q: Tensor, edges: set[int], /) -> Iterator[tuple[int, Tensor]]:
    """Factor ``J_t ⋯ J_s Q = Q' R`` repeatedly: yield t and R ``(B, k, k)``; edges are steps at which to factor."""
    eps = torch.finfo(Q.dtype).eps
    limit = eps**-0.5
    ends = sorted(edges | {linearization.steps})
    pushes = linearization.row_pushes()
    products: Any = _TorchProducts(linearization, Q.shape[-1]) if pushes is None else _RowProducts(pushes)
    basis, t, interval, next_end = products.basis(Q), 0, 1, 0
    while t < linearization.steps:
        while ends[next_end] <= t:
            next_end += 1
        stop = min(t + interval, ends[next_end])
        new_basis, triangle, condition = products.factored(t, stop, basis)
        if condition > limit and stop - t > 1:
            interval = max(1, (stop - t) // 2)
            continue
        if condition > 1 / (eps * triangle.shape[-1]):
            triangle = _cut_noise(triangle, linearization, t, products.columns(basis))
        else:
            interval = longest_interval(stop - t, condition, limit, interval)
        basis, t = new_basis, stop
        yield t, triangle


class _TorchProducts:
    """Directions as columns ``(B, N, k)``, of all sequences together."""

    def __init__(self, linearization: Linearization, k: int) -> None:
        self._apply = _products(linearization, k)

    def basis(self, Q: Tensor, /) -> Tensor:
        return Q

    def columns(self, basis: Tensor, /) -> Tensor:
        return basis

    def factored(self, start: int, stop: int, basis: Tensor, /) -> tuple[Tensor, Tensor, float]:
        """Return Q, R and its condition number."""
        product = basis
        for step in range(start, stop):
            product = self._apply(step, product)
        basis, triangle = torch.linalg.qr(product)
        return basis, triangle, _condition(triangle)


class _RowProducts:
    """Directions as rows ``(B, k, N)`` in NumPy: the columns of LAPACK."""

    def __init__(self, pushes: RowPushes) -> None:
        self._pushes = pushes

    def basis(self, Q: Tensor, /) -> np.ndarray:
        return np.ascontiguousarray(Q.mT.numpy())

    def columns(self, basis: np.ndarray, /) -> Tensor:
        return torch.from_numpy(basis).mT

    def factored(self, start: int, stop: int, basis: np.ndarray, /) -> tuple[np.ndarray, Tensor, float]:
        """Return Q, R and LAPACK's estimate of its condition number."""
        product = self._pushes.through(start, stop, basis)
        if product.shape[1] == 1 and (np.abs(product).max(-1) > _SMALL).all():
            lengths = np.sqrt(np.einsum("bkn,bkn->bk", product, product))[..., None]
            return product / lengths, torch.from_numpy(lengths), 1.0
        found = [qr(rows.T) for rows in product]
        condition = max(condition_of(triangle) for _, triangle in found)
        triangles = torch.from_numpy(_stack([triangle for _, triangle in found]))
        return _stack([rows for rows, _ in found]), triangles, condition


def _stack(matrices: Sequence[np.ndarray]) -> np.ndarray:
    return matrices[0][None] if len(matrices) == 1 else np.stack(matrices)


def _condition(R: Tensor) -> float:
    """Return the largest ``‖(R D)⁻¹‖_F`` of a batch, D scaling the columns to norm 1."""
    scaled = R / torch.linalg.vector_norm(R, dim=-2, keepdim=True)
    eye = torch.eye(R.shape[-1], dtype=R.dtype, device=R.device).expand_as(R)
    inverse = torch.linalg.solve_triangular(scaled, eye, upper=True)
    largest = float(torch.linalg.matrix_norm(inverse).max())
    return float("inf") if math.isnan(largest) else largest


def _cut_noise(R: Tensor, linearization: Linearization, t: int, Q: Tensor) -> Tensor:
    J = linearization.dense(t, t + 1)[0]
    noise = torch.linalg.vector_norm(J.abs() @ Q.abs(), dim=-2) * (torch.finfo(R.dtype).eps * J.shape[-1])
    diagonal = R.diagonal(dim1=-2, dim2=-1)
    # In place: R was just computed and is not shared.
    diagonal[diagonal.abs() <= noise] = 0.0
    return R


def _products(linearization: Linearization, k: int) -> Callable[[int, Tensor], Tensor]:
    if 2 * k <= linearization.state_size:
        return linearization.push
    # A chunk of consecutive Jacobians is formed at once, and replaced when a step outside of it is asked for.
    jacobians = torch.empty(0)
    first = 0

    def apply(t: int, Y: Tensor) -> Tensor:
        nonlocal jacobians, first
        if not first <= t < first + len(jacobians):
            first = t
            jacobians = linearization.dense(t, min(t + linearization.chunk, linearization.steps))
        return jacobians[t - first] @ Y

    return apply
