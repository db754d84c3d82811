"""Singular values of long products of matrices, however many decades they span."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import numpy as np
import scipy.linalg

LONGEST = 64
"""Largest number of matrices between two factorizations."""
TOLERANCE = 1e-7
"""Nats by which rounding in the product of the triangles may move a log singular value."""
_PASSES = 8
"""Passes through the triangles after which a product that is not graded is given up."""
_RANGE = 600.0
"""Nats between the largest and smallest singular value that one block of doubles may span."""
Apply = Callable[[Any, np.ndarray], np.ndarray]
_lapack: Any = scipy.linalg.lapack
_EPS = float(np.finfo(float).eps)
_LIMIT = _EPS**-0.5
"""Condition number up to which matrices are multiplied before the product is factored."""
_SMALL = 1e-200
"""Size from which on the entries of a product keep their digits."""


def log_singular_values_of(matrices: Iterable[np.ndarray], basis: np.ndarray, /) -> np.ndarray:
    """Return the log singular values ``(k,)`` of ``J_T ⋯ J_1 B``, descending, B ``(N, k)`` of orthonormal columns."""
    first = Triangles(basis)
    for matrix in matrices:
        first.take(matrix)
    return first.log_singular_values()


class Triangles:
    """The triangular factors R_t of ``J_t Q_{t-1} = Q_t R_t``, ``Q_0 = B`` ``(N, k)``, of matrices taken in order.

    Directions that a matrix maps to zero, up to the rounding of its entries, are left out: its factor has fewer rows
    than columns, and all later ones are smaller. As many singular values of the product are zero. ``eps`` is the
    relative error of the matrices' entries.
    """

    def __init__(self, basis: np.ndarray, eps: float = _EPS, /, *, apply: Apply | None = None) -> None:
        """Take orthonormal columns ``(N, k)``; what is taken later are matrices, or what ``apply`` applies to rows."""
        self.factors: list[np.ndarray] = []
        self._asked = basis.shape[1]
        self._eps = eps
        self._apply = apply or _times
        self._rows = np.ascontiguousarray(basis.T)  # Qᵀ: products of rows are LAPACK's columns
        self._product = self._rows
        self._pending: deque[Any] = deque()
        self._interval = 1
        self._log_size = 0.0  # The product is e to this power times that of the factors

    def take(self, matrix: Any, /) -> None:
        """Multiply by a matrix ``(M, N)``, and factor the product as often as its conditioning requires."""
        self._pending.append(matrix)
        self._product = self._apply(matrix, self._product)
        if len(self._pending) >= self._interval:
            self._factor()

    def finish(self) -> list[np.ndarray]:
        """Return the factors, the first one first."""
        while self._pending:
            self._factor()
        return self.factors

    def log_singular_values(self) -> np.ndarray:
        """Return the log singular values ``(k,)`` of the product: −inf for what is lost, NaN without convergence."""
        factors, size = self.finish(), self._log_size
        logs = np.full(self._asked, -np.inf)
        for _ in range(_PASSES):
            kept = len(factors[-1])
            if kept == 0:
                return logs
            values = _of_rows(*_graded_rows(factors))
            if values is not None:
                logs[:kept] = values + size
                return logs
            # QR of the transposed factors, as in the QR algorithm: rows come out by size and closer to orthogonal.
            again = Triangles(np.eye(kept))
            for factor in reversed(factors):
                again.take(factor.T)
            factors, size = again.finish(), size + again._log_size
        return np.full(self._asked, np.nan)

    def _factor(self) -> None:
        """Factor the product of the matrices that wait, or of the first half of them if all are too many."""
        count = len(self._pending)
        size = _size(self._product)
        if _SMALL < size < 1 / _SMALL or count == 1:
            rows, triangle = qr((self._product / size).T)
            condition = condition_of(triangle)
        else:
            rows, triangle, condition = self._rows, self._product, math.inf
        if condition > _LIMIT and count > 1:
            self._interval = max(1, count // 2)
            waiting, self._pending, self._product = self._pending, deque(), self._rows
            for matrix in waiting:
                self.take(matrix)
            return
        if condition > _LIMIT:
            rows, triangle = self._factor_by_size(self._pending[0])
            size = _size(triangle)
            triangle /= size
        else:
            self._interval = longest_interval(count, condition, _LIMIT, self._interval)
        self._log_size += math.log(size)
        self.factors.append(triangle)
        self._rows = self._product = rows
        self._pending.clear()

    def _factor_by_size(self, last: Any) -> tuple[np.ndarray, np.ndarray]:
        """Factor the product with one matrix, its large rows first; leave out the directions that it loses."""
        # Rows of very different size keep their own accuracy if they are sorted, and if large entries are eliminated
        # by larger ones (Cox and Higham 1998), which pivoting makes certain. What an entry may be off by is known.
        matrix = self._apply(last, np.eye(self._rows.shape[1])).T
        noise = np.abs(self._rows) @ np.abs(matrix).T * (self._eps * matrix.shape[1])
        lengths = noise.max(1)
        lengths[lengths == 0] = 1.0
        of_rows = (noise / lengths[:, None]).max(0)
        order = np.argsort(-of_rows, kind="stable")
        product = (self._product / lengths[:, None])[:, order].T
        bound = of_rows[order][: min(product.shape)]
        rows, triangle = qr(product)
        width = len(triangle)
        diagonal = np.abs(np.diagonal(triangle))
        if width == product.shape[1] and (diagonal > bound).all():
            triangle *= lengths
        else:
            rows, triangle, pivots = _pivoted_qr(product)
            lost = np.abs(np.diagonal(triangle)) <= bound
            width = int(np.argmax(lost)) if lost.any() else width
            back = np.argsort(pivots)
            rows, triangle = rows[:width], triangle[:width, back] * lengths
        unsorted = np.empty_like(rows)
        unsorted[:, order] = rows
        return unsorted, triangle


def longest_interval(count: int, condition: float, limit: float, interval: int, /) -> int:
    """Return how many matrices to multiply before the next factorization, where ``count`` had this condition number."""
    # The interval is the longest that keeps the condition number of R below the limit, eps^(-1/2), assuming that it
    # grows by the same factor each step; if it comes out above, the interval is halved and repeated. Columns are scaled
    # to norm 1 first: different lengths cost no accuracy.
    within = int(count * math.log(limit) / math.log(max(condition, 2.0)))
    return max(1, min(within, 2 * interval, LONGEST))


def _times(matrix: np.ndarray, rows: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        return rows @ matrix.T


def _size(values: np.ndarray) -> float:
    return max(float(values.max(initial=0.0)), -float(values.min(initial=0.0))) or 1.0


def qr(columns: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return Qᵀ and R of columns in Fortran order."""
    packed, tau, _, _ = _lapack.dgeqrf(columns, lwork=32 * columns.shape[1])
    width = min(columns.shape)
    triangle = packed[:width] * _upper(width, columns.shape[1])
    return _lapack.dorgqr(packed[:, :width], tau, lwork=32 * width)[0].T, triangle


