"""The spectral radius of one weight (dense, sparse or an operator) with a bound on its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from math import prod
from typing import Any

import numpy as np
import scipy

from unitcircle._arguments import generator, real_number, whole_number
from unitcircle._array import weight
from unitcircle._keywords import right_keywords
from unitcircle.errors import DtypeError, NotFiniteError, ShapeError
from unitcircle.spectra._arnoldi import by_arnoldi
from unitcircle.spectra._components import Components, may_be_reducible
from unitcircle.spectra._enclosure import (
    POSITIVE_STEPS,
    Enclosure,
    balanced,
    by_eigenvalues,
    by_gram_matrix,
    by_positive_vector,
    by_powers,
    vanishes_exactly,
)

DIRECT = 256
"""Size up to which LAPACK's eigenvalues cost no more than a Krylov space."""
LARGEST_DIRECT = 8192
"""Size up to which LAPACK is the fallback: half a GiB for a real matrix, several for its eigenvectors."""
LEAST_COST = 8
"""Products that the cheapest answer takes."""


class RadiusStatus(Enum):
    """Whether the error of a spectral radius is within the tolerance; ``message`` gives the reason and the remedy."""

    message: str

    CONVERGED = "converged", "The error is within the tolerance."
    NOT_CONVERGED = (
        "not converged",
        (
            "The interval is wider than the tolerance: max_cost or the largest Krylov basis was used up, or the "
            "eigenvalues are too ill-conditioned. The interval is valid; raise max_cost or tol."
        ),
    )

    def __new__(cls, value: str, message: str) -> RadiusStatus:
        """Make a member whose value is the first of its two texts."""
        member = object.__new__(cls)
        member._value_, member.message = value, message
        return member


@dataclass(frozen=True, eq=False)
class RadiusEstimate:
    """A spectral radius, an interval that contains it, and the method that gave it.

    Attributes
    ----------
    value
        The estimate of ρ; for a batch, an array of the batch's shape and library, as ``lower``, ``upper`` and
        ``error`` are.
    lower, upper
        lower ≤ ρ ≤ upper.
    error
        The largest |ρ − value| that the interval leaves possible.
    status
        CONVERGED if error ≤ tol · value, for every weight of a batch; otherwise ``print`` shows its ``message``.
    method
        The method that gave the interval; for a batch each method once, joined by commas:

        - ``"structure"``: ρ is a diagonal entry, or the geometric mean of a cycle: certain.
        - ``"eigenvalues"``: LAPACK's eigenvalues and their condition numbers, for a backward error of 8·n·eps·‖W‖_F.
        - ``"powers"``: |tr Wᵏ| and ‖Wᵏ‖ with every rounding error bounded: certain.
        - ``"gram matrix"``: Wᴴ W is a multiple of the identity: certain.
        - ``"positive vector"``: Collatz-Wielandt quotients of a non-negative weight: certain.
        - ``"norm"``: a row or column sum, where ``max_cost`` was spent before: certain.
        - ``"arnoldi"``: a Krylov space of random start: the upper bound fails with probability 10⁻⁶, the lower one
          holds to first order in the residual.
    matvecs
        Number of products with W; 0 if only LAPACK was used.
    """

    value: Any
    lower: Any
    upper: Any
    error: Any
    status: RadiusStatus
    method: str
    matvecs: int

    @property
    def converged(self) -> bool:
        """Whether the status is CONVERGED."""
        return self.status is RadiusStatus.CONVERGED

    def __float__(self) -> float:
        return float(self.value)

    def __str__(self) -> str:
        remedy = "" if self.converged else f"\n{self.status.message}"
        if batch := getattr(self.value, "shape", ()):
            return f"ρ of {prod(batch)} weights, {self.status.value}, by {self.method}{remedy}"
        if self.converged:
            return f"ρ = {self.value:.10g} ± {self.error:.1e}, by {self.method} ({self.matvecs} products)"
        interval = f"{self.lower:.6g} ≤ ρ ≤ {self.upper:.6g}"
        return f"ρ not converged: {interval}, best {self.value:.6g}, by {self.method} ({self.matvecs} products){remedy}"


