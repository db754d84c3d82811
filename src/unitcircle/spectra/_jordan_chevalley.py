"""A weight as a diagonalizable and a nilpotent part that commute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy

from unitcircle import _array
from unitcircle.spectra._circle import merged_eigenvalues
from unitcircle.spectra._nilpotent import CLEAR, nilpotency_index
from unitcircle.spectra._triangular import Triangular, triangular_parts


@dataclass(frozen=True, eq=False)
class JordanChevalley:
    """The two parts of one weight, with the evidence that they are what they are called.

    Attributes
    ----------
    diagonalizable
        D ``(n, n)``, in the library of W; real where W is.
    nilpotent
        N = W − D.
    index
        The least m with Nᵐ = 0 within rounding, the size of the largest Jordan block; None where rounding leaves it
        open.
    eigenvalues
        ``(k,)`` the eigenvalues of D, each once.
    multiplicities
        ``(k,)`` how often each occurs.
    condition
        κ₂ of a basis of eigenvectors of D: what rounding is multiplied by.
    commutator
        ‖DN − ND‖₂ / ‖W‖₂², zero in exact arithmetic.
    nilpotency
        ‖Nᵐ‖₂ / ‖W‖₂ᵐ, zero in exact arithmetic; for m = n where the index is open.
    """

    diagonalizable: Any
    nilpotent: Any
    index: int | None
    eigenvalues: np.ndarray
    multiplicities: np.ndarray
    condition: float
    commutator: float
    nilpotency: float


def jordan_chevalley(W: Any, /) -> JordanChevalley:
    r"""Split a weight into a diagonalizable and a nilpotent part that commute (Dunford's decomposition).

    .. math::
        W = D + N, \qquad DN = ND, \qquad N^m = 0, \qquad W^t = \sum_{k < m} \binom{t}{k} N^k D^{t-k}

    The eigenvalues that a rounding error of the element type of W could have split from one multiple eigenvalue count
    as this one, with their mean. D is :math:`\sum_c λ_c P_c` over the projectors on their invariant subspaces. The
    parts do not depend continuously on W: almost every weight near a defective one has N = 0. They are those of a
    weight within rounding of W, and the evidence says how nearly.

    Parameters
    ----------
    W
        Weight ``(n, n)`` of any array library.

    Returns
    -------
    JordanChevalley
        The parts and the evidence.

    Raises
    ------
    ShapeError
        Not one square matrix, or 0 × 0.
    DtypeError
        Not numbers.
    NotFiniteError
        A NaN or an infinity.

    References
    ----------
    Horn and Johnson (2013), Matrix Analysis, 2nd edition, section 3.2.7. Golub and Wilkinson (1976), Ill-conditioned
    eigensystems and the computation of the Jordan canonical form, SIAM Review 18(4).

    Examples
    --------
    >>> parts = jordan_chevalley([[3.0, 1.0], [-1.0, 1.0]])
    >>> abs(parts.diagonalizable).round(12).tolist(), parts.nilpotent.round(12).tolist(), parts.index
    ([[2.0, 0.0], [0.0, 2.0]], [[1.0, 1.0], [-1.0, -1.0]], 2)
    """
    weight = _array.one_weight(W)
    largest = max(np.abs(np.real(weight.value)).max(), np.abs(np.imag(weight.value)).max())
    # A power of two: exact. At most the largest that is a float.
    scale = float(np.ldexp(1.0, min(int(np.frexp(largest)[1]), 1023)))
    A = weight.value / scale
    parts = [_of(part) for part in triangular_parts(A, eps=weight.eps)]
    D = np.zeros_like(A)
    for part in parts:
        D[np.ix_(part.order, part.order)] = part.D if np.iscomplexobj(D) else np.real(part.D)
    N = A - D
    sizes = [size for part in parts for size in part.sizes]
    index = max(sizes) if all(sizes) else None
    norm = float(np.linalg.norm(A, 2)) or 1.0
    values, inverse = np.unique(np.concatenate([part.means for part in parts]), return_inverse=True)
    with np.errstate(over="ignore"):  # a sum of the largest floats is infinite
        large = [scale * part for part in (D, N, values)]
    return JordanChevalley(
        weight.restore(large[0]),
        weight.restore(large[1]),
        index,
        large[2],
        np.bincount(inverse, np.concatenate([part.counts for part in parts])).astype(int),
        max(part.condition for part in parts),
        float(np.linalg.norm(D @ N - N @ D, 2)) / norm**2,
        float(np.linalg.norm(np.linalg.matrix_power(N / norm, index or weight.n), 2)),
    )


@dataclass(frozen=True, eq=False)
class _Part:
    """The diagonalizable part of one direct summand."""

    order: np.ndarray  # The units of the weight that its rows are
    D: np.ndarray  # (m, m)
    means: np.ndarray  # (k,) the mean of every group of eigenvalues
    counts: list[int]  # How many eigenvalues each has
    sizes: list[int]  # The largest Jordan block of each, 0 where rounding leaves it open
    condition: float  # κ₂ of the basis of invariant subspaces


def _of(part: Triangular) -> _Part:
    """Return Σ λ_c P_c from bases of the invariant subspaces of groups of eigenvalues."""
    merged = [members for members, _ in merged_eigenvalues(part, 1.0)]
    groups, sizes = zip(*(found for members in merged for found in _resolved(part, members)), strict=True)
    counts = [len(members) for members in groups]
    means = np.array([part.eigenvalues[members].mean() for members in groups])
    X = np.hstack([part.whole.Z @ _subspace(part.whole.T, members) for members in groups])
    # X diag(λ) X⁻¹ as the solution of D X = X diag(λ).
    D = np.linalg.solve(X.T, (X * np.repeat(means, counts)).T).T
    return _Part(part.order, D, means, counts, list(sizes), float(np.linalg.cond(X)))


def _subspace(T: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return an orthonormal basis ``(n, m)`` of the invariant subspace of some eigenvalues of a triangular matrix."""
    n, m = len(T), len(members)
    if m == n:
        return np.eye(n, dtype=complex)
    select = np.zeros(n, dtype=np.int32)
    select[members] = 1
    (trsen,) = scipy.linalg.get_lapack_funcs(("trsen",), (T,))
    return trsen(select, T, np.eye(n, dtype=complex), job="N", lwork=max(1, m * (n - m)))[1][:, :m]


def _resolved(part: Triangular, members: np.ndarray) -> Iterator[tuple[np.ndarray, int]]:
    """Yield groups, and the size of the largest Jordan block of each, 0 where rounding leaves it open."""
    _, _, size = _largest_block(part, members)
    if size:
        yield members, size
        return
    # The first-order bound that merged them is far too wide for a large Jordan block: halves clear of each other.
    points = np.stack([np.real(part.eigenvalues[members]), np.imag(part.eigenvalues[members])], axis=1)
    near = scipy.cluster.hierarchy.fcluster(scipy.cluster.hierarchy.linkage(points, "single"), 2, "maxclust") == 1
    halves = members[near], members[~near]
    measured = [_largest_block(part, half) for half in halves if len(half)]
    if len(measured) == 2 and abs(measured[0][0] - measured[1][0]) >= CLEAR * (measured[0][1] + measured[1][1]):
        for half in halves:
            yield from _resolved(part, half)
    else:
        yield members, 0


def _largest_block(part: Triangular, members: np.ndarray) -> tuple[complex, float, int]:
    """Return the mean of a group, its error, and the size of its largest Jordan block, 0 where it has no clear one."""
    mean, m = complex(part.eigenvalues[members].mean()), len(members)
    compression, condition, block = part.compression(members)
    error = block.backward_error / condition
    size = 1 if m == 1 else nilpotency_index(compression - mean * np.eye(m), tolerance=2 * m * error)
    return mean, error, size
