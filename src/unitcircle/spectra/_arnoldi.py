"""The spectral radius of a large operator by Arnoldi's method on a power of it, with an a-posteriori bound."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy

from unitcircle.errors import NotFiniteError
from unitcircle.spectra._enclosure import EPS, Enclosure
from unitcircle.spectra._krylov import KrylovBasis

FAILURE = 1e-6
"""Probability, over the random start, that an eigenvalue lies beyond the upper bound."""

FIRST_ORDER = 1e-4
"""Largest first-order error, relative to the radius, that is trusted: the pseudospectra of Grcar's matrix or of a
near-triangular one keep it near 1e-2 for any residual, because the condition number grows as the residual shrinks."""

LARGEST_BASIS = 512
FIRST_CHECK = 24
GROWTH = 2


def by_arnoldi(
    apply: Callable[[np.ndarray], np.ndarray],
    n: int,
    *,
    dtype: type[np.float64 | np.complex128],
    tol: float,
    power: int,
    limit: int,
    rng: np.random.Generator,
) -> Enclosure:
    """Enclose ρ of an operator by Arnoldi's method on Aᵖ, its basis grown until the interval is narrow enough."""
    start = rng.standard_normal(n)
    if dtype is np.complex128:
        start = start + 1j * rng.standard_normal(n)
    scale = float(scipy.linalg.norm(_finite(apply(start))) / scipy.linalg.norm(start))
    if scale == 0:  # no Gaussian vector is mapped to zero, but by the zero matrix
        return Enclosure(0.0, 0.0, 0.0, "arnoldi", 1)
    steps = min(n, LARGEST_BASIS, max((limit - 1) // power, 1))
    spaces = _expand(lambda x: _finite(apply(x)) / scale, start, power, steps, power * tol / 2)
    krylov = next(space for space in spaces if space.final or space.margin > 0)
    lower, value, upper = (scale * bound ** (1 / power) for bound in krylov.interval())
    return Enclosure(value, lower, upper, "arnoldi", 1 + power * krylov.m)


@dataclass(frozen=True, eq=False)
class _Krylov:
    """A Krylov space of m steps from a Gaussian start v, and where its Ritz values θ_i leave room for eigenvalues."""

    # Let q(z) = Π (z − θ_i), so that ‖q(A) v‖ = ‖v‖ Π h_{j+1,j}. An eigenvalue λ of A with unit left vector y has
    # yᴴ q(A) v = q(λ) yᴴ v, and |yᴴ v| ≥ δ except with probability 2 δ / √π at most. So λ lies where |q(z)| ≤
    # ‖v‖ Π h_{j+1,j} / δ, whatever its condition: no eigenvalue is missed.

    hessenberg: np.ndarray  # H, (m + 1, m)
    start_norm: float  # ‖v‖
    rounding: float  # Backward error of H
    excess: float  # By how much, relative to max |θ_i|, an eigenvalue may be larger
    final: bool  # Whether the space cannot grow, or must not

    @property
    def m(self) -> int:
        return self.hessenberg.shape[1]

    @property
    def subdiagonal(self) -> np.ndarray:
        return np.abs(np.diagonal(self.hessenberg, -1))

    @cached_property
    def ritz(self) -> np.ndarray:
        return np.asarray(scipy.linalg.eigvals(self.hessenberg[:-1], check_finite=False))

    @cached_property
    def radius(self) -> float:
        # Not zero, even for a nilpotent H, for circles to be drawn about it.
        return max(float(np.abs(self.ritz).max()), EPS)

    @cached_property
    def margin(self) -> float:
        """By how much, in nats, |q| excludes the circle at the excess asked for; negative if it does not."""
        return self.margin_at(self.excess)

    def margin_at(self, excess: float) -> float:
        """Return the margin on the circle of radius (1 + excess) max |θ_i|; positive if no eigenvalue is beyond it."""
        delta = FAILURE * np.pi**0.5 / 2
        # log |q| is harmonic outside the circle and grows to infinity, so it is least on the circle; the grid has
        # several points for each Ritz value, and one in the direction of each.
        angles = np.concatenate([np.linspace(-np.pi, np.pi, 8 * self.m), np.angle(self.ritz)])
        if not np.iscomplexobj(self.hessenberg):
            angles = angles[angles >= 0]
        circle = self.radius * (1 + excess) * np.exp(1j * angles)
        with np.errstate(divide="ignore"):
            bound = np.log(self.subdiagonal).sum() + np.log(self.start_norm / delta)
            lowest = np.log(np.abs(circle[:, None] - self.ritz)).sum(axis=1).min()
        return float(lowest - bound) if bound > -np.inf else np.inf

    def excluded_excess(self) -> float:
        """Return an excess beyond which no eigenvalue is, the least to a factor of 16, or of 1.1 above ``excess``."""
        if self.margin > 0:
            excess = self.excess
            while excess > EPS and self.margin_at(excess / 16) > 0:
                excess /= 16
            return excess
        low, high = 0, 8 * 128
        while high > low:
            middle = (low + high) // 2
            low, high = (low, middle) if self.margin_at(self.excess * 2 ** (middle / 8)) > 0 else (middle + 1, high)
        return self.excess * 2 ** (high / 8)

    def interval(self) -> tuple[float, float, float]:
        """Return lower bound, value and upper bound of the spectral radius of Aᵖ."""
        H = self.hessenberg[:-1]
        top = self.ritz[np.abs(self.ritz).argmax()]
        # Two steps of inverse iteration, off the eigenvalue by rounding for the factors not to be singular.
        shift = top + self.m * EPS * scipy.linalg.norm(H)
        factors = scipy.linalg.lu_factor(H - shift * np.eye(self.m))
        right = left = np.ones(self.m)
        for _ in range(2):
            right, left = (scipy.linalg.lu_solve(factors, x, trans=t) for x, t in ((right, 0), (left, 2)))
            right, left = right / scipy.linalg.norm(right), left / scipy.linalg.norm(left)
        residual = float(self.subdiagonal[-1] * abs(right[-1]))
        overlap = float(abs(np.vdot(left, right)))
        error = (residual + self.rounding) / overlap if overlap > 0 else np.inf
        beyond = self.radius * (1 + self.excluded_excess())
        lower = self.radius - error if error <= FIRST_ORDER * self.radius else 0.0
        return lower, self.radius, max(self.radius + error, beyond)


def _expand(
    apply: Callable[[np.ndarray], np.ndarray], start: np.ndarray, power: int, steps: int, excess: float
) -> Iterator[_Krylov]:
    n, start_norm = len(start), float(scipy.linalg.norm(start))
    basis = KrylovBasis(start, steps)
    peak, check, checked, wanted, radius = 1.0, FIRST_CHECK, 0, np.inf, 1.0
    for m in range(1, steps + 1):
        w = basis.last
        for _ in range(power):
            w = apply(w)
            peak = max(peak, float(scipy.linalg.norm(w)))
        final = not basis.extend(w) or m == steps
        H = basis.hessenberg
        beta = float(H[-1, -1].real)
        # Where Ritz values fill a disk, |q| = radiusᵐ on its edge: each step gains log(radius / beta).
        wanted -= np.log(radius / beta) if beta > 0 else np.inf
        if final or m == check or (wanted <= 0 and m >= 1.05 * checked):
            krylov = _Krylov(H.copy(), start_norm, n * EPS * power * peak, excess, final)
            yield krylov
            radius, wanted, checked, check = krylov.radius, -krylov.margin, m, GROWTH * m
        if final:
            return


def _finite(w: np.ndarray) -> np.ndarray:
    if not np.isfinite(w).all():
        raise NotFiniteError("W", "must have finite products with vectors", "a product with NaN or infinity")
    return w