@right_keywords
def spectral_radius(
    W: Any, /, *, tol: float = 1e-6, rng: np.random.Generator | int = 0, max_cost: int | None = None
) -> RadiusEstimate:
    """Return the spectral radius of a weight with a bound on its error.

    ρ(W) = max |λ| over the eigenvalues λ of W

    A matrix (not an operator) is first split into its irreducible blocks. A block of up to 256 units is solved by
    LAPACK, or by repeated squaring if its eigenvalues are too ill-conditioned. A larger block is tried as a multiple of
    an isometry, then as a non-negative matrix, then by Arnoldi's method, and by LAPACK if none of these succeeds.

    Parameters
    ----------
    W
        Weight ``(..., n, n)`` of any array library, SciPy sparse matrix or array ``(n, n)``, or SciPy
        ``LinearOperator`` ``(n, n)``. The numbers are taken as exact, whatever their element type.
    tol
        Relative error to reach.
    rng
        Generator or seed of the random start; the default gives the same result every time.
    max_cost
        Largest number of products with W (for a batch: with each weight); if given, there is no fallback to LAPACK.
        The default allows a basis of 512 vectors, at most 8193 products, and a fallback to LAPACK up to n = 8192.

    Returns
    -------
    RadiusEstimate
        ``float()`` of it is ρ; NOT_CONVERGED with the narrowest interval found if it is wider than ``tol``.

    Raises
    ------
    ShapeError
        Not square, or 0 × 0.
    DtypeError
        Not numbers.
    NotFiniteError
        A NaN or an infinity, or a product with one.
    ArgumentError
        A tolerance that is not positive, a cost below 8, or ``rng`` neither a generator nor a seed.

    References
    ----------
    Saad (2011), Numerical Methods for Large Eigenvalue Problems, chapter 6 (Arnoldi's method); Horn and Johnson (2013),
    Matrix Analysis, Theorem 6.2.24 (irreducible matrices), 8.1.26 (Collatz and Wielandt).

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.spectra import spectral_radius
    >>> radius = spectral_radius(np.array([[1.0, 1.0], [1.0, 0.0]]))
    >>> print(f"{float(radius):.12f}", radius.status.value)
    1.618033988750 converged
    >>> spectral_radius(np.eye(1000, k=1)).upper  # nilpotent, and known to be
    0.0
    """
    tol = real_number("tol", tol, "must be a positive relative error", lambda tol: tol > 0)
    if max_cost is not None:
        max_cost = whole_number("max_cost", max_cost, least=LEAST_COST)
    source = generator(rng)
    if isinstance(W, scipy.sparse.linalg.LinearOperator):
        _check_square(W.shape)
        return _estimate(_operator(W, tol, source, max_cost), tol)
    if scipy.sparse.issparse(W):
        return _estimate(_matrix(_csr_array(W), tol, source, max_cost), tol)
    w = weight(W)
    matrices = w.value.reshape(-1, w.n, w.n)
    enclosures = [_matrix(A, tol, source, max_cost) for A in matrices]
    if not w.batch:
        return _estimate(enclosures[0], tol)

    def restore(values: list[float]) -> Any:
        return w.restore(np.reshape(values, w.batch))

    return RadiusEstimate(
        restore([e.value for e in enclosures]),
        restore([e.lower for e in enclosures]),
        restore([e.upper for e in enclosures]),
        restore([e.error for e in enclosures]),
        RadiusStatus.CONVERGED if all(e.meets(tol) for e in enclosures) else RadiusStatus.NOT_CONVERGED,
        ", ".join(dict.fromkeys(e.method for e in enclosures)),
        sum(e.matvecs for e in enclosures),
    )


def _estimate(enclosure: Enclosure, tol: float) -> RadiusEstimate:
    status = RadiusStatus.CONVERGED if enclosure.meets(tol) else RadiusStatus.NOT_CONVERGED
    return RadiusEstimate(
        enclosure.value, enclosure.lower, enclosure.upper, enclosure.error, status, enclosure.method, enclosure.matvecs
    )


def _check_square(shape: tuple[int, ...]) -> None:
    if len(shape) != 2 or shape[0] != shape[1]:
        raise ShapeError("W", "must be square", f"shape {shape}")
    if shape[0] == 0:
        raise ShapeError("W", "must have at least one unit", f"shape {shape}")


def _csr_array(W: Any) -> Any:
    _check_square(W.shape)
    if W.dtype.kind not in "fciub":
        raise DtypeError("W", "must hold real or complex numbers", f"dtype {W.dtype}")
    A = scipy.sparse.csr_array(W, dtype=np.complex128 if W.dtype.kind == "c" else np.float64, copy=True)
    A.sum_duplicates()
    A.eliminate_zeros()
    if not np.isfinite(A.data).all():
        bad = int(A.nnz - np.isfinite(A.data).sum())
        raise NotFiniteError("W", "must be finite", f"{bad} stored entries of {A.nnz} that are NaN or infinite")
    return A


