"""Products of Householder reflections, and the Haar-distributed isometries they make of a Gaussian array."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from unitcircle._array import dtype_name, library, namespace
from unitcircle.initializers._banded import identity

_TINY = {"float32": 2.0**-63, "complex64": 2.0**-63, "float64": 2.0**-511, "complex128": 2.0**-511}
"""Root of the smallest normal number of an element type."""


def haar(z: Any, /, *, gain: float = 1.0) -> Any:
    r"""Return a multiple of a Haar-distributed isometry ``(..., m, n)``, m ≥ n, by Stewart's reflections.

    .. math:: Q = H_1 \cdots H_n D, \qquad H_k = I - τ_k v_k v_k^H

    H_k reflects the k-th axis onto ``x = z[k:, k]``: in LAPACK's convention ``β = −sign(Re x₁) ‖x‖``,
    ``v = x / (x₁ − β)`` below its leading 1, ``τ = (β − x₁) / β``, and D holds the signs of β.

    Parameters
    ----------
    z
        Standard-normal array ``(..., m, n)``, m ≥ n, real or complex.
    gain
        Every singular value of the result.

    Returns
    -------
    array
        ``(..., m, n)``, QᴴQ = gain² I.

    References
    ----------
    G. W. Stewart, SIAM J. Numer. Anal. 17 (1980), theorem 3.3; LAPACK, ``xLARFG``.
    """
    xp = namespace(z)
    is_complex = _is_complex(z)
    below, head = xp.tril(z), xp.linalg.diagonal(z)
    squares = xp.real(below * xp.conj(below)) if is_complex else below * below
    # Of probability zero, but it occurs in float32: a column of zeros counts as a tiny multiple of its axis.
    tiny = _TINY[dtype_name(z)]
    head = head + tiny
    norm = xp.sqrt(xp.sum(squares, axis=-2) + tiny * tiny)
    minus_beta = xp.copysign(norm, xp.real(head) if is_complex else head)
    sign = minus_beta / norm
    if is_complex:
        minus_beta, sign = (xp.astype(x, z.dtype) for x in (minus_beta, sign))
    step = head + minus_beta
    return _product(below / step[..., None, :], step / minus_beta) * (-gain * sign)[..., None, :]


def _product(vectors: Any, tau: Any) -> Any:
    """Return the first n columns of ``H_1 ⋯ H_n``; the vectors ``(..., m, n)`` count below the diagonal."""
    kind = library(vectors)
    if kind == "numpy":
        return _lapack_product(vectors, tau)
    if kind == "torch":
        return importlib.import_module("torch").linalg.householder_product(vectors, tau)
    if kind == "jax":
        return importlib.import_module("jax").lax.linalg.householder_product(vectors, tau)
    return _compact_product(namespace(vectors).tril(vectors, k=-1), tau)


def _lapack_product(vectors: np.ndarray, tau: np.ndarray) -> np.ndarray:
    from scipy.linalg import get_lapack_funcs  # noqa: PLC0415  (it takes longer to import than the whole package)

    name = "ungqr" if _is_complex(vectors) else "orgqr"
    (generate,) = get_lapack_funcs((name,), (vectors,))
    m, n = vectors.shape[-2:]
    product = np.empty_like(vectors)
    for index in np.ndindex(*vectors.shape[:-2]):
        # A block size of 64 is the largest LAPACK uses; the workspace is n per column of a block.
        product[index] = generate(vectors[index], tau[index], lwork=64 * n)[0]
    return product.reshape((*vectors.shape[:-2], m, n))


def _compact_product(vectors: Any, tau: Any) -> Any:
    """Return the product ``(..., m, n)`` in compact form, ``I − V T Vᴴ`` with ``T⁻¹ = striu(VᴴV) + diag(1/τ)``."""
    # For libraries without LAPACK's product: only matrix products and one solve, all of them batched.
    #
    # T. Joffrain, T. M. Low, E. S. Quintana-Ortí, R. van de Geijn, F. G. Van Zee, "Accumulating Householder
    # transformations, revisited", ACM Trans. Math. Softw. 32 (2006).
    xp = namespace(vectors)
    n = vectors.shape[-1]
    eye = identity(vectors)
    V = vectors + eye
    adjoint = xp.conj(xp.matrix_transpose(V)) if _is_complex(V) else xp.matrix_transpose(V)
    inverse = xp.triu(adjoint @ V, k=1) + eye[..., :n, :] / tau[..., None, :]
    return eye - V @ xp.linalg.solve(inverse, adjoint[..., :n])


def _is_complex(array: Any) -> bool:
    return dtype_name(array).startswith("complex")
