"""Products of Householder reflections, and the Haar-distributed isometries they make of a Gaussian array."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from unitcircle._array import dtype_name, library, namespace
from unitcircle.initializers._banded import identity


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
    below = xp.tril(z)
    head = xp.linalg.diagonal(z)
    norm = xp.sqrt(xp.sum(xp.real(below * xp.conj(below)) if _is_complex(z) else below * below, axis=-2))
    ones = xp.ones_like(norm)
    # Of probability zero, but it occurs in float32: a column of zeros counts as one along its axis.
    head = xp.where(norm == 0, xp.ones_like(head), head)
    norm = xp.where(norm == 0, ones, norm)
    sign = xp.where((xp.real(head) if _is_complex(z) else head) >= 0, ones, -ones)
    beta = xp.astype(-sign * norm, z.dtype)
    vectors = xp.tril(z, k=-1) / (head - beta)[..., None, :]
    return _product(vectors, (beta - head) / beta) * xp.astype(-gain * sign, z.dtype)[..., None, :]


def _product(vectors: Any, tau: Any) -> Any:
    """Return the first n columns of ``H_1 ⋯ H_n``; the vectors ``(..., m, n)`` lie below the diagonal."""
    kind = library(vectors)
    if kind == "numpy":
        return _lapack_product(vectors, tau)
    if kind == "torch":
        return importlib.import_module("torch").linalg.householder_product(vectors, tau)
    if kind == "jax":
        return importlib.import_module("jax").lax.linalg.householder_product(vectors, tau)
    return _compact_product(vectors, tau)


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
