"""The law of the spectral radius of real Gaussian matrices from first principles: slow, and nothing shared with ours.

The probability that all eigenvalues lie within r is a ratio of Pfaffians, ``Pf α(r) / Pf α(∞)``, of the skew product

    α(p, q) = ∫∫ sgn(y-x) p(x) q(y) e^{-(x²+y²)/2} dx dy
              + 2i ∫_{Im z > 0} (p(z) q(z̄) - q(z) p(z̄)) erfc(√2 Im z) e^{-(z²+z̄²)/2} d²z

restricted to the disc of radius r, here in monomials 1, z, ..., z^{n-1}; odd n borders it with ``∫ x^j e^{-x²/2}``.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numpy.polynomial.legendre import leggauss
from scipy import special

NODES = 120
INFINITY = 14.0


def pfaffian(matrix: np.ndarray) -> float:
    """Expand along the first row."""
    size = len(matrix)
    if size == 0:
        return 1.0
    total = 0.0
    for k in range(1, size):
        rest = [i for i in range(1, size) if i != k]
        total += (-1) ** (k - 1) * matrix[0, k] * pfaffian(matrix[np.ix_(rest, rest)])
    return total


def skew_products(n: int, r: float) -> np.ndarray:
    s, w = leggauss(NODES)
    s, w = (s + 1) / 2, w / 2
    # Real part: the triangles x < y and x > y of the square, each by the substitution x = -r + (y + r) t.
    y = r * (2 * s - 1)
    x = -r + np.outer(y + r, s)
    weight = 2 * r * np.outer(w * (y + r), w) * np.exp(-(x**2 + y[:, None] ** 2) / 2)
    below = np.array([[(weight * x**j * y[:, None] ** k).sum() for k in range(n)] for j in range(n)])
    # Complex part, in polar coordinates of the upper half disc.
    modulus, angle = r * s, np.pi * s
    z = modulus[:, None] * np.exp(1j * angle)
    measure = np.pi * r * np.outer(w * modulus, w) * special.erfc(np.sqrt(2) * z.imag) * np.exp(-(z**2).real)
    upper = np.zeros((n, n))
    for j, k in product(range(n), range(n)):
        upper[j, k] = (measure * 2j * (z**j * z.conj() ** k - z**k * z.conj() ** j)).sum().real
    result = below - below.T + upper
    if n % 2:
        border = np.array([2 * r * (w * y**j * np.exp(-y * y / 2)).sum() for j in range(n)])
        result = np.block([[result, border[:, None]], [-border[None], np.zeros((1, 1))]])
    return result


def spectral_radius_cdf(n: int, r: float) -> float:
    """P(ρ ≤ r) for unit variance, n ≤ 6."""
    return pfaffian(skew_products(n, r)) / pfaffian(skew_products(n, INFINITY))


def spectral_radius_log_cdf(n: int, r: float, digits: int = 60) -> tuple[float, float]:
    """log P(ρ ≤ r) and log P(ρ > r) with many digits: the determinant in multi-precision."""
    import mpmath

    with mpmath.workdps(digits):
        r, half = mpmath.mpf(r), n // 2
        size = half + n % 2
        x = r * r
        w = [mpmath.exp(-x / 2) * r ** (2 * j) / mpmath.sqrt(mpmath.factorial(2 * j)) for j in range(size)]
        u = [mpmath.sqrt(mpmath.binomial(2 * j, j) / mpmath.mpf(4) ** j) for j in range(size)]
        a = [u[j] * mpmath.gammainc(j + mpmath.mpf(1) / 2, 0, x / 2, regularized=True) for j in range(size)]
        t = [
            2 * mpmath.quad(lambda v, m=m: _integrand(mpmath, v, m, r), mpmath.linspace(0, mpmath.pi / 2, 4))
            for m in range(size)
        ]
        matrix = mpmath.matrix(size, size)
        for j, k in product(range(size), range(half)):
            toeplitz = t[j - k] if j >= k else -t[k - j - 1]
            matrix[j, k] = r / mpmath.sqrt(2 * mpmath.pi) * w[j] * w[k] * toeplitz
            if j == k:
                matrix[j, k] += mpmath.gammainc(2 * j + 1, 0, x, regularized=True)
            if n % 2 == 0:
                matrix[j, k] -= a[j] * w[k]
        if n % 2:
            for j in range(size):
                matrix[j, half] = a[j] / u[half]
        cdf = mpmath.det(matrix)
        return float(mpmath.log(cdf)), float(mpmath.log(1 - cdf))


def _integrand(mpmath, theta, m: int, r):
    height = mpmath.sqrt(2) * r * mpmath.sin(theta)
    return mpmath.sin((2 * m + 1) * theta) * mpmath.exp(height**2) * mpmath.erfc(height)
