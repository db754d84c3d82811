"""Two-sided bounds on the spectral radius of an explicit matrix, one method per theorem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import scipy

EPS = float(np.finfo(np.float64).eps)
LARGEST, SMALLEST_NORMAL = float(np.finfo(np.float64).max), float(np.finfo(np.float64).tiny)
EXACT_INTEGERS = 2.0**53
BACKWARD = 8
"""LAPACK's backward error in n·eps·‖A‖_F: at most 2 on structured matrices, against exact arithmetic."""
TRUSTED_CONDITION = EPS**-0.5
POSITIVE_STEPS = 100


@dataclass(frozen=True)
class Enclosure:
    """An interval that contains the spectral radius, with the best estimate, the method and its cost."""

    value: float
    lower: float
    upper: float
    method: str
    matvecs: int = 0

    @property
    def error(self) -> float:
        """The largest |ρ − value| within the interval."""
        return np.inf if self.value == np.inf else max(self.upper - self.value, self.value - self.lower)

    def meets(self, tol: float) -> bool:
        """Return whether the error is within a relative tolerance."""
        return self.error <= tol * self.value < np.inf

    def times(self, scale: float) -> Self:
        """Return the enclosure for a matrix that is ``scale``, a power of two, times as large."""
        value, lower, upper = self.value * scale, min(self.lower * scale, LARGEST), self.upper * scale
        if 0 < lower < SMALLEST_NORMAL:  # rounded, where all else is exact
            lower = float(np.nextafter(lower, 0))
        if 0 < upper < SMALLEST_NORMAL or (upper == 0 and self.upper > 0):
            upper = float(np.nextafter(upper, np.inf))
        return replace(self, value=value, lower=lower, upper=upper)

    def within(self, lower: float, upper: float) -> Self:
        """Return the intersection with another interval that contains ρ."""
        lower, upper = max(lower, self.lower), min(upper, self.upper)
        return replace(self, value=min(max(self.value, lower), upper), lower=lower, upper=upper)


