"""How much of the movement of a weight keeps it orthogonal."""

from __future__ import annotations

__all__ = ["tangent_share"]

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
        ``(..., n, n)``, orthogonal (or its polar factor); of another weight Qᵀ weighs the directions of Δ.

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


def _transposed(xp: Any, W: Any) -> Any:
    return xp.conj(xp.matrix_transpose(W))
