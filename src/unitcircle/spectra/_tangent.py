"""The share of a change of a weight that is tangent to the orthogonal group."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import floating, library, namespace, require_finite
from unitcircle.errors import DtypeError, ShapeError


def tangent_share(change: Any, Q: Any, /) -> Any:
    r"""Return the share of a change, squared, that is tangent to the orthogonal group at Q.

    .. math:: τ = \frac{‖\mathrm{skew}(Q^T Δ)‖_F^2}{‖Q^T Δ‖_F^2}

    with skew(A) = (A − Aᵀ)/2 and, for complex weights, ᴴ in place of ᵀ (the unitary group). The rest changes QᵀQ, by
    ``2 sym(QᵀΔ)`` to first order. A real Δ with independent Gaussian entries has τ = (n − 1)/2n on average.

    Parameters
    ----------
    change
        Δ ``(..., n, n)``, an array of any array-API library: the change of a weight in one step, or a gradient.
    Q
        ``(..., n, n)``, orthogonal, of the same library. For a weight that is not orthogonal pass its
        :func:`polar_factor`; otherwise its singular values weight the directions of Δ.

    Returns
    -------
    array
        ``(...)``, in [0, 1], in the library and on the device of the arguments; NaN where nothing changed.

    Raises
    ------
    ShapeError
        The two are not matrices of the same size.
    DtypeError
        They are not of one library, dense and of floating-point numbers.

    References
    ----------
    Edelman, Arias and Smith, The geometry of algorithms with orthogonality constraints (1998), section 2.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(tangent_share(np.array([[0.0, 2.0], [0.0, 0.0]]), np.eye(2))), 12)  # skew [[0, 1], [-1, 0]]
    0.5
    """
    change, Q = floating(change, argument="change"), floating(Q, argument="Q")
    if library(change) != library(Q):
        raise DtypeError("change", "must be of the library of Q", f"{library(change)} and {library(Q)}")
    if change.shape[-2:] != Q.shape[-2:]:
        rule = "must be matrices (..., n, n) of the size of Q"
        raise ShapeError("change", rule, f"shapes {tuple(change.shape)} and {tuple(Q.shape)}")
    require_finite(change, argument="change")
    require_finite(Q, argument="Q")
    xp = namespace(change)
    # The share of Δ is that of any multiple of it: in these units no square overflows.
    largest = xp.max(xp.abs(change), axis=(-2, -1), keepdims=True)
    change = change / xp.where(largest > 0, largest, xp.ones_like(largest))
    norm = xp.linalg.matrix_norm
    with np.errstate(over="ignore", invalid="ignore"):  # a Q far from orthogonal
        turned = xp.matmul(_adjoint(xp, Q), change)
        size = norm(turned)
        moved = size > 0
        share = (norm(turned - _adjoint(xp, turned)) / (2 * xp.where(moved, size, xp.ones_like(size)))) ** 2
    share = xp.where(share > 1, xp.ones_like(share), share)  # by rounding alone
    return xp.where(moved, share, xp.full_like(share, xp.nan))


def polar_factor(W: Any, /) -> Any:
    r"""Return the orthogonal matrix nearest to W, the Q of ``W = Q P`` with P positive semidefinite.

    .. math:: Q = U V^T = \arg\min_{Q^T Q = I} ‖W - Q‖_F, \quad W = U Σ V^T

    Parameters
    ----------
    W
        ``(..., n, n)``, real or complex, finite, an array of any array-API library. A tall ``(..., m, n)`` with m ≥ n
        gives the nearest matrix with orthonormal columns.

    Returns
    -------
    array
        The shape, library and device of W; of a singular W one of those that are nearest.

    Raises
    ------
    ShapeError
        Fewer than two axes.
    ArgumentError
        Not finite, not dense, or not floating-point numbers of single or double precision.

    References
    ----------
    Higham (2008), Functions of Matrices, theorem 8.4 and section 8.1.

    Examples
    --------
    >>> import numpy as np
    >>> polar_factor(np.diag([0.5, -2.0])).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    W = floating(W, argument="W")
    require_finite(W, argument="W")
    xp = namespace(W)
    with np.errstate(over="ignore"):  # of the singular values, which are not used
        U, _, Vh = xp.linalg.svd(W, full_matrices=False)
    return xp.matmul(U, Vh)


def _adjoint(xp: Any, W: Any) -> Any:
    return xp.conj(xp.matrix_transpose(W))
