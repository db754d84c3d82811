"""The law of the spectral radius for entries of unit variance: which formula where, its table, its quantiles."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy.optimize import brentq

from unitcircle.ensembles._ginibre import ginibre_log_density, ginibre_log_laws
from unitcircle.ensembles._incomplete_gamma import log_poisson
from unitcircle.ensembles._kostlan import kostlan_log_density, kostlan_log_laws
from unitcircle.ensembles._outliers import outlier_log_density, outlier_log_laws
from unitcircle.ensembles._table import LOGIT_RANGE, Table, tabulate

Field = Literal["real", "complex"]

EXACT_UP_TO = 10_000
# Below, r² and its powers would underflow; the law is a pure power there, to all digits.
ORIGIN = 1e-100
# Above, the tail is Gaussian times a power, to all digits of its logarithm.
FAR = 1e4


def log_laws(n: int, r: np.ndarray, field: Field, /) -> tuple[np.ndarray, np.ndarray]:
    """Return ``log P(ρ ≤ r)`` and ``log P(ρ > r)`` at positive radii ``(R,)`` in increasing order."""
    if n > EXACT_UP_TO:
        return outlier_log_laws(n, r, field)
    laws, near = (ginibre_log_laws if field == "real" else kostlan_log_laws), np.clip(r, ORIGIN, FAR)
    log_cdf, log_sf = laws(n, near)
    beyond = _beyond(n, r, field)
    return np.where(beyond < 0, 0.0, log_cdf + _exponent(n, field) * np.log(r / near)), log_sf + beyond


def log_density(n: int, r: np.ndarray, field: Field, /) -> np.ndarray:
    """Return the log-density at positive radii ``(R,)`` in increasing order."""
    if n > EXACT_UP_TO:
        return outlier_log_density(n, r, field)
    density, near = (ginibre_log_density if field == "real" else kostlan_log_density), np.clip(r, ORIGIN, FAR)
    below = (_exponent(n, field) - 1) * np.log(np.minimum(r, FAR) / near)
    return density(n, near) + below + _beyond(n, r, field, density=True)


def _beyond(n: int, r: np.ndarray, field: Field, *, density: bool = False) -> np.ndarray:
    """Return log of ``P(ρ > r) / P(ρ > FAR)``, or of the densities, beyond FAR; 0 elsewhere."""
    x = np.maximum(r, FAR)
    # ∫ r^(n-1) e^(-r²/2) dr of one real eigenvalue, ∫ r^(2n-1) e^(-r²) dr of a complex one.
    power, share = (n - 2, 0.5) if field == "real" else (2 * n - 2, 1.0)
    with np.errstate(over="ignore"):
        return (power + density) * np.log(x / FAR) - share * (x - FAR) * (x + FAR)


def _exponent(n: int, field: Field) -> float:
    # F ~ r^exponent as r → 0: the repulsion of n(n-1)/2 pairs and n line, or twice as many area, elements.
    return n * (n + 1) * (0.5 if field == "real" else 1.0)


@lru_cache(maxsize=64)
def tabulated(n: int, field: Field, /) -> Table:
    """Return the table of the law, between radii found by cheap bounds of both tails."""

    def left(log_r: float) -> float:
        r = np.exp([log_r])
        if n > EXACT_UP_TO:
            return float(outlier_log_laws(n, r, field)[0][0])
        # log F of the real law is about half that of the complex one, in the bulk as in the limit r → 0.
        return float(kostlan_log_laws(n, r)[0][0]) * (0.5 if field == "real" else 1.0)

    def right(log_r: float) -> float:
        r = np.exp([log_r])
        if n > EXACT_UP_TO:
            return float(outlier_log_laws(n, r, field)[1][0])
        if field == "complex":
            return float(kostlan_log_laws(n, r)[1][0])
        # One real eigenvalue far out costs the square root of the Poisson mass.
        return 0.5 * float(log_poisson(n - 1, r * r)[0])

    edge = 0.5 * float(np.log(n))
    low = _crossing(left, outside=edge - LOGIT_RANGE - 10, inside=edge + 1)
    high = _crossing(right, outside=edge + 3, inside=edge)
    return tabulate(lambda r: log_laws(n, r, field), float(np.exp(low)), float(np.exp(high)))


def _crossing(log_probability: Callable[[float], float], *, outside: float, inside: float) -> float:
    """Bisect for where a log-probability is a little beyond the range of the table."""
    while True:
        middle = (outside + inside) / 2
        value = log_probability(middle)
        if value < -LOGIT_RANGE - 5:
            outside = middle
        elif value > -LOGIT_RANGE - 1:
            inside = middle
        else:
            return middle


def quantiles(n: int, field: Field, q: np.ndarray, /, *, lower: bool) -> np.ndarray:
    """Return the radii with ``P(ρ ≤ r) = q`` (or, not lower, ``P(ρ > r) = q``), elementwise for 0 < q < 1."""
    table = tabulated(n, field)
    logit = np.log(q) - np.log1p(-q)
    logit = logit if lower else -logit
    order = np.argsort(logit)
    logit = logit[order]
    log_r = np.log(table.quantile(logit))
    inside = (logit > table.log_r.x[0]) & (logit < table.log_r.x[-1])
    if inside.any():
        # Newton with the table's slope: the table is right to nine digits, two steps to all.
        slope = table.log_r(logit[inside], 1)
        for _ in range(2):
            log_cdf, log_sf = log_laws(n, np.exp(log_r[inside]), field)
            log_r[inside] -= (log_cdf - log_sf - logit[inside]) * slope
    for i in np.flatnonzero(~inside):
        log_r[i] = _far_quantile(n, field, float(logit[i]), table.bounds)
    result = np.empty_like(log_r)
    result[order] = np.exp(log_r)
    return result


def _far_quantile(n: int, field: Field, logit: float, bounds: tuple[float, float]) -> float:
    def mismatch(log_r: float) -> float:
        log_cdf, log_sf = log_laws(n, np.exp([log_r]), field)
        return float(log_cdf[0] - logit if logit < 0 else -log_sf[0] - logit)

    low, high = bounds
    while logit < 0 and mismatch(low) > 0:
        low, high = 2 * low - bounds[1], low
    while logit > 0 and mismatch(high) < 0:
        low, high = high, high + 1
    root: Any = brentq(mismatch, low, high, xtol=1e-15, rtol=4 * np.finfo(float).eps)
    return float(root)