def _operator(W: Any, tol: float, rng: np.random.Generator, max_cost: int | None) -> Enclosure:
    n = W.shape[0]
    dtype = np.complex128 if np.dtype(W.dtype).kind == "c" else np.float64
    if n > min(DIRECT, max_cost or DIRECT):
        return _krylov(W.matvec, n, dtype, tol=tol, rng=rng, max_cost=max_cost)
    A = np.asarray(W @ np.eye(n, dtype=dtype), dtype=dtype)
    if not np.isfinite(A).all():
        raise NotFiniteError("W", "must have finite products with vectors", "a product with NaN or infinity")
    return replace(_matrix(A, tol, rng, max_cost), matvecs=n)


def _matrix(A: Any, tol: float, rng: np.random.Generator, max_cost: int | None) -> Enclosure:
    if isinstance(A, np.ndarray) and len(A) > 1 and not may_be_reducible(A):
        return _block(A, tol, rng, max_cost)
    components = Components.of(scipy.sparse.csr_array(A))
    best, spent = components.known, 0
    for bound, block in components.blocks(A):
        if bound <= best.lower:  # and so are all that follow
            break
        budget = None if max_cost is None else max_cost - spent
        if budget is not None and budget < LEAST_COST:
            best = _larger(best, Enclosure(best.value, 0.0, bound, "norm"))
            break
        enclosure = _block(block, tol, rng, budget).within(0.0, bound)
        spent += enclosure.matvecs
        best = _larger(best, enclosure)
    return replace(best, matvecs=spent)


def _larger(smaller: Enclosure, larger: Enclosure) -> Enclosure:
    smaller, larger = sorted((smaller, larger), key=lambda e: e.value)
    if smaller.upper <= larger.lower:
        return larger
    method = ", ".join(dict.fromkeys((larger.method, smaller.method)))
    return Enclosure(larger.value, max(smaller.lower, larger.lower), max(smaller.upper, larger.upper), method)


def _block(A: Any, tol: float, rng: np.random.Generator, max_cost: int | None) -> Enclosure:
    if A.shape[0] <= DIRECT:
        A = balanced(A if isinstance(A, np.ndarray) else A.toarray())
    entries = (A if isinstance(A, np.ndarray) else A.data).view(np.float64)
    # A power of two, so that no product overflows and nothing is rounded but what is 2^-1022 of the largest entry.
    scale = 2.0 ** (int(np.frexp(np.abs(entries).max())[1]) - 1)
    return _ladder(A / scale, tol, rng, max_cost).times(scale)


def _ladder(A: Any, tol: float, rng: np.random.Generator, max_cost: int | None) -> Enclosure:
    n, dense = A.shape[0], isinstance(A, np.ndarray)
    if n <= DIRECT:
        return _direct(A, tol)
    entries = A if dense else A.data
    enclosure, spent = by_gram_matrix(A, tol, rng), 2
    if enclosure is None and entries.dtype == np.float64 and entries.min() >= 0:
        limit = POSITIVE_STEPS if max_cost is None else min(POSITIVE_STEPS, max_cost // 2)
        enclosure = by_positive_vector(lambda x: A @ x, n, tol, limit)
        spent += enclosure.matvecs
    if enclosure is None or not enclosure.meets(tol):
        budget = None if max_cost is None else max_cost - spent
        krylov = _krylov(
            lambda x: A @ x, n, entries.dtype.type, tol=tol, rng=rng, max_cost=budget, power=2 if dense else None
        )
        spent += krylov.matvecs
        enclosure = min((e for e in (krylov, enclosure) if e is not None), key=lambda e: e.error)
    if not enclosure.meets(tol) and max_cost is None and n <= LARGEST_DIRECT:
        enclosure = min(enclosure, _direct(A if dense else A.toarray(), tol), key=lambda e: e.error)
    return replace(enclosure, matvecs=spent)


def _direct(A: np.ndarray, tol: float) -> Enclosure:
    enclosure = by_eigenvalues(A)
    if enclosure.meets(tol):
        return enclosure
    if vanishes_exactly(A):
        return Enclosure(0.0, 0.0, 0.0, "powers")
    powers = by_powers(A, tol)
    return replace(enclosure.within(powers.lower, powers.upper), method="eigenvalues, powers")


def _krylov(
    apply: Callable[[np.ndarray], np.ndarray],
    n: int,
    dtype: Any,
    *,
    tol: float,
    rng: np.random.Generator,
    max_cost: int | None,
    power: int | None = None,
) -> Enclosure:
    # Random weights take 14 to 20 √n products at 1e-6 (measured to n = 100,000): this balances them against the basis.
    power = min(max(1, round(n**0.5 / 8)), 16) if power is None else power
    limit = power * n + 1 if max_cost is None else max_cost
    power = min(power, limit - 1)
    return by_arnoldi(apply, n, dtype=dtype, tol=tol, power=power, limit=limit, rng=rng)
