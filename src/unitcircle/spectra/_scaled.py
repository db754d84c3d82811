"""A matrix times a power of two: products of thousands of weights that never overflow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy import linalg

LOG2 = math.log(2.0)
# Below this size LAPACK's SVD beats the largest eigenvalue of the Gram matrix.
SMALL = 48


@dataclass(frozen=True, eq=False)
class ScaledMatrix:
    """The matrix mantissa · 2^exponent, its largest entry in [½, 1): scaling by powers of two rounds nothing."""

    mantissa: np.ndarray  # (n, n); exactly zero where the matrix is
    exponent: int  # A Python integer, so it never overflows

    @classmethod
    def of(cls, matrix: np.ndarray, exponent: int = 0, /) -> Self:
        """Return matrix · 2^exponent, scaled."""
        parts = np.ascontiguousarray(matrix).view(np.float64)
        shift = math.frexp(float(np.abs(parts).max()))[1]
        return cls(np.ldexp(parts, -shift).view(matrix.dtype), exponent + shift)

    def __matmul__(self, other: ScaledMatrix) -> ScaledMatrix:
        return type(self).of(self.mantissa @ other.mantissa, self.exponent + other.exponent)

    def log_norm(self, norm: str = "spectral", /) -> float:
        """Return the natural logarithm of the spectral or the Frobenius norm; −inf for zero."""
        size = float(np.linalg.norm(self.mantissa)) if norm == "frobenius" else spectral_norm(self.mantissa)
        return math.log(size) + self.exponent * LOG2 if size > 0.0 else -math.inf


def spectral_norm(matrix: np.ndarray, /) -> float:
    """Return σ₁ of a matrix whose entries are of order one, to n·eps."""
    n = len(matrix)
    if n <= SMALL:
        return float(np.linalg.norm(matrix, 2))
    # Squaring harms the small singular values only; the largest keeps its digits, at a third of the cost of an SVD.
    gram = matrix.conj().T @ matrix
    return math.sqrt(max(float(linalg.eigvalsh(gram, subset_by_index=[n - 1, n - 1])[0]), 0.0))
