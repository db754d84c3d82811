"""The law of the spectral radius of a very large Gaussian matrix: no outlier among a Poisson number of them.

With ``x = r - √n``, the expected number of complex eigenvalues beyond r, and of real ones, tends to

    Λ(x)  = √(n/2) ierfc(√2 x),          ierfc(z) = e^{-z²}/√π - z erfc z
    Λ₁(x) = ierfc(√2 x) / (2√π) + erfc(x) (4 - erfc x) / 8

and the few that are there are nearly independent: ``F ≈ exp(-Λ)`` for complex entries and ``F ≈ exp(-Λ/2 - Λ₁)`` for
real ones, whose complex eigenvalues come in pairs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

# Kolmogorov distance to the exact law at n = 10⁴, and how fast it falls up to n = 10⁵ (``benchmarks/ensembles.py``
# prints both again): error = distance (10⁴/n)^slope.
MEASURED = {"real": (0.0026, 0.33), "complex": (0.0080, 0.36)}
MEASURED_AT = 10_000
# Further out than this every expected number is zero in double precision.
NONE_BEYOND = 1e3


def _ierfc(z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", invalid="ignore"):
        right = np.exp(-z * z) * (1 / np.sqrt(np.pi) - z * special.erfcx(z))
    return np.where(z < 1, np.exp(-z * z) / np.sqrt(np.pi) - z * special.erfc(z), right)


def complex_outliers(n: int, x: Any, /) -> np.ndarray:
    """Return Λ(x), the expected number of complex eigenvalues of modulus beyond √n + x."""
    return np.sqrt(n / 2) * _ierfc(np.sqrt(2) * np.asarray(x, float))


def real_outliers(x: Any, /) -> np.ndarray:
    """Return Λ₁(x), the expected number of real eigenvalues of modulus beyond √n + x."""
    x = np.asarray(x, float)
    return _ierfc(np.sqrt(2) * x) / (2 * np.sqrt(np.pi)) + special.erfc(x) * (4 - special.erfc(x)) / 8


def complex_outlier_rate(n: int, x: Any, /) -> np.ndarray:
    """Return ``-Λ'(x)``."""
    return np.sqrt(n) * special.erfc(np.sqrt(2) * np.asarray(x, float))


def real_outlier_rate(x: Any, /) -> np.ndarray:
    """Return ``-Λ₁'(x)``."""
    x = np.asarray(x, float)
    return (special.erfc(np.sqrt(2) * x) + np.exp(-x * x) * special.erfc(-x) / np.sqrt(2)) / np.sqrt(2 * np.pi)


def _intensity(n: int, r: np.ndarray, field: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the expected number of independent outliers beyond r, and its rate of decrease."""
    x = np.minimum(r - np.sqrt(n), NONE_BEYOND)
    count, rate = complex_outliers(n, x), complex_outlier_rate(n, x)
    if field == "complex":
        return count, rate
    return count / 2 + real_outliers(x), rate / 2 + real_outlier_rate(x)


def outlier_log_laws(n: int, r: np.ndarray, field: str, /) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(ρ ≤ r) and log P(ρ > r) at radii ``(R,)`` for entries of unit variance."""
    count, _ = _intensity(n, r, field)
    with np.errstate(divide="ignore"):
        return -count, np.log(-np.expm1(-count))


def outlier_log_density(n: int, r: np.ndarray, field: str, /) -> np.ndarray:
    """Return the logarithm of the density of :func:`outlier_log_laws` at radii ``(R,)``."""
    count, rate = _intensity(n, r, field)
    with np.errstate(divide="ignore"):
        return np.log(rate) - count


def outlier_error(n: int, field: str, /) -> float:
    """Return the measured Kolmogorov distance of this law to the exact one, at n ≥ 10⁴."""
    distance, slope = MEASURED[field]
    return distance * (MEASURED_AT / n) ** slope
