"""Logarithms of the Poisson mass and of both incomplete gamma functions, without underflow in either tail."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import special

# Below this, SciPy's incomplete gamma functions are close to underflow.
TINY = 1e-280
# From here on five terms of Stirling's series leave less than one unit in the last place.
STIRLING_FROM = 16.0


def log_poisson(k: Any, x: Any, /) -> np.ndarray:
    """Return ``log(x^k e^{-x} / Γ(k+1))``, the Poisson mass of mean ``x`` at a real ``k``."""
    # Loader's saddle-point form: the difference of the large terms k log x, x and log Γ(k+1) is never
    # taken, so that the absolute error is about |x - k|·eps where it would be k log k·eps.
    k, x = np.broadcast_arrays(np.asarray(k, float), np.asarray(x, float))
    large = np.maximum(k, STIRLING_FROM)
    i2 = 1 / (large * large)
    stirling = (1 / 12 - i2 * (1 / 360 - i2 * (1 / 1260 - i2 * (1 / 1680 - i2 / 1188)))) / large
    ratio = (x - large) / large
    with np.errstate(divide="ignore"):
        saddle = large * (np.log1p(ratio) - ratio) - stirling - 0.5 * np.log(2 * np.pi * large)
        return np.where(k < STIRLING_FROM, special.xlogy(k, x) - x - special.gammaln(k + 1), saddle)


def log_gammainc(a: Any, x: Any, /) -> np.ndarray:
    """Return ``log P(a, x)``, the regularised lower incomplete gamma function, however small it is."""
    a, x = np.broadcast_arrays(np.asarray(a, float), np.asarray(x, float))
    lower, upper = special.gammainc(a, x), special.gammaincc(a, x)
    with np.errstate(divide="ignore"):
        result = np.where(upper < 0.5, np.log1p(-upper), np.log(lower))
    if (small := lower < TINY).any():
        result[small] = log_poisson(a[small], x[small]) + np.log(_kummer(a[small], x[small]))
    return result


def log_gammaincc(a: Any, x: Any, /) -> np.ndarray:
    """Return ``log Q(a, x)``, the regularised upper incomplete gamma function, however small it is."""
    a, x = np.broadcast_arrays(np.asarray(a, float), np.asarray(x, float))
    lower, upper = special.gammainc(a, x), special.gammaincc(a, x)
    with np.errstate(divide="ignore"):
        result = np.where(lower < 0.5, np.log1p(-lower), np.log(upper))
    if (small := upper < TINY).any():
        result[small] = log_poisson(a[small], x[small]) + np.log(a[small] * _legendre(a[small], x[small]))
    return result


def _kummer(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    # 1F1(1; a+1; x) = Σ x^k / ((a+1)...(a+k)): positive terms, of ratio below x/a < 1 where P(a, x) is tiny.
    term = total = np.ones_like(a)
    k = 1.0
    while (term > total * np.finfo(float).eps).any():
        term = term * (x / (a + k))
        total = total + term
        k += 1
    return total


def _legendre(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    # Γ(a, x) x^-a e^x as Legendre's continued fraction (DLMF 8.9.2 contracted), by Lentz's method: x > a + 1 here.
    b = x + 1 - a
    c = np.full_like(b, np.inf)
    d = 1 / b
    total = d
    change = np.full_like(b, 2.0)
    i = 1.0
    while (abs(change - 1) > 4 * np.finfo(float).eps).any():
        coefficient = -i * (i - a)
        b = b + 2
        d = 1 / (coefficient * d + b)
        c = b + coefficient / c
        change = c * d
        total = total * change
        i += 1
    return total
