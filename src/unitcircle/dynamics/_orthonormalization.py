"""Products of Jacobians in time order, kept from collapsing by QR as often as their conditioning asks."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from unitcircle.dynamics._recurrence import Linearization

LONGEST = 64


def identity(linearization: Linearization, k: int, /, *, like: Tensor) -> Tensor:
    """Return the first k columns of the identity for every batch element: ``Q0``, ``(B, N, k)``."""
    eye = torch.eye(linearization.state_size, k, dtype=like.dtype, device=like.device)
    return eye.expand(linearization.batch, -1, -1)


def factors(linearization: Linearization, Q: Tensor, edges: set[int], /) -> Iterator[tuple[int, Tensor, Tensor]]:
    """Factor ``J_t ⋯ J_s Q = Q' R`` from step to step."""
    # The interval between two factorizations is as long as keeps the condition number of R below eps^(-1/2)
    # (its columns scaled to norm 1, for a plain change of length costs no accuracy), assuming that the condition
    # number grows by the same factor each step. Where it comes out above, the interval is halved and done again.
    # Shapes: Q (B, N, k) -> (B, k, k)
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
            triangle = _without_noise(triangle, linearization, t, basis)
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


def _without_noise(R: Tensor, linearization: Linearization, t: int, Q: Tensor) -> Tensor:
    J = linearization.dense(t, t + 1)[0]
    noise = torch.linalg.vector_norm(J.abs() @ Q.abs(), dim=-2) * (torch.finfo(R.dtype).eps * J.shape[-1])
    diagonal = R.diagonal(dim1=-2, dim2=-1)
    # R is fresh from the factorization: nobody else holds it.
    diagonal[diagonal.abs() <= noise] = 0.0
    return R


def _products(linearization: Linearization, k: int) -> Callable[[int, Tensor], Tensor]:
    if 2 * k <= linearization.state_size:
        return linearization.push
    held = torch.empty(0)
    first = 0

    def apply(t: int, Y: Tensor) -> Tensor:
        nonlocal held, first
        if not first <= t < first + len(held):
            first = t
            held = linearization.dense(t, min(t + linearization.chunk, linearization.steps))
        return held[t - first] @ Y

    return apply
