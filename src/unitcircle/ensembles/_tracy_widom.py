"""The Tracy-Widom law of the largest eigenvalue of a real sample covariance: Fredholm determinant by quadrature."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

from unitcircle.ensembles._quadrature import gauss_legendre

# Length of the axis and number of nodes: both were doubled without a change beyond rounding.
LENGTH = 12.0
NODES = 32
# Left of this F is below e^-70, and the kernel is too wide for LENGTH.
LEFTMOST = -12.0


def tracy_widom_sf(s: Any, /) -> np.ndarray:
    """Return ``1 - F₁(s)``, F₁ the Tracy-Widom law of real matrices (β = 1).

    ``F₁(s) = det(1 - B_s)`` with ``B_s(x, y) = Ai(x + y + s)`` on ``L²(0, ∞)``.

    Parameters
    ----------
    s
        Points, elementwise.

    Returns
    -------
    numpy.ndarray
        Probabilities, with a small relative error in the right tail.

    References
    ----------
    P. Ferrari, H. Spohn, A determinantal formula for the GOE Tracy-Widom distribution, J. Phys. A 38 (2005);
    F. Bornemann, On the numerical evaluation of Fredholm determinants, Math. Comp. 79 (2010).

    Examples
    --------
    >>> np.round(tracy_widom_sf([-1.2687, 0.9793]), 4)
    array([0.5 , 0.05])
    """
    # Far left an eigenvalue is 1 to rounding, and F₁ is 0.
    eigenvalues = np.minimum(np.linalg.eigvalsh(_kernels(s)[0]), 1 - 1e-16)
    return -np.expm1(np.log1p(-eigenvalues).sum(-1))


def tracy_widom_pdf(s: Any, /) -> np.ndarray:
    """Return the density ``F₁'(s) = -F₁(s) tr((1 - B_s)⁻¹ B_s')``, elementwise."""
    kernel, derivative = _kernels(s)
    eigenvalues, vectors = np.linalg.eigh(kernel)
    complement = np.maximum(1 - eigenvalues, 1e-16)
    slopes = np.einsum("...ik,...ij,...jk->...k", vectors, derivative, vectors, optimize=True)
    return np.maximum(-np.prod(complement, -1) * (slopes / complement).sum(-1), 0)


def _kernels(s: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return the matrices ``(..., NODES, NODES)`` of B_s and of its derivative in s."""
    nodes, weights = gauss_legendre(NODES)
    x, root = LENGTH * nodes, np.sqrt(LENGTH * weights)
    points = np.maximum(np.asarray(s, float), LEFTMOST)[..., None, None] + x[:, None] + x
    value, slope, _, _ = special.airy(points)
    return root[:, None] * value * root, root[:, None] * slope * root
