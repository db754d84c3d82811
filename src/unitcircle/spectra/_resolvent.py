"""Smallest singular values of zI − W at many points z at once, from one Schur form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy

EPS = float(np.finfo(np.float64).eps)
# Points solved together, as columns: enough for matrix-matrix products, few enough to fit in cache; and numbers in one
# vector of each of them, of which some 40 are kept.
POINTS = 2048
NUMBERS = 2**19
ROWS = 24
# Below this size LAPACK's SVD of each point is as fast as a vectorised Lanczos process.
SMALL = 12
# A point that needs more steps than this has a cluster of singular values: its SVD is cheaper.
STEPS = 60
# Steps after which convergence is judged: from a random vector, and from a nearly singular one.
FAR_CHECKS = frozenset({3, 6, 9, 12, 16, 20, 25, 31, 38, 48, 60})
CLOSE_CHECKS = frozenset({2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 23, 26, 31, 38, 48, 60})
# The same in single precision, and the residual at which it ends.
SINGLE_CHECKS = frozenset({3, 6, 8, 10, 12, 14, 16, 18, 21, 24, 28, 33, 38})
SINGLE_STEPS = 38
SINGLE_RESIDUAL = 1e-6
# Of so many points one is compared with its SVD; fewer than FEW are judged by their residuals alone.
SAMPLE = 512
FEW = 128


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
        points = max(FEW, min(POINTS, NUMBERS // self.n))
        for first in range(0, len(z), points):
            chunk = slice(first, min(first + points, len(z)))
            sigma[chunk] = self._singular_values_of_chunk(z[chunk], relative)
            if progress is not None:
                progress(chunk.stop, len(z))
        return sigma

    def _singular_values_of_chunk(self, z: np.ndarray, relative: float) -> np.ndarray:
        if self.is_normal:
            return np.abs(z[:, None] - self.eigenvalues).min(axis=1)
        if self.n <= SMALL:
            return self._by_svd(z)
        sigma, converged = self._by_lanczos(z, relative, by_gap=len(z) >= FEW)
        if len(z) >= FEW:
            sample = np.arange(min(SAMPLE, len(z)) // 2, len(z), SAMPLE)
            exact = self._by_svd(z[sample])
            error = np.where(converged[sample], np.abs(sigma[sample] - exact), 0.0)
            if (error > np.maximum(self.tolerance(z[sample]), relative * exact)).any():
                # Pairs of nearly equal singular values, as two like blocks have, pass for one.
                sigma, converged = self._by_lanczos(z, relative, by_gap=False)
            sigma[sample], converged[sample] = exact, True
        for k in np.flatnonzero(~converged):
            sigma[k] = self._by_svd(z[k : k + 1])[0]
        return sigma

    def _by_svd(self, z: np.ndarray) -> np.ndarray:
        shifted = z[:, None, None] * np.eye(self.n) - self.triangle
        return np.linalg.svd(shifted, compute_uv=False)[:, -1]

    def _by_lanczos(self, z: np.ndarray, relative: float, *, by_gap: bool) -> tuple[np.ndarray, np.ndarray]:
        """Run Lanczos on ((zI − T)*(zI − T))⁻¹ at all points together, and drop points as they converge."""
        # Some eigenvalue is within the residual of a Ritz value; within its square over the gap, if the gap to the next
        # eigenvalue is that to the next Ritz value. This takes half of the steps, most of them in single precision.
        start = np.random.default_rng(0).standard_normal((self.n, 2)) @ np.array([1, 1j])
        q = np.repeat((start / np.linalg.norm(start))[:, None], len(z), axis=1)
        gap = self._approach(z, q) if by_gap else None
        sigma, converged, tolerance = np.zeros(len(z)), np.zeros(len(z), dtype=bool), self.tolerance(z)
        process = _Process(self.triangle, self._inverse_pivots(z), q)
        while len(process.todo) and process.steps < STEPS:
            done = process.step()
            todo = process.todo[~done]
            sigma[process.todo[done]] = 0.0  # A solve overflows only where zI − T is singular far below rounding.
            if process.steps in (FAR_CHECKS if gap is None else CLOSE_CHECKS):
                ritz = _Ritz.of(process, ~done)
                sigma[todo] = ritz.sigma
                error = ritz.error(None if gap is None else gap[todo])
                enough = np.maximum(tolerance[todo], relative * sigma[todo])
                done[~done] = (error <= enough) | (sigma[todo] <= tolerance[todo])
            converged[process.todo[done]] = True
            process.drop(done)
        return sigma, converged

    def _approach(self, z: np.ndarray, q: np.ndarray) -> np.ndarray:
        """Replace unit vectors by nearly singular ones, in single precision; return the relative gaps."""
        gap = np.ones(len(z))
        with np.errstate(over="ignore", invalid="ignore"):
            inverse = self._inverse_pivots(z).astype(np.complex64)
        process = _Process(self.triangle.astype(np.complex64), inverse, q.astype(np.complex64))
        basis: list[tuple[np.ndarray, np.ndarray]] = []
        while len(process.todo) and process.steps < SINGLE_STEPS:
            basis.append((process.todo, process.q))
            done = process.step()
            if process.steps in SINGLE_CHECKS:
                ritz = _Ritz.of(process, ~done)
                found = ~done
                found[found] = (ritz.residual <= SINGLE_RESIDUAL) | (process.steps == SINGLE_STEPS)
                columns = process.todo[found]
                mine = found[~done]
                gap[columns] = ritz.gap[mine]
                q[:, columns] = sum(
                    vectors[:, np.searchsorted(todo, columns)] * component
                    for (todo, vectors), component in zip(basis, ritz.vector[:, mine], strict=True)
                )
                done |= found
            process.drop(done)
        q /= np.sqrt(_inner(q, q))
        return gap

    def _inverse_pivots(self, z: np.ndarray) -> np.ndarray:
        pivots = z - self.eigenvalues[:, None]
        # At an eigenvalue, a perturbation below rounding avoids division by zero.
        least = EPS * EPS * self.norm
        return 1.0 / np.where(np.abs(pivots) < least, least, pivots)


class _Process:
    """Lanczos processes with ((zI − T)*(zI − T))⁻¹, one a column, each with its own z."""

    def __init__(self, T: np.ndarray, inverse: np.ndarray, q: np.ndarray) -> None:
        self.steps = 0
        self.todo = np.arange(q.shape[1])  # The points that are left
        self.q, self._before = q, np.zeros_like(q)
        self.alphas, self.betas = np.empty((0, q.shape[1])), np.empty((0, q.shape[1]))
        self._T, self._adjoint = T, T.conj().T.copy()
        self._inverse, self._conjugate = inverse, inverse.conj()
        self._beta = np.zeros(q.shape[1], dtype=np.real(q).dtype)

    def step(self) -> np.ndarray:
        """Take a step, and return where it overflows."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            w = self._solve(self._solve_adjoint(self.q.copy()))
            w -= self._beta * self._before
            alpha = _inner(self.q, w)
            w -= alpha * self.q
            beta = np.sqrt(_inner(w, w))
            w /= np.where(beta == 0.0, 1.0, beta).astype(beta.dtype)
        self.steps += 1
        self._before, self.q, self._beta = self.q, w, beta
        self.alphas, self.betas = np.vstack([self.alphas, alpha]), np.vstack([self.betas, beta])
        return ~np.isfinite(alpha) | ~np.isfinite(beta)

    def drop(self, done: np.ndarray) -> None:
        """Leave out columns."""
        if not done.any():
            return
        keep = ~done
        self.todo, self.q, self._before, self._beta = (
            values[..., keep] for values in (self.todo, self.q, self._before, self._beta)
        )
        self.alphas, self.betas, self._inverse, self._conjugate = (
            values[..., keep] for values in (self.alphas, self.betas, self._inverse, self._conjugate)
        )

    def _solve(self, x: np.ndarray) -> np.ndarray:
        """Solve (zI − T) x = right for each column, in place, by blocked back substitution."""
        T, n = self._T, len(self._T)
        for high in range(n, 0, -ROWS):
            low = max(high - ROWS, 0)
            if high < n:
                x[low:high] += T[low:high, high:] @ x[high:]
            for k in range(high - 1, low - 1, -1):
                if k + 1 < high:
                    x[k] += T[k, k + 1 : high] @ x[k + 1 : high]
                x[k] *= self._inverse[k]
        return x

    def _solve_adjoint(self, x: np.ndarray) -> np.ndarray:
        """Solve (zI − T)* x = right for each column, in place, by blocked forward substitution."""
        T, n = self._adjoint, len(self._T)
        for low in range(0, n, ROWS):
            high = min(low + ROWS, n)
            if low:
                x[low:high] += T[low:high, :low] @ x[:low]
            for k in range(low, high):
                if k > low:
                    x[k] += T[k, low:k] @ x[low:k]
                x[k] *= self._conjugate[k]
        return x


