"""Products of Jacobians in time order, re-orthonormalized as often as their conditioning requires."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unitcircle._graded_products import LONGEST
from unitcircle.dynamics._recurrence import Linearization


def identity(linearization: Linearization, k: int, /, *, like: Tensor) -> Tensor:
    """Return the first k columns of the identity for every batch element: ``Q0``, ``(B, N, k)``."""
    eye = torch.eye(linearization.state_size, k, dtype=like.dtype, device=like.device)
    return eye.expand(linearization.batch, -1, -1)


def factors(linearization: Linearization, Q: Tensor, edges: set[int], /) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Factor ``J_t ⋯ J_s Q = Q' R`` repeatedly: yield t, Q' ``(B, N, k)`` and R ``(B, k, k)``."""
    # The interval between two factorizations is the longest that keeps the condition number of R below eps^(-1/2),
    # assuming that the condition number grows by the same factor each step; if it comes out above, the interval is
    # halved and repeated. Columns are scaled to norm 1 first: different lengths cost no accuracy.
    eps = torch.finfo(Q.dtype).eps
    limit = eps**-0.5
    ends = sorted(edges | {linearization.steps})
    apply = _products(linearization, Q.shape[-1])
    basis, t, interval, next_end = Q, 0, 1, 0
    while t < linearization.steps:
        while ends[next_end] <= t:
            next_end += 1
        stop = min(t + interval, ends[next_end])
        product = basis
        for step in range(t, stop):
            product = apply(step, product)
        new_basis, triangle = torch.linalg.qr(product)
        condition = _condition(triangle)
        if condition > limit and stop - t > 1:
            interval = max(1, (stop - t) // 2)
            continue
        if condition > 1 / (eps * triangle.shape[-1]):
            triangle = _cut_noise(triangle, linearization, t, basis)
        else:
            within = int((stop - t) * math.log(limit) / math.log(max(condition, 2.0)))
            interval = max(1, min(within, 2 * interval, LONGEST))
        basis, t = new_basis, stop
        yield t, basis, triangle


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
