"""The Toeplitz elements of the determinant: an oscillating integral of the scaled complementary error function."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from unitcircle.ensembles._quadrature import gauss_legendre


def toeplitz_elements(r: np.ndarray, size: int, /) -> np.ndarray:
    """Return ``T_m = 2 ∫_0^{π/2} sin((2m+1)θ) erfcx(√2 r sin θ) dθ`` for m = -size..size, ``(R, 2 size + 1)``."""
    # Gauss-Legendre quadrature: the integrand is entire in θ, so that size + 8 √r + 20 nodes give all digits
    # (measured up to r = 100). Their number is rounded up because the nodes are cached.
    nodes = 16 * int(np.ceil((size + 8 * np.sqrt(r.max()) + 20) / 16))
    sine, weight = _quadrature(size, nodes)
    t = special.erfcx(r[:, None] * sine) @ weight
    return np.concatenate((-t[:, size - 1 :: -1], t), axis=1)


@lru_cache(maxsize=8)
def _quadrature(size: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    s, weight = gauss_legendre(nodes)
    theta = np.pi / 2 * s
    odd = np.sin(np.outer(theta, 2 * np.arange(size + 1) + 1))
    return np.sqrt(2) * np.sin(theta), (np.pi * weight)[:, None] * odd