@cache
def _upper(rows: int, columns: int) -> np.ndarray:
    return np.asfortranarray(np.triu(np.ones((rows, columns))))


def _pivoted_qr(columns: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return Qᵀ, R and the order of the columns that it is of."""
    packed, pivots, tau, _, _ = _lapack.dgeqp3(columns)
    width = min(columns.shape)
    return _lapack.dorgqr(packed[:, :width], tau, lwork=32 * width)[0].T, np.triu(packed[:width]), pivots - 1


def condition_of(triangle: np.ndarray, /) -> float:
    """Return LAPACK's estimate of the condition number of a triangle, columns scaled to size 1; inf if one is lost."""
    if triangle.shape[0] < triangle.shape[1]:
        return math.inf
    lengths = np.maximum(triangle.max(0, initial=0.0), -triangle.min(0, initial=0.0))
    if not (lengths > _SMALL).all():
        return math.inf
    reciprocal, _ = _lapack.dtrcon(triangle / lengths)
    return math.inf if reciprocal == 0 else 1 / float(reciprocal)


def _graded_rows(factors: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the product of the factors as ``diag(exp(scale)) rows``, rows of norm 1, and the errors of the rows."""
    # The errors are estimates: rounding errors add as if they were independent. They are infinite where a row is lost.
    n = factors[0].shape[1]
    scale, rows, errors = np.zeros(n), np.eye(n), np.zeros(n)
    for R in factors:
        # A row of a triangle is scaled by the largest of the rows that it adds; one of a wide factor, by that of all.
        least = np.maximum.accumulate(scale[::-1])[::-1] if len(R) == len(scale) else np.full(len(R), scale.max())
        sizes = np.maximum(R.max(1), -R.min(1))
        if not sizes.all():
            return scale, rows, np.full(len(R), np.inf)
        weights = R / sizes[:, None] * np.exp(np.minimum(scale - least[:, None], 0.0))
        rows = weights @ rows
        squares = np.einsum("ij,ij->i", rows, rows)
        if not squares.all():
            return scale, rows, np.full(len(R), np.inf)
        errors = (weights**2 @ (errors + n * _EPS**2)) / squares
        lengths = np.sqrt(squares)
        rows /= lengths[:, None]
        scale = least + np.log(lengths) + np.log(sizes)
    return scale, rows, np.sqrt(errors)


def _of_rows(scale: np.ndarray, rows: np.ndarray, errors: np.ndarray) -> np.ndarray | None:
    """Return the log singular values of ``diag(exp(scale)) rows``, None if the errors of the rows move them too far."""
    if not np.isfinite(errors).all():
        return None
    order = np.argsort(-scale, kind="stable")
    scale = scale[order]
    L = np.asarray(np.linalg.qr(rows[order].T, mode="r")).T
    inverse, singular = _lapack.dtrtri(L, lower=1)
    # To first order the log singular values of rows (I + rows⁻¹ δ) differ by the norm of the second term.
    if singular or np.linalg.norm(inverse) * np.linalg.norm(errors) > TOLERANCE:
        return None
    parts: list[np.ndarray] = []
    begin = 0
    for end in _cuts(scale):
        block = slice(begin, end)
        # [[D₁ L₁₁, 0], [D₂ L₂₁, D₂ L₂₂]] is the block diagonal, with D₂ L₂₁ L₁₁⁻¹ D₁⁻¹ added to the identity before it.
        coupling = (L[end:, block] @ inverse[block, block]) * np.exp(scale[end:, None] - scale[block])
        if np.linalg.norm(coupling) > TOLERANCE:
            return None
        parts.append(_block_singular_values(scale[block], L[block, block]))
        begin = end
    return -np.sort(-np.concatenate(parts))


def _cuts(scale: np.ndarray) -> list[int]:
    """Cut descending scales at the widest gaps until no block spans more nats than the exponents of doubles allow."""
    wide, ends = [(0, len(scale))], []
    while wide:
        begin, end = wide.pop()
        if scale[begin] - scale[end - 1] <= _RANGE:
            ends.append(end)
        else:
            cut = begin + int(np.argmax(-np.diff(scale[begin:end]))) + 1
            wide += [(begin, cut), (cut, end)]
    return sorted(ends)


def _block_singular_values(scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    # dgejsv is accurate for columns of different scale (joba "C"): those of the transpose.
    columns = np.asfortranarray((np.exp(scale - scale[0])[:, None] * rows).T)
    values, _, _, work, _, info = _lapack.dgejsv(columns, joba=0, jobu=3, jobv=3, jobr=0, jobt=1, jobp=1)
    with np.errstate(divide="ignore"):
        logs = np.log(values * (work[0] / work[1])) + scale[0]
    return np.where(info == 0, logs, np.nan)
