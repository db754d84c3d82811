"""How much of the movement of a weight keeps it orthogonal."""

from __future__ import annotations

from typing import Any

from unitcircle._array import namespace


def tangent_share(change: Any, Q: Any, /) -> Any:
    r"""Return the share of a change, squared, that is tangent to the orthogonal group at Q.

    .. math:: τ = \frac{‖\mathrm{skew}(Q^T Δ)‖_F^2}{‖Q^T Δ‖_F^2}

    The rest changes QᵀQ, by ``2 sym(QᵀΔ)`` to first order. A change in no particular direction has
    τ = (n − 1)/2n on average.

    Parameters
    ----------
    change
        Δ ``(..., n, n)``.
    Q
        ``(..., n, n)``, orthogonal: for a weight that is not, its :func:`polar_factor`; of another matrix Qᵀ weighs the
        directions of Δ.

    Returns
    -------
    array
        ``(...)``, in [0, 1]; NaN where nothing changed.

    References
    ----------
    Edelman, Arias and Smith, The geometry of algorithms with orthogonality constraints (1998), section 2.2.1.

    Examples
    --------
    >>> import numpy as np
    >>> round(float(tangent_share(np.array([[0.0, 2.0], [0.0, 0.0]]), np.eye(2))), 12)  # skew [[0, 1], [-1, 0]]
    0.5
    """
    xp = namespace(change)
    norm = xp.linalg.matrix_norm
    turned = xp.matmul(_transposed(xp, Q), change)
    size = norm(turned)
    moved = size > 0
    share = (norm(turned - _transposed(xp, turned)) / (2 * xp.where(moved, size, xp.ones_like(size)))) ** 2
    return xp.where(moved, share, xp.full_like(share, xp.nan))


def polar_factor(W: Any, /) -> Any:
    r"""Return the orthogonal matrix nearest to W, the Q of ``W = Q P`` with P positive semidefinite.

    .. math:: Q = U V^T, \quad W = U Σ V^T

    Parameters
    ----------
    W
        ``(..., n, n)``, finite.

    Returns
    -------
    array
        ``(..., n, n)``; of a singular W one of those that are nearest.

    References
    ----------
    Higham (2008), Functions of Matrices, theorem 8.4.

    Examples
    --------
    >>> import numpy as np
    >>> polar_factor(np.diag([0.5, -2.0])).round(12) + 0.0
    array([[ 1.,  0.],
           [ 0., -1.]])
    """
    xp = namespace(W)
    U, _, Vh = xp.linalg.svd(W, full_matrices=False)
    return xp.matmul(U, Vh)


def _transposed(xp: Any, W: Any) -> Any:
    return xp.conj(xp.matrix_transpose(W))
