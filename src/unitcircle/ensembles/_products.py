"""Means of products ``E f(a) f(b)`` of a function of two correlated normal variables, by Hermite expansion."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from unitcircle.ensembles._activation import Function
from unitcircle.ensembles._gaussian_mean import normal_nodes

DEGREES = 256


class Products:
    """``E f(a) f(b) = Σ_k f_k² c^k`` for a, b normal of standard deviation ``std`` and correlation c, 0 ≤ c ≤ 1.

    What the series leaves out at c = 1, found by quadrature, is given to the next power. A kink in f converges like
    ``k^(-3/2)``, a step like ``k^(-1/2)``, at c near 1 only.
    """

    def __init__(self, function: Function, std: float) -> None:
        z, w = normal_nodes(std)
        values = function(std * z)
        head = (_hermite(z.tobytes()) @ (w * values)) ** 2
        rest = max(float(w @ values**2) - float(head.sum()), 0.0)
        self.squares = np.append(head, rest)

    def __call__(self, c: np.ndarray, /) -> np.ndarray:
        """Return the mean of the product, elementwise."""
        total = np.zeros_like(c)
        for square in self.squares[::-1]:
            total = total * c + square
        return total


@lru_cache(maxsize=16)
def _hermite(nodes: bytes, /) -> np.ndarray:
    """Return the normalised Hermite polynomials ``(DEGREES, nodes)`` at nodes given as bytes."""
    z = np.frombuffer(nodes)
    rows = [np.ones_like(z), z]
    for k in range(1, DEGREES - 1):
        rows.append((z * rows[k] - math.sqrt(k) * rows[k - 1]) / math.sqrt(k + 1))
    return np.stack(rows)
