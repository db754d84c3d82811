"""Powers of a weight: their norms, and the powers themselves."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from unitcircle._arguments import one_of, whole_number
from unitcircle._array import to_numpy, weight
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.spectra._normality import is_normal
from unitcircle.spectra._scaled import LOG2, ScaledMatrix

EPS = float(np.finfo(np.float64).eps)
NORMS = ("frobenius", "spectral")
METHODS = ("eigen", "squaring")
# The eigenvectors are looked at once this many products are done, and if as many are still to do.
PATIENCE = 64
# Beyond this condition the eigenvectors lose more digits than thousands of products do.
CONDITION = 1e6
# So many products cost as much as the Schur form that proves a weight normal.
NORMAL = 16
# The result holds a number for each step.
LONGEST = 10_000_000
# Numbers in one batch of small matrices.
BATCH = 1 << 20
# Entries from this power of two on, or below its inverse, are scaled first.
EXTREME = 500

Progress = Callable[[int, int], None]


def power_norms(
    W: Any,
    /,
    steps: int = 64,
    *,
    norm: Literal["spectral", "frobenius"] = "spectral",
    errors: bool = False,
    progress: Progress | None = None,
) -> Any:
    r"""Return the logarithms of the norms of the powers of a weight.

    .. math:: \log ‖W^t‖, \qquad t = 0, 1, …, T

    Never overflows or underflows: every power is kept as a matrix times a power of two. A normal weight needs only
    its eigenvalues, ‖Wᵗ‖₂ = ρᵗ. For other weights every power is a product, until the eigenvectors are
    well conditioned and enough eigenvalues are negligible, |λ/ρ|ᵗ κ(V) < eps; then only the remaining eigenvectors
    are used, if they give the same norm as the product at the step where they replace it.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.
    steps
        The largest power T (steps), at most 10,000,000.
    norm
        The spectral norm σ₁, or the Frobenius norm.
    errors
        Whether to return a bound of the rounding error as well, in T² more operations: the powers of a weight far from
        normal may lose all digits.
    progress
        Called with the number of powers done and T, for long runs; once round for each weight of a batch.

    Returns
    -------
    array, or a pair of arrays
        Real, ``(..., T + 1)``, natural logarithms (nats); −inf from where a power is exactly zero. With ``errors`` also
        how far each may be off (nats, to first order in eps), infinite where no digit is certain.

    Raises
    ------
    ArgumentError
        ``steps`` is not a number of steps, or ``W`` is not square, finite and not empty.
    UnknownNameError
        No such norm.

    Examples
    --------
    >>> power_norms([[2.0]], 3) / np.log(2.0)
    array([0., 1., 2., 3.])
    """
    w = weight(W)
    total = whole_number("steps", steps, least=0)
    if total > LONGEST:
        rule, remedy = (
            f"must be at most {LONGEST:,}: one number is returned for each",
            "power_norm gives that of one power.",
        )
        raise ArgumentError("steps", rule, f"{total:,}", remedy)
    one_of("norm", norm, NORMS)
    matrices = w.value.reshape(-1, w.n, w.n)
    bounds = [np.zeros(total + 1) if errors else None for _ in matrices]
    rows = [
        log_norms(value, total, norm=norm, progress=progress, errors=bound)
        for value, bound in zip(matrices, bounds, strict=True)
    ]

    def restore(values: Any) -> Any:
        return w.restore(np.reshape(values, (*w.batch, total + 1)).astype(np.float64))

    return (restore(rows), restore(bounds)) if errors else restore(rows)


def log_norms(
    W: np.ndarray,
    steps: int,
    /,
    *,
    norm: str = "spectral",
    progress: Progress | None = None,
    errors: np.ndarray | None = None,
) -> np.ndarray:
    """Return log ‖Wᵗ‖ for t = 0..steps of one weight ``(n, n)``, and fill in bounds of their errors."""
    # A power of two in front of all, so that nothing overflows in the eigenvalues.
    exponent = ScaledMatrix.of(W).exponent
    if abs(exponent) > EXTREME:
        logs = log_norms(_times(W, -exponent), steps, norm=norm, progress=progress, errors=errors)
        return logs + np.arange(steps + 1) * (exponent * LOG2)
    n = len(W)
    logs = np.full(steps + 1, -math.inf)
    logs[0] = 0.5 * math.log(n) if norm == "frobenius" else 0.0
    if steps >= NORMAL and is_normal(W):
        if errors is not None:  # of the eigenvalues, and of a weight that is normal to rounding
            errors[:] = 12 * n**1.5 * EPS * np.arange(1, steps + 2)
        return _normal(np.linalg.eigvals(W), logs, norm)
    factor = power = ScaledMatrix.of(W)
    eigen: _Eigenvectors | None = None
    vector, rng = None, np.random.default_rng(0)
    for t in range(1, steps + 1):
        if t > 1:
            power = factor @ power
        # The vector of one power is nearly that of the next.
        logs[t], vector = power.log_norm_and_vector(norm, vector, rng)
        if progress is not None:
            progress(t, steps)
        if logs[t] == -math.inf:
            break
        if t == PATIENCE and steps >= 2 * PATIENCE:
            eigen = _Eigenvectors.of(W)
        if eigen is not None and eigen.survivors(t) <= n / 2:
            allowed = 16 * EPS * n * eigen.condition
            if abs(eigen.log_norms(np.array([t]), norm)[0] - logs[t]) <= allowed * t:
                eigen.fill(logs, t + 1, norm, progress)
                if errors is not None:
                    errors[: t + 1] = _product_errors(W, logs[: t + 1])
                    errors[t + 1 :] = 2 * allowed * np.arange(t + 1, steps + 1)
                return logs
            eigen = None
    if errors is not None:
        errors[:] = _product_errors(W, logs)
    return logs


def _product_errors(W: np.ndarray, logs: np.ndarray) -> np.ndarray:
    """Return a bound of the error of each log ‖Wᵗ‖, if each power is the product of W and the one before."""
    # Computed powers P_s = W P_{s-1} + E_s with ‖E_s‖_F ≤ γ ‖W‖_F ‖P_{s-1}‖_F, so that Wᵗ is off by Σ Wᵗ⁻ˢ E_s.
    #
    # Higham (2002), Accuracy and Stability of Numerical Algorithms, eq. (3.13).
    n = len(W)
    rounding = n * EPS * (4 if np.iscomplexobj(W) else 1)
    scale = math.log(n * rounding * float(np.linalg.norm(W)) or 1.0)
    sums = [-math.inf] * min(2, len(logs))
    sums += [float(np.logaddexp.reduce(logs[t - 2 :: -1] + logs[1:t])) for t in range(2, len(logs))]
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        # The logarithms, and the multiple of log 2, are rounded relative to their size.
        relative = rounding + 4 * EPS * (2 + np.abs(logs)) + np.exp(scale + np.array(sums) - logs)
        return np.where(
            np.isneginf(logs), np.where(np.isneginf(sums), 0.0, np.inf), -np.log1p(-np.minimum(relative, 1))
        )


def _times(W: np.ndarray, exponent: int) -> np.ndarray:
    """Return W · 2^exponent, exactly."""
    return np.ldexp(np.ascontiguousarray(W).view(np.float64), exponent).view(W.dtype)


def _normal(values: np.ndarray, logs: np.ndarray, norm: str) -> np.ndarray:
    with np.errstate(divide="ignore"):
        sizes = np.log(np.abs(values))
    top = float(sizes.max())
    if top == -math.inf:
        return logs
    t = np.arange(1, len(logs))
    logs[1:] = t * top
    if norm == "frobenius":
        for first in range(0, len(t), 1024):
            some = t[first : first + 1024]
            logs[some] += 0.5 * np.log(np.exp(2 * some[:, None] * (sizes - top)).sum(axis=1))
    return logs


class _Eigenvectors:
    """Wᵗ ≈ V Λᵗ U with the eigenvalues that are not negligible at step t, by decreasing modulus."""

    def __init__(self, values: np.ndarray, right: np.ndarray, left: np.ndarray, condition: float) -> None:
        self.values, self.right, self.left, self.condition = values, right, left, condition
        self.log_radius = math.log(abs(values[0]))

    @classmethod
    def of(cls, W: np.ndarray) -> _Eigenvectors | None:
        values, right = np.linalg.eig(W)
        order = np.argsort(-np.abs(values))
        values, right = values[order].astype(np.complex128), right[:, order].astype(np.complex128)
        condition = float(np.linalg.cond(right))
        if not condition <= CONDITION or values[0] == 0.0:
            return None
        return cls(values, right, np.linalg.inv(right), condition)

    def survivors(self, t: int) -> int:
        """How many eigenvalues still count at step t and after: |λ/ρ|ᵗ κ(V) > eps."""
        with np.errstate(divide="ignore"):
            sizes = np.log(np.abs(self.values)) - self.log_radius
        return int(np.count_nonzero(t * sizes > math.log(EPS / self.condition)))

    def log_norms(self, t: np.ndarray, norm: str) -> np.ndarray:
        """Return log ‖Wᵗ‖ for increasing steps, of which the first determines the eigenvalues used."""
        k = self.survivors(int(t[0]))
        # V = QR and U* = PS with k columns each: ‖V Λᵗ U‖ = ‖R Λᵗ S*‖, a small matrix.
        R = np.asarray(np.linalg.qr(self.right[:, :k], mode="r"))
        S = np.asarray(np.linalg.qr(self.left[:k].conj().T, mode="r"))
        scaled = self.values[:k] / abs(self.values[0])
        small = (R * scaled ** t[:, None, None]) @ S.conj().T
        sizes = np.linalg.norm(small, axis=(1, 2)) if norm == "frobenius" else np.linalg.norm(small, 2, axis=(1, 2))
        return np.log(sizes) + t * self.log_radius

    def fill(self, logs: np.ndarray, first: int, norm: str, progress: Progress | None) -> None:
        """Fill in every step from the first one on, in batches that shrink with the number of eigenvalues used."""
        steps = len(logs) - 1
        while first <= steps:
            k = self.survivors(first)
            # A batch ends when a tenth of them may have become negligible: |λ/ρ|ᵗ falls like the inverse of t.
            count = max(1, min(steps + 1 - first, BATCH // k**2, math.ceil(0.1 * first)))
            t = np.arange(first, first + count)
            logs[t] = self.log_norms(t, norm)
            first += count
            if progress is not None:
                progress(first - 1, steps)


def matrix_power(W: Any, t: int, /, *, method: Literal["squaring", "eigen"] = "squaring") -> Any:
    r"""Return a power of a weight, by repeated squaring or through its eigenvectors.

    .. math:: W^t = \prod_{i: b_i = 1} W^{2^i} \quad (t = \sum_i b_i 2^i), \qquad W^t = V Λ^t V^{-1}

    Squaring is exact for integers. Through the eigenvectors a Fibonacci number becomes Binet's formula with the
    golden ratio, and loses digits as κ(V) and t grow.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real, complex or integer, of any array library.
    t
        The power (steps), not negative.
    method
        ``"squaring"`` or ``"eigen"``.

    Returns
    -------
    array
        ``(..., n, n)``: integers by squaring integers, otherwise double precision. Entries beyond the range of
        floating-point numbers are infinite; :func:`power_norms` never overflows.

    Raises
    ------
    ArgumentError
        ``t`` is negative; an exact power does not fit 64-bit integers; or, by ``"eigen"``, W has no basis of
        eigenvectors, or its power overflows.
    UnknownNameError
        No such method.

    Examples
    --------
    The Fibonacci numbers, exactly and by the golden ratio φ = (1 + √5)/2:

    >>> F = np.array([[1, 1], [1, 0]])
    >>> matrix_power(F, 90)[0, 1]
    np.int64(2880067194370816120)
    >>> φ = (1 + 5**0.5) / 2
    >>> round(φ**30 / 5**0.5), round(matrix_power(F, 30, method="eigen")[0, 1])
    (832040, 832040)
    """
    w = weight(W)
    power = whole_number("t", t, least=0)
    one_of("method", method, METHODS)
    array = to_numpy(W)
    if method == "eigen":
        return w.restore(_by_eigenvectors(w.value, power))
    if array.dtype.kind in "iub":
        return w.restore(_power_by_squaring(_to_integers(array), power, _exact_product))
    with np.errstate(over="ignore", invalid="ignore"):
        result = _power_by_squaring(w.value, power, operator.matmul)
    # Infinity minus infinity, or times zero: with the exponent apart nothing overflows before the end.
    for index in np.argwhere(~np.isfinite(result).all(axis=(-2, -1))):
        one, scaled = result[tuple(index)], _scaled_power(w.value[tuple(index)], power)
        with np.errstate(over="ignore"):
            whole = _times(scaled.mantissa, max(min(scaled.exponent, 2000), -2200))
        one[...] = np.where(np.isfinite(one), one, whole)
    return w.restore(result)


def _power_by_squaring(W: np.ndarray, t: int, product: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    result = np.broadcast_to(np.eye(W.shape[-1], dtype=W.dtype), W.shape).copy()
    square = W
    while t:
        if t & 1:
            result = product(square, result)
        t >>= 1
        if t:
            square = product(square, square)
    return result


def power_norm(W: Any, t: int, /) -> float:
    r"""Return the logarithm of the spectral norm of one power of a weight, without the powers before it.

    .. math:: \log ‖W^t‖_2

    By repeated squaring, with the exponent apart, so that it never overflows or underflows: log₂ t products and one
    singular value, where :func:`power_norms` takes t of each.

    Parameters
    ----------
    W
        Weight ``(n, n)``, real or complex, of any array library.
    t
        The power (steps), not negative.

    Returns
    -------
    float
        Natural logarithm (nats); −inf where the power is exactly zero.

    Raises
    ------
    ArgumentError
        ``t`` is not a number of steps, or ``W`` is not square, finite and not empty.
    ShapeError
        ``W`` is a batch.

    Examples
    --------
    >>> power_norm([[2.0]], 3) / math.log(2.0)
    3.0
    """
    w = weight(W)
    if w.batch:
        raise ShapeError("W", "must be one square matrix", f"shape {w.value.shape}")
    return _scaled_power(w.value, whole_number("t", t, least=0)).log_norm()


def _scaled_power(W: np.ndarray, t: int) -> ScaledMatrix:
    if t == 0:
        return ScaledMatrix.of(np.eye(len(W), dtype=W.dtype))
    factor = power = ScaledMatrix.of(W)
    for bit in bin(t)[3:]:
        power = power @ power
        power = factor @ power if bit == "1" else power
    return power


def _to_integers(W: np.ndarray) -> np.ndarray:
    if W.size and int(W.max()) > np.iinfo(np.int64).max:
        raise ArgumentError("W", "must hold integers of at most 64 bits with sign", f"{W.max()}")
    return W.astype(np.int64)


def _exact_product(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    # Every sum of moduli bounds its partial sums, so below 2⁶³ (less the rounding of the bound) nothing wraps round.
    bound = np.max(np.abs(A.astype(np.float64)) @ np.abs(B.astype(np.float64)), initial=0.0)
    if bound * (1.0 + 4 * A.shape[-1] * EPS) >= 2.0**63:
        raise ArgumentError(
            "t", "must give a power that fits 64-bit integers", f"entries up to {bound:.3g}", "Pass W as floats."
        )
    return A @ B


def _by_eigenvectors(W: np.ndarray, t: int) -> np.ndarray:
    n = W.shape[-1]
    values, right = np.linalg.eig(W)
    condition = float(np.max(np.linalg.cond(right), initial=1.0))
    if not condition < 1.0 / (n * EPS):
        raise ArgumentError(
            "method",
            "must be 'squaring' for a weight without a basis of eigenvectors",
            f"'eigen' and an eigenvector condition of {condition:.1e}",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        # right Λᵗ right⁻¹ as a solve from the right: no inverse is formed.
        scaled = right * values[..., None, :] ** t
        result = np.swapaxes(np.linalg.solve(np.swapaxes(right, -1, -2), np.swapaxes(scaled, -1, -2)), -1, -2)
    if not np.isfinite(result).all():
        raise ArgumentError("t", "must give a power within the range of a float", f"{t}", "Use power_norms.")
    return result.real if np.isrealobj(W) else result
