"""How far a weight is from normal, and how ill-conditioned its eigenvectors are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy

from unitcircle._array import Weight, weight
from unitcircle.spectra._scaled import ScaledMatrix


def departure_from_normality(W: Any, /) -> Any:
    r"""Return Henrici's departure from normality.

    .. math:: \sqrt{‖W‖_F^2 - \sum_k |λ_k|^2} = ‖N‖_F, \qquad W = Q (Λ + N) Q^*

    with N strictly upper triangular. It is taken as ‖N‖_F: the difference of squares would lose half the digits
    of a nearly normal weight.

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.

    Returns
    -------
    float or array
        Not negative; 0 (to n·eps·‖W‖_F) if and only if W is normal. Shape ``(...)``.

    Raises
    ------
    ArgumentError
        Not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    References
    ----------
    Henrici, "Bounds for iterates, inverses, spectral variation and fields of values of non-normal matrices",
    Numerische Mathematik 4 (1962), eq. (1.5)

    Examples
    --------
    >>> departure_from_normality([[0.9, 10.0], [0.0, 0.8]])
    10.0
    """
    w = weight(W)
    return w.restore(_measure_batch(w, departure))


def eigenvector_condition(W: Any, /) -> Any:
    r"""Return the condition number of the matrix of eigenvectors.

    .. math:: κ(V) = ‖V‖_2 ‖V^{-1}‖_2, \qquad W = V Λ V^{-1}, \quad ‖v_k‖_2 = 1

    It bounds transient growth, ‖Wᵗ‖ ≤ κ(V) ρᵗ, and the sensitivity of the eigenvalues (Bauer–Fike).

    Parameters
    ----------
    W
        Weight ``(..., n, n)``, real or complex, of any array library.

    Returns
    -------
    float or array
        At least 1; exactly 1 where W is normal to the rounding of its element type; infinite where W is defective
        (where V is singular to rounding, κ(V) ≥ 1/(n·eps)). Shape ``(...)``. For a repeated eigenvalue of a
        non-normal weight V is not unique; LAPACK's choice is measured.

    Raises
    ------
    ArgumentError
        Not square, empty, not finite or not numbers: see :mod:`unitcircle.errors`.

    References
    ----------
    Trefethen & Embree, *Spectra and Pseudospectra* (2005), §16 (powers), Theorem 2.3 (Bauer–Fike)

    Examples
    --------
    >>> eigenvector_condition([[1.0, 1.0], [0.0, 1.0]])
    inf
    """
    w = weight(W)

    def condition(value: np.ndarray) -> float:
        if is_normal(value, eps=w.eps):
            return 1.0
        sigma = scipy.linalg.svdvals(np.linalg.eig(value)[1])
        least = w.n * float(np.finfo(np.float64).eps) * sigma[0]
        return float(sigma[0] / sigma[-1]) if sigma[-1] > least else np.inf

    return w.restore(_measure_batch(w, condition))


def departure_given(w: Weight, moduli: np.ndarray, /) -> np.ndarray:
    """Return Henrici's departure of a weight or a batch, whose eigenvalues have these moduli ``(..., n)``."""
    sizes = iter(np.asarray(moduli, dtype=np.float64).reshape(-1, w.n))

    def measure(value: np.ndarray) -> float:
        scaled = ScaledMatrix.of(value)
        whole = float(np.linalg.norm(scaled.mantissa)) ** 2
        with np.errstate(over="ignore"):
            rest = whole - float(np.sum(np.ldexp(next(sizes), -scaled.exponent) ** 2))
        # Where half of the norm is left, the difference is as good as a Schur form: two digits of n·eps are lost at
        # most, and the eigenvalues are those of a weight as near as the one that a Schur form belongs to.
        return float(np.ldexp(math.sqrt(rest), scaled.exponent)) if rest >= whole / 4 else departure(value)

    return _measure_batch(w, measure)


def departure(W: np.ndarray, /) -> float:
    """Return Henrici's departure of one weight ``(n, n)`` in double precision."""
    scaled = ScaledMatrix.of(W)  # squares of entries beyond 1e154 would overflow
    T = triangular(scaled.mantissa)
    if np.iscomplexobj(T):
        return float(np.ldexp(np.linalg.norm(np.triu(T, 1)), scaled.exponent))
    # LAPACK's real Schur form has 2 × 2 blocks [[a, b], [c, a]] with eigenvalues a ± i sqrt(-bc): what such a block
    # adds to the square is a² + b² + c² + a² - 2 (a² - bc) = (b + c)².
    below = np.diagonal(T, -1)
    block = np.flatnonzero(below)
    N = np.triu(T, 1)
    N[block, block + 1] += below[block]
    return float(np.ldexp(np.linalg.norm(N), scaled.exponent))


def triangular(W: np.ndarray, /) -> np.ndarray:
    """Return the Schur form of one weight without its vectors, which cost as much again."""
    (gees,) = scipy.linalg.get_lapack_funcs(("gees",), (W,))
    options = {"compute_v": 0, "sort_t": 0}
    *_, work, _ = gees(lambda *_: 0, W, lwork=-1, **options)
    T, *_, info = gees(lambda *_: 0, W, lwork=int(work[0].real), **options)
    if info:
        raise scipy.linalg.LinAlgError("the QR algorithm found no Schur form")
    return T


def is_normal(W: np.ndarray, /, *, eps: float = float(np.finfo(np.float64).eps)) -> bool:
    """Whether one weight ``(n, n)`` is normal to rounding: departure at most 4·n·eps·‖W‖_F."""
    scaled = ScaledMatrix.of(W).mantissa
    scaled = scaled / (float(np.linalg.norm(scaled)) or 1.0)
    # ‖[W*, W]‖_F ≤ 4 ‖W‖_F · departure is necessary and costs two products; only Henrici's number is sufficient.
    commutator = float(np.linalg.norm(scaled.conj().T @ scaled - scaled @ scaled.conj().T))
    return commutator <= 64 * len(W) * eps and departure(scaled) <= 4 * len(W) * eps


def _measure_batch(w: Weight, measure: Any) -> np.ndarray:
    return np.reshape([measure(value) for value in w.value.reshape(-1, w.n, w.n)], w.batch).astype(np.float64)
