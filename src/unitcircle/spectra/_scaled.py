"""A matrix times a power of two: products of thousands of weights that never overflow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np

from unitcircle.spectra._largest_singular_value import largest_singular_value

LOG2 = math.log(2.0)


@dataclass(frozen=True, eq=False)
class ScaledMatrix:
    """The matrix mantissa · 2^exponent, its largest entry in [½, 1): scaling by powers of two rounds nothing."""

    mantissa: np.ndarray  # (n, n); exactly zero where the matrix is
    exponent: int  # A Python integer, so it never overflows

    @classmethod
    def of(cls, matrix: np.ndarray, exponent: int = 0, /) -> Self:
        """Return matrix · 2^exponent, scaled."""
        parts = np.ascontiguousarray(matrix).view(np.finfo(matrix.dtype).dtype)
        shift = math.frexp(float(np.abs(parts).max()))[1]
        return cls(np.ldexp(parts, -shift).view(matrix.dtype), exponent + shift)

    def __matmul__(self, other: ScaledMatrix) -> ScaledMatrix:
        return type(self).of(self.mantissa @ other.mantissa, self.exponent + other.exponent)

    def log_norm(self, norm: str = "spectral", /) -> float:
        """Return the natural logarithm of the spectral or the Frobenius norm; −inf for zero."""
        return self.log_norm_and_vector(norm)[0]

    def log_norm_and_vector(
        self, norm: str, start: np.ndarray | None = None, rng: np.random.Generator | None = None, /
    ) -> tuple[float, np.ndarray | None]:
        """Return the logarithm of a norm, and of the spectral one the right singular vector where it was found."""
        if norm == "frobenius":
            size, vector = float(np.linalg.norm(self.mantissa)), None
        else:
            size, vector = largest_singular_value(self.mantissa, start, rng)
        return math.log(size) + self.exponent * LOG2 if size > 0.0 else -math.inf, vector
