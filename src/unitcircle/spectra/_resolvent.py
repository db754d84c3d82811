"""Smallest singular values of zI − W at many points z at once, from one Schur form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

EPS = float(np.finfo(np.float64).eps)
# Points solved together, as columns: enough for matrix-matrix products, few enough to fit in cache.
POINTS = 2048
ROWS = 24
# Below this size LAPACK's SVD of each point is as fast as a vectorised Lanczos process.
SMALL = 12
# A point that needs more steps than this has a cluster of singular values: its SVD is cheaper.
STEPS = 60
CHECKS = frozenset({3, 6, 9, 12, 16, 20, 25, 31, 38, 48, 60})


@dataclass(frozen=True, eq=False)
class Resolvent:
    """The resolvent (zI − W)⁻¹ of one weight, through its Schur form W = QTQ*."""

    triangle: np.ndarray  # T, complex upper triangular, (n, n)
    norm: float  # Frobenius norm of W

    @classmethod
    def of(cls, W: np.ndarray, /) -> Resolvent:
        """Return the resolvent of one weight ``(n, n)`` in double precision."""
        triangle = scipy.linalg.schur(np.asarray(W, dtype=np.complex128), output="complex")[0]
        return cls(triangle, float(np.linalg.norm(triangle)))

    @property
    def n(self) -> int:
        """The size of the weight."""
        return len(self.triangle)

    @property
    def eigenvalues(self) -> np.ndarray:
        """The diagonal of T."""
        return np.diagonal(self.triangle)

    @property
    def is_normal(self) -> bool:
        """Whether T is diagonal to rounding, so that σ_min(zI − W) is the distance from z to the spectrum."""
        return float(np.linalg.norm(np.triu(self.triangle, 1))) <= self.n * EPS * self.norm

    def tolerance(self, z: np.ndarray, /) -> np.ndarray:
        """Return the absolute error allowed at each point: 4·n·eps·(‖W‖_F + |z|)."""
        return 4 * self.n * EPS * (self.norm + np.abs(z))

    def smallest_singular_values(
        self, z: np.ndarray, /, *, relative: float = 0.0, progress: Callable[[int, int], None] | None = None
    ) -> np.ndarray:
        """Return σ_min(zI − W) at points z ``(m,)``, to the tolerance or to a relative error."""
        sigma = np.empty(len(z))
        for first in range(0, len(z), POINTS):
            chunk = slice(first, min(first + POINTS, len(z)))
            sigma[chunk] = self._singular_values_of_chunk(z[chunk], relative)
            if progress is not None:
                progress(chunk.stop, len(z))
        return sigma

    def _singular_values_of_chunk(self, z: np.ndarray, relative: float) -> np.ndarray:
        if self.is_normal:
            return np.abs(z[:, None] - self.eigenvalues).min(axis=1)
        if self.n <= SMALL:
            return self._by_svd(z)
        sigma, converged = self._by_lanczos(z, relative)
        for k in np.flatnonzero(~converged):
            sigma[k] = self._by_svd(z[k : k + 1])[0]
        return sigma

    def _by_svd(self, z: np.ndarray) -> np.ndarray:
        shifted = z[:, None, None] * np.eye(self.n) - self.triangle
        return np.linalg.svd(shifted, compute_uv=False)[:, -1]

    def _by_lanczos(self, z: np.ndarray, relative: float) -> tuple[np.ndarray, np.ndarray]:
        """Run Lanczos on ((zI − T)*(zI − T))⁻¹ at all points together, and drop points as they converge."""
        n, tolerance = self.n, self.tolerance(z)
        sigma, converged = np.zeros(len(z)), np.zeros(len(z), dtype=bool)
        todo = np.arange(len(z))
        start = np.random.default_rng(0).standard_normal((n, 2)) @ np.array([1, 1j])
        q = np.repeat((start / np.linalg.norm(start))[:, None], len(z), axis=1)
        before, beta = np.zeros_like(q), np.zeros(len(z))
        alphas, betas = np.empty((0, len(z))), np.empty((0, len(z)))
        inverse = self._inverse_pivots(z)
        for step in range(1, STEPS + 1):
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                w = self._solve(inverse, self._solve_adjoint(inverse.conj(), q))
                w -= beta * before
                alpha = _inner(q, w)
                w -= alpha * q
                beta = np.sqrt(_inner(w, w))
                before, q = q, w / np.where(beta == 0.0, 1.0, beta)
            alphas, betas = np.vstack([alphas, alpha]), np.vstack([betas, beta])
            # A solve overflows only where zI − T is singular far below rounding: σ = 0.
            overflow = ~np.isfinite(alpha) | ~np.isfinite(beta)
            done = overflow.copy()
            if step in CHECKS:
                finite = todo[~overflow]
                sigma[finite], error = _ritz(alphas[:, ~overflow], betas[:, ~overflow])
                small = tolerance[finite]
                done[~overflow] = (error <= np.maximum(small, relative * sigma[finite])) | (sigma[finite] <= small)
            sigma[todo[overflow]] = 0.0
            converged[todo[done]] = True
            if done.any():
                keep = ~done
                todo, q, before, beta = todo[keep], q[:, keep], before[:, keep], beta[keep]
                alphas, betas, inverse = alphas[:, keep], betas[:, keep], inverse[:, keep]
            if not len(todo):
                break
        return sigma, converged

    def _inverse_pivots(self, z: np.ndarray) -> np.ndarray:
        pivots = z - self.eigenvalues[:, None]
        # At an eigenvalue, a perturbation below rounding avoids division by zero.
        least = EPS * EPS * self.norm
        return 1.0 / np.where(np.abs(pivots) < least, least, pivots)

    def _solve(self, inverse: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Solve (zI − T) x = right for each column with its own z, in place, by blocked back substitution."""
        T = self.triangle
        for high in range(self.n, 0, -ROWS):
            low = max(high - ROWS, 0)
            if high < self.n:
                x[low:high] += T[low:high, high:] @ x[high:]
            for k in range(high - 1, low - 1, -1):
                if k + 1 < high:
                    x[k] += T[k, k + 1 : high] @ x[k + 1 : high]
                x[k] *= inverse[k]
        return x

    def _solve_adjoint(self, inverse: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Solve (zI − T)* x = right for each column with its own z, by blocked forward substitution."""
        T, x = self.triangle.conj().T, right.copy()
        for low in range(0, self.n, ROWS):
            high = min(low + ROWS, self.n)
            if low:
                x[low:high] += T[low:high, :low] @ x[:low]
            for k in range(low, high):
                if k > low:
                    x[k] += T[k, low:k] @ x[low:k]
                x[k] *= inverse[k]
        return x


def _inner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Re x*y of each column."""
    return np.einsum("ij,ij->j", np.real(x), np.real(y)) + np.einsum("ij,ij->j", np.imag(x), np.imag(y))


def _ritz(alphas: np.ndarray, betas: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return σ = θ^(-1/2) for the largest Ritz value θ of each column, and a bound of its error."""
    steps, columns = alphas.shape
    tridiagonal = np.zeros((columns, steps, steps))
    k = np.arange(steps)
    tridiagonal[:, k, k] = alphas.T
    tridiagonal[:, k[1:], k[:-1]] = betas[:-1].T
    theta = np.linalg.eigvalsh(tridiagonal)[:, -1]
    # The eigenvector is computed from its last component backwards, the direction in which it grows: stable, and
    # far cheaper than the eigenvectors of all Ritz values.
    after, component, square = np.zeros(columns), np.ones(columns), np.ones(columns)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for j in range(steps - 1, 0, -1):
            after, component = component, ((theta - alphas[j]) * component - betas[j] * after) / betas[j - 1]
            square += component**2
        relative = betas[-1] / np.sqrt(square) / theta
        return theta**-0.5, np.where(np.isnan(relative), np.inf, 0.5 * relative * theta**-0.5)