def eigensystem(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return eigenvalues, and left and right eigenvectors of norm 1 as columns."""
    eigenvalues, left, right = scipy.linalg.eig(A, left=True, right=True, check_finite=False)
    return eigenvalues, left, right


def balanced(A: np.ndarray) -> np.ndarray:
    """Return the matrix D⁻¹ A D whose rows and columns are of like norm, D of powers of two: an exact similarity."""
    # SciPy's matrix_balance turns D into a permutation as well, and warns of its large numbers.
    (gebal,) = scipy.linalg.get_lapack_funcs(("gebal",), (A,))
    return np.ascontiguousarray(gebal(A, scale=1, permute=0)[0])


def by_eigenvalues(A: np.ndarray) -> Enclosure:
    """Enclose ρ by LAPACK's eigenvalues λ_i of a balanced A and their condition numbers κ_i."""
    # The λ_i are the eigenvalues of some A + E with ‖E‖ ≤ ε = BACKWARD·n·eps·‖A‖_F. Since
    # ‖(z − A − E)⁻¹‖ ≤ Σ κ_i / |z − λ_i|, no eigenvalue crosses a circle |z| = r on the way from A + E to A where
    # ε Σ κ_i / |r − |λ_i|| < 1.
    #
    # Wilkinson (1965), The Algebraic Eigenvalue Problem, chapter 2 (condition numbers); Horn and Johnson (2013),
    # Matrix Analysis, Theorem 2.4.9.2 (continuity of eigenvalues).
    #
    # Balancing with powers of two is an exact similarity. It is done here, not within LAPACK, since the error is
    # relative to the norm of the balanced matrix.
    B = balanced(A)
    norm = float(scipy.linalg.norm(B)) * (1 + len(B) * EPS)
    try:
        eigenvalues, left, right = eigensystem(B)
    except scipy.linalg.LinAlgError:
        return Enclosure(0.0, 0.0, norm, "eigenvalues")
    moduli = np.abs(eigenvalues)
    value = min(float(moduli.max()), norm)
    with np.errstate(divide="ignore", over="ignore"):
        conditions = 1 / np.abs(np.einsum("ij,ij->j", left.conj(), right))
    if not conditions[2 * moduli >= value].max() < TRUSTED_CONDITION:
        return Enclosure(value, 0.0, norm, "eigenvalues")
    backward = BACKWARD * len(B) * EPS * norm
    steps = backward * 2.0 ** np.arange(0, 52, 0.25)

    def uncrossed(sign: int) -> float:
        circles = value + sign * steps
        with np.errstate(divide="ignore", invalid="ignore"):
            reach = backward * (conditions / np.abs(circles[:, None] - moduli)).sum(axis=1)
        return next((float(circle) for circle, size in zip(circles, reach, strict=True) if size < 1), sign * np.inf)

    return Enclosure(value, max(uncrossed(-1), 0.0), min(uncrossed(1), norm), "eigenvalues")


def by_powers(A: np.ndarray, tol: float) -> Enclosure:
    """Enclose ρ by repeated squaring, with a running bound of the rounding error."""
    # (|tr Aᵏ| / n)^(1/k) ≤ ρ ≤ ‖Aᵏ‖_F^(1/k), k = 1, 2, 4, ...
    #
    # Horn and Johnson (2013), Matrix Analysis, Corollary 5.6.14 (Gelfand's formula); Higham (2002), Accuracy and
    # Stability of Numerical Algorithms, eq. (3.13) for the error of a matrix product.
    n = len(A)
    # Aᵏ = exp(log_norm) (power + Δ), ‖power‖_F = 1, ‖Δ‖_F ≤ error; a complex product rounds at most 4 times as much.
    norm = float(scipy.linalg.norm(A))
    power, log_norm, error = A / norm, float(np.log(norm)), EPS
    rounding = n * EPS * (4 if np.iscomplexobj(A) else 1)
    lower, upper = 0.0, norm

    def root(size: float, k: float) -> float:
        return float(np.exp((log_norm + np.log(size)) / k))

    for k in 2.0 ** np.arange(48):
        upper = min(upper, root(1 + error, k))
        trace = float(abs(np.trace(power))) - n**0.5 * error
        lower = max(lower, root(trace / n, k)) if trace > 0 else lower
        if error >= 1 or upper - lower <= tol * upper:
            break
        power = power @ power
        norm, error = float(scipy.linalg.norm(power)), 2 * error + error**2 + rounding
        log_norm *= 2
        if norm <= error:
            upper = min(upper, root(norm + error, 2 * k))
            break
        power, error, log_norm = power / norm, error / norm, log_norm + float(np.log(norm))
    # Every logarithm is rounded relative to its size.
    slack = 64 * EPS * (1 + abs(float(np.log(upper))))
    lower, upper = lower * (1 - slack), upper * (1 + slack)
    return Enclosure((lower + upper) / 2, lower, upper, "powers")


def vanishes_exactly(A: np.ndarray) -> bool:
    """Return whether a power of A is zero in integer arithmetic, as far as double precision holds that exactly."""
    # Scaled to integers by a power of two; with more than 26 binary places a product is not exact.
    scaled = (A * 2.0**places for places in range(27))
    power = next((candidate for candidate in scaled if np.array_equal(candidate, np.rint(candidate))), None)
    for _ in range(int(np.ceil(np.log2(len(A))))):
        # The real and imaginary parts of a complex product are sums of 2n products.
        if power is None or 2 * len(A) * float(np.abs(power).max()) ** 2 >= EXACT_INTEGERS:
            return False
        power = power @ power
        if not power.any():
            return True
    return False


def by_gram_matrix(A: Any, tol: float, rng: np.random.Generator) -> Enclosure | None:
    """Enclose ρ of a multiple of an isometry, whose eigenvalues all have one modulus: c − η ≤ |λ|² ≤ c + η."""
    # Here c = ‖A‖_F² / n and η = ‖Aᴴ A − c I‖_F.
    n = A.shape[0]
    u = rng.standard_normal(n)
    square = float(np.linalg.norm(A if isinstance(A, np.ndarray) else A.data) ** 2)
    c = square / n
    # The expectation of ‖E u‖² is ‖E‖_F² for E = Aᴴ A − c I: a probe far beyond the tolerance saves the product.
    if scipy.linalg.norm(A.conj().T @ (A @ u) - c * u) > 4 * tol * c:
        return None
    gram = A.conj().T @ A
    if isinstance(gram, np.ndarray):
        gram.flat[:: n + 1] -= c
    else:
        gram.setdiag(gram.diagonal() - c)
        gram = gram.data
    eta = float(np.linalg.norm(gram)) + n * EPS * square
    return Enclosure(c**0.5, max(c - eta, 0.0) ** 0.5, (c + eta) ** 0.5, "gram matrix", 2)


def by_positive_vector(apply: Callable[[np.ndarray], np.ndarray], n: int, tol: float, limit: int) -> Enclosure:
    """Enclose ρ of a non-negative irreducible A: min (A x)_i / x_i ≤ ρ ≤ max (A x)_i / x_i for every x > 0."""
    # The vectors are those of power iteration on A + σ I: σ > 0 keeps them positive and removes periodicity.
    #
    # Horn and Johnson (2013), Matrix Analysis, Theorem 8.1.26 (Collatz and Wielandt).
    x = np.ones(n)
    lower, upper, matvecs = 0.0, np.inf, 0
    while matvecs < limit and upper - lower > tol * lower and x.min() > 0:
        y = apply(x)
        matvecs += 1
        ratios = y / x
        lower = max(lower, float(ratios.min()) * (1 - n * EPS))
        upper = min(upper, float(ratios.max()) * (1 + n * EPS))
        x = y + 0.25 * (lower * upper) ** 0.5 * x
        x /= x.max()
    return Enclosure((lower + upper) / 2, lower, upper, "positive vector", matvecs)
