"""Means of correlated series with blocked standard errors, and quantities derived from Lyapunov exponents."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._arguments import whole_number
from unitcircle._array import MATRIX_AXES, may_be, namespace, weight
from unitcircle._card import card
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError

BLOCKS = 20
"""Number of blocks per series: their scatter estimates the error to about 16 %."""


class Exponents:
    """Quantities derived from Lyapunov exponents ``(..., k)`` in descending order, in any array library."""

    exponents: Any
    stderr: Any
    converged: Any
    state_size: int
    steps: int

    @property
    def kaplan_yorke_dimension(self) -> Any:
        """Dimension of the attractor ``(...)``: ``j + (λ_1 + … + λ_j) / |λ_{j+1}|``, j the last sum not below 0.

        NaN where the k exponents are too few to determine it.

        References
        ----------
        Kaplan and Yorke, Chaotic behavior of multidimensional difference equations (1979).
        """
        xp, k = namespace(self.exponents), self.exponents.shape[-1]
        # The sums of descending numbers are concave: once below 0 they stay there.
        sums = xp.cumulative_sum(self.exponents, axis=-1)
        j = (sums >= 0).sum(-1)
        total = xp.take_along_axis(sums, xp.clip(j - 1, 0, k - 1)[..., None], axis=-1)[..., 0]
        following = xp.take_along_axis(self.exponents, xp.clip(j, 0, k - 1)[..., None], axis=-1)[..., 0]
        with np.errstate(divide="ignore", invalid="ignore"):
            dimension = j + total / -following
        dimension = xp.where(j == k, float(k) if k == self.state_size else np.nan, dimension)
        return xp.where(xp.isnan(sums[..., -1]), np.nan, xp.where(j == 0, 0.0, dimension))

    @property
    def entropy_rate(self) -> Any:
        """``Σ max(λ_i, 0)`` ``(...)`` in nats per step, an upper bound of the entropy rate (equal to it under Pesin).

        NaN where all of k < N exponents are positive: more may follow.

        References
        ----------
        Pesin, Characteristic Lyapunov exponents and smooth ergodic theory, Russ. Math. Surv. 32 (1977).
        """
        xp, k = namespace(self.exponents), self.exponents.shape[-1]
        total = xp.where(self.exponents < 0, 0.0, self.exponents).sum(-1)
        return xp.where((self.exponents[..., -1] > 0) & (k < self.state_size), np.nan, total)

    def __str__(self) -> str:
        exponents, errors = np.asarray(self.exponents), np.asarray(self.stderr)
        leading = f"{exponents[..., 0].mean():+.4g} ± {errors[..., 0].mean():.1g} nats per step"
        settled = "converged" if np.all(self.converged) else "NOT CONVERGED"
        return f"leading exponent {leading} ({settled}; {exponents.shape[-1]} of {self.state_size}, {self.steps} steps)"

    def _repr_html_(self) -> str:
        exponents, errors, converged = (
            np.asarray(values).reshape(-1, np.shape(values)[-1])
            for values in (self.exponents, self.stderr, self.converged)
        )
        rows = [
            (k + 1, float(column.mean()), float(error.mean()), "yes" if done.all() else f"{done.sum()} of {done.size}")
            for k, (column, error, done) in enumerate(zip(exponents.T, errors.T, converged.T, strict=True))
        ]
        several = f", means over {len(exponents)} sequences" if len(exponents) > 1 else ""
        lines = [f"exponents and standard errors in nats per step{several}"]
        for name, values in (
            ("Kaplan-Yorke dimension", self.kaplan_yorke_dimension),
            ("entropy rate", self.entropy_rate),
        ):
            mean = float(np.asarray(values).mean())
            lines.append(f"{name}: {'needs more exponents' if np.isnan(mean) else f'{mean:.4g}'}")
        return card(str(self), columns=("", "exponent", "standard error", "converged"), rows=rows, lines=lines)


def exponents_wanted(k: Any, state_size: int, burn_in: Any, steps: int, /) -> tuple[int, int]:
    """Return how many exponents (None: all) of a trajectory are wanted, and how many of its steps are measured."""
    wanted = state_size if k is None else whole_number("k", k, least=0)
    if not 1 <= wanted <= state_size:
        raise ArgumentError("k", f"must be between 1 and the state's size {state_size}", f"{k}")
    measured = steps - whole_number("burn_in", burn_in, least=0)
    if measured < 1:
        raise ArgumentError("burn_in", f"must leave at least one of the {steps} steps", f"{burn_in}")
    return wanted, measured


def generic_basis(state_size: int, k: int, /) -> np.ndarray:
    """Return k fixed orthonormal directions ``(N, k)`` that no map singles out; I where they are all."""
    # The first columns of I may span an invariant subspace (of a triangular or block-diagonal weight), whose exponents
    # are not the leading ones.
    if k == state_size:
        return np.eye(k)
    return np.linalg.qr(np.random.default_rng(0).standard_normal((state_size, k)))[0]


def require_kept(exponents: Any, /) -> None:
    """Refuse exponents of a penalty that are NaN or −∞, where values can be looked at: not those of a traced array."""
    xp = namespace(exponents)
    if not may_be(~xp.isnan(exponents)):
        raise NotFiniteError("the trajectory", "must be finite", "a NaN or an infinity")
    if not may_be(xp.isfinite(exponents)):
        remedy = "Ask for fewer exponents, or factor more often (every=1)."
        raise ArgumentError("k", "must count directions that every step keeps", "an exponent of −∞", remedy)


def blocks_of(steps: int, /, *, blocks: int = BLOCKS) -> np.ndarray:
    """Return the edges ``0 = e_0 < ... < e_b = steps`` of nearly equal blocks, at most one a step."""
    count = max(1, min(blocks, steps))
    return np.linspace(0, steps, count + 1).round().astype(int)


def block_error(means: Any, lengths: np.ndarray, /) -> Any:
    """Return the standard error ``s / √b`` of the weighted mean of independent blocks ``(b, ...) -> (...)``."""
    # Flyvbjerg and Petersen, Error estimates on averages of correlated data, J. Chem. Phys. 91 (1989), eq. 28.
    if len(lengths) < 2:
        return means[0] * np.nan
    with np.errstate(invalid="ignore"):
        residual = means - _mean(means, lengths)
        return namespace(means).sqrt(_mean(residual**2, lengths) / (len(lengths) - 1))


def estimates(means: Any, lengths: np.ndarray, tolerance: float, /) -> tuple[Any, Any, Any]:
    """Return means over time ``(..., k)``, descending, with errors and convergence, from means ``(b, ..., k)``."""
    xp = namespace(means)
    average, stderr = _mean(means, lengths), block_error(means, lengths)
    half = max(1, len(lengths) // 2)
    early, late = _mean(means[:half], lengths[:half]), _mean(means[-half:], lengths[-half:])
    with np.errstate(invalid="ignore"):
        # Each half has twice the variance of the whole, their difference four times.
        apart = xp.abs(early - late)
        agree = ((apart <= 6.0 * stderr) | (apart <= tolerance)) & (stderr <= tolerance)
    converged = agree | ((early == late) & (early == -np.inf))
    order = xp.argsort(-average, axis=-1, stable=True)
    return (
        xp.take_along_axis(average, order, axis=-1),
        xp.take_along_axis(stderr, order, axis=-1),
        xp.take_along_axis(converged, order, axis=-1),
    )


def _mean(means: Any, lengths: np.ndarray) -> Any:
    xp = namespace(means)
    weights = (lengths / lengths.sum()).reshape(-1, *[1] * (means.ndim - 1))
    return xp.sum(xp.asarray(weights, dtype=means.dtype) * means, axis=0)


def participation_ratio(h: np.ndarray, /) -> float:
    """Return ``(tr C)² / tr C²`` of the covariance C of points ``(B, n)``; NaN for a single one.

    Returns
    -------
    float
        Between 1 (a line) and n (a ball).

    Raises
    ------
    ShapeError
        Not points of shape ``(B, n)``.

    Examples
    --------
    >>> participation_ratio(np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]]))
    2.0
    """
    points = weight(h, argument="h", square=False).value
    if points.ndim != MATRIX_AXES:
        raise ShapeError("h", "must be points of shape (B, n)", f"shape {points.shape}")
    if len(points) < 2:
        return float("nan")
    parts = points.view(np.float64)
    # Scaled by a power of two, which rounds nothing: the squares of large numbers would overflow.
    scaled = np.ldexp(parts, -np.frexp(np.abs(parts).max())[1]).view(points.dtype)
    variances = np.linalg.svd(scaled - scaled.mean(0), compute_uv=False) ** 2
    total = variances.sum()
    return float(total**2 / (variances**2).sum()) if total > 0 else 0.0