def _inner(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return Re x*y of each column."""
    parts = [np.ascontiguousarray(part).view(np.real(part).dtype) for part in (x, y)]
    return np.einsum("ij,ij->j", *parts).reshape(-1, 2).sum(1)


@dataclass(frozen=True, eq=False)
class _Ritz:
    """The largest Ritz value θ of each column, with its vector."""

    theta: np.ndarray
    residual: np.ndarray  # Relative to θ
    gap: np.ndarray  # To the next Ritz value, relative to θ
    vector: np.ndarray  # (steps, columns): components in the Lanczos basis, not of unit length

    @classmethod
    def of(cls, process: _Process, columns: np.ndarray) -> _Ritz:
        """Return that of some columns."""
        alphas, betas = process.alphas[:, columns], process.betas[:, columns]
        steps, count = alphas.shape
        tridiagonal = np.zeros((count, steps, steps))
        k = np.arange(steps)
        tridiagonal[:, k, k] = alphas.T
        tridiagonal[:, k[1:], k[:-1]] = betas[:-1].T
        values = np.linalg.eigvalsh(tridiagonal)
        theta = values[:, -1]
        # The eigenvector is computed from its last component backwards, the direction in which it grows: stable, and
        # far cheaper than the eigenvectors of all Ritz values.
        vector, after = np.ones((steps, count)), np.zeros(count)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            for j in range(steps - 1, 0, -1):
                vector[j - 1] = ((theta - alphas[j]) * vector[j] - betas[j] * after) / betas[j - 1]
                after = vector[j]
            residual = betas[-1] / np.linalg.norm(vector, axis=0) / theta
            gap = 1 - values[:, -2] / theta
        return cls(theta, np.where(np.isnan(residual), np.inf, residual), gap, vector)

    @property
    def sigma(self) -> np.ndarray:
        """σ = θ^(-1/2)."""
        return self.theta**-0.5

    def error(self, gap: np.ndarray | None, /) -> np.ndarray:
        """Return the error of σ by the residual, or by its square over a gap where that is less."""
        error = self.residual
        if gap is not None:
            with np.errstate(divide="ignore"):
                # Four times: the next Ritz value is below the next eigenvalue.
                error = error * np.minimum(1.0, 4 * error / np.minimum(gap, self.gap))
        return 0.5 * error * self.sigma
