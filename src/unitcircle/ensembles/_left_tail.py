"""The law of the spectral radius of a real Gaussian matrix far in its left tail: the same determinant in monomials.

The skew-orthogonal polynomials behind :mod:`._ginibre` belong to the whole plane. On a small disc they are far from
orthogonal, their determinant is a difference of large numbers, and below ``F ≈ e^{-50}`` no digit may be left. With
monomials ``z^{2j}, z^{2k+1}`` in their place the determinant has the same value (the change of basis is unit
triangular) and a condition number of some hundreds at most, at the price of one more quadrature:

    M_jk = √(2/π) ∫_0^r y² w_j(y) w_k(y) [κ_j(y) + T_{k-j}(y)] dy
    κ_j(y) = ∫_0^y x^{2j} e^{-x²/2} dx / (y^{2j+1} e^{-y²/2}) = (1 + y² κ_{j+1}) / (2j + 1)

with w and T as in :mod:`._ginibre`; for odd n one more row, and the column ``r w_j κ_j(r) √(2/π) / u_N``.
"""

from __future__ import annotations

import numpy as np

from unitcircle.ensembles._incomplete_gamma import log_gammainc, log_poisson
from unitcircle.ensembles._quadrature import gauss_legendre
from unitcircle.ensembles._toeplitz import toeplitz_elements

# Elements of the largest array worked on at once.
STACK = 1_000_000
# √(2/π), the factor of every element, is taken out of the determinant.
LOG_CONSTANT = 0.5 * np.log(2 / np.pi)


def left_tail(n: int, r: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return log F(r) and log F'(r) at radii ``(R,)`` for a real Gaussian matrix of unit variance."""
    step = max(1, STACK // (n + 100) ** 2)
    parts = [_left_tail(n, r[start : start + step]) for start in range(0, r.size, step)]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def _left_tail(n: int, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    half, odd = divmod(n, 2)
    size = half + odd
    j = np.arange(size)
    # The number of nodes is rounded up because they are cached.
    nodes, weights = gauss_legendre(16 * int(np.ceil((2 * size + 4 * r.max() + 16) / 16)))
    # The end point is appended: there the integrand is the derivative of the matrix.
    y = r[:, None] * np.append(nodes, 1)
    t = toeplitz_elements(y.ravel(), size).reshape(*y.shape, -1)
    half_log = 0.5 * log_gammainc(2 * j + 1, (r * r)[:, None])
    w = np.exp(0.5 * log_poisson(2 * j, (y * y)[:, :, None]) - half_log[:, None, :])
    kappa = _kappa(size, y)
    matrix, slope = np.empty((2, r.size, size, size))
    for row in j:
        shifted = t[:, :, size - row : 2 * size - row]
        integrand = (y * y * w[:, :, row])[:, :, None] * w * (kappa[:, :, row : row + 1] + shifted)
        matrix[:, row] = r[:, None] * (weights @ integrand[:, :-1])
        slope[:, row] = integrand[:, -1]
    log_scale = 2 * half_log.sum(1) + size * LOG_CONSTANT
    if odd:
        # Row N is divided by √P_N but there is no column N; u_N enters through the logarithm.
        log_u = 0.5 * np.log1p(-0.5 / np.arange(1, size)).sum()
        matrix[:, :, -1] = r[:, None] * w[:, -1] * kappa[:, -1]
        slope[:, :, -1] = w[:, -1]
        log_scale -= half_log[:, -1] + log_u
    log_cdf = log_scale + np.linalg.slogdet(matrix)[1]
    return log_cdf, log_cdf + np.log(np.einsum("rii->r", np.linalg.solve(matrix, slope)))


def _kappa(size: int, y: np.ndarray) -> np.ndarray:
    # In downward recurrence every term is positive, and the error of the start decays like powers of y²/(2j).
    x = y * y
    start = size + int(np.ceil(x.max())) + 60
    value = np.zeros_like(y)
    result = np.empty((*y.shape, size))
    for j in range(start, -1, -1):
        value = (1 + x * value) / (2 * j + 1)
        if j < size:
            result[..., j] = value
    return result
