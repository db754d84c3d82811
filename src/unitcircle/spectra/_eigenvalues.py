"""Eigenvalues of a weight in one stated order."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import Weight, weight

# Moduli (relative to ρ) and phases (radians) closer than TIE·n·eps count as equal.
TIE = 16


def eigenvalues(W: Any, /) -> Any:
    r"""Return the eigenvalues of a weight, by decreasing modulus.

    .. math:: W v_k = λ_k v_k, \qquad |λ_1| ≥ |λ_2| ≥ … ≥ |λ_n|

    The order is total and robust to rounding: eigenvalues whose moduli differ by at most 16·n·eps·ρ count as equally
    large, and are ordered by the size of their phase, \|arg λ\| from 0 to π; where that is equal too (to 16·n·eps
    radians) the one with positive imaginary part comes first. The complex eigenvalues of a real weight are exact
    conjugates, next to each other.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.

    Returns
    -------
    array
        Complex, ``(..., n)``, in the library of ``W``.

    Raises
    ------
    ArgumentError
        Not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    Examples
    --------
    >>> eigenvalues([[0.0, -0.5], [0.5, 0.0]])
    array([0.+0.5j, 0.-0.5j])
    """
    w = weight(W)
    return w.restore(in_order(w, *found(w)))


def found(w: Weight, /) -> tuple[np.ndarray, float]:
    """Return the eigenvalues of a checked weight as LAPACK finds them, over a power of two, and this."""
    # So that an eigenvalue beyond the largest number is in its order before it is infinite.
    unit = 2.0 ** max(int(np.frexp(np.abs(w.value.view(np.float64)).max(initial=0.0))[1]) - 1000, 0)
    return np.linalg.eigvals(w.value / unit).astype(np.complex128), unit


def in_order(w: Weight, values: np.ndarray, unit: float, /) -> np.ndarray:
    """Return the eigenvalues that were found in their order."""
    tolerance = TIE * w.n * w.eps
    order = _order_real if np.isrealobj(w.value) else _order
    flat = [order(row, tolerance) for row in values.reshape(-1, w.n)]
    values = np.reshape(flat, values.shape).astype(np.complex128)
    with np.errstate(over="ignore"):
        return (values.view(np.float64) * unit).view(np.complex128)


def _order_real(values: np.ndarray, tolerance: float) -> np.ndarray:
    """Order the eigenvalues of a real weight: one of each pair is enough, so no pair is ever split."""
    upper = _order(values[np.imag(values) >= 0.0], tolerance)
    pairs = np.stack([upper, upper.conj()], axis=-1)
    keep = np.stack([np.ones(len(upper), dtype=bool), np.imag(upper) > 0.0], axis=-1)
    return pairs[keep]


def _order(values: np.ndarray, tolerance: float) -> np.ndarray:
    modulus, phase = np.abs(values), np.angle(values)
    size = _ranks(-modulus, tolerance * float(modulus.max(initial=0.0)))
    turn = _ranks(np.abs(phase), tolerance)
    return values[np.lexsort((-phase, turn, size))]


def _ranks(keys: np.ndarray, tolerance: float) -> np.ndarray:
    """Return ranks from 0, in increasing order; neighbours within the tolerance share one."""
    order = np.argsort(keys, kind="stable")
    ranks = np.empty(len(keys), dtype=np.int64)
    ranks[order] = np.cumsum(np.diff(keys[order], prepend=keys[order][:1]) > tolerance)
    return ranks
