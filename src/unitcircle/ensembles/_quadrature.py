"""Gauss-Legendre quadrature with weights accurate to rounding.

``scipy.special.roots_legendre`` and ``numpy.polynomial.legendre.leggauss`` lose six and five digits in the weights
next to the end points at 256 nodes; a determinant in its tail shows it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special


@lru_cache(maxsize=32)
def gauss_legendre(nodes: int, /) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and weights of ``∫_0^1 f(s) ds ≈ Σ w_i f(s_i)``, exact for degrees below ``2·nodes``."""
    # Newton's method in the angle θ of x = cos θ, from a zero of the Bessel function J₀; differences of
    # Legendre polynomials are recurred in 1 - x = 2 sin²(θ/2), which keeps all digits as θ goes to 0.
    # McMahon's expansion of the zeros (DLMF 10.21.19), then that of the angles (DLMF 18.16(ii)).
    beta = np.pi * (np.arange(1, nodes // 2 + 1) - 0.25)
    zero = beta + 1 / (8 * beta) - 31 / (384 * beta**3) + 3779 / (15360 * beta**5)
    zero[0] = special.jn_zeros(0, 1)[0]
    angle = zero / (nodes + 0.5)
    theta = angle + (angle / np.tan(angle) - 1) / (8 * angle * (nodes + 0.5) ** 2)
    slope = theta
    for _ in range(3):
        gap = 2 * np.sin(theta / 2) ** 2
        p = 1 - gap
        difference = -gap
        for k in range(1, nodes):
            difference = (k * difference - (2 * k + 1) * gap * p) / (k + 1)
            p = p + difference
        slope = -nodes * (gap * p - difference) / np.sin(theta)
        theta = theta - p / slope
    s = np.sin(theta / 2) ** 2
    weights = 1 / slope**2
    result = np.concatenate((s, 1 - s[::-1])), np.concatenate((weights, weights[::-1]))
    for array in result:
        array.flags.writeable = False
    return result
