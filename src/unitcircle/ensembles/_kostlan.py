"""The exact law of the spectral radius of a complex Gaussian matrix: Kostlan's product of gamma laws.

The squared moduli of the eigenvalues are distributed, as a set, like independent Gamma(k) variables, k = 1..n, when
``E|w_ij|² = 1``; hence ``P(ρ ≤ r) = Π_k P(k, r²)``.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from unitcircle.ensembles._incomplete_gamma import log_gammainc, log_gammaincc, log_poisson


def _shapes(n: int, smallest: float) -> np.ndarray:
    # For smaller k, Q(k, r²) is negligible beside Q of the largest shape, and P(k, r²) is one.
    x = min(smallest * smallest, float(n))
    return np.arange(max(1, int(x - 13.5 * np.sqrt(x) - 20)), n + 1, dtype=float)


def kostlan_log_laws(n: int, r: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return log P(ρ ≤ r) and log P(ρ > r) at sorted radii ``(R,)`` for entries with ``E|w_ij|² = 1``."""
    k, x = _shapes(n, float(r[0])), (r * r)[:, None]
    log_cdf = log_gammainc(k, x).sum(1)
    with np.errstate(divide="ignore"):
        log_sf = np.log(-np.expm1(log_cdf))
    if (under := log_sf < np.log(1e-250)).any():
        log_sf[under] = special.logsumexp(log_gammaincc(k, x[under]), axis=1)
    return log_cdf, log_sf


def kostlan_log_density(n: int, r: np.ndarray, /) -> np.ndarray:
    """Return the log of the density ``F(r) Σ_k 2r p_{k-1}(r²) / P(k, r²)`` ``(R,)``, p the Poisson mass of mean r²."""
    k, x = _shapes(n, float(r[0])), (r * r)[:, None]
    log_p = log_gammainc(k, x)
    return log_p.sum(1) + special.logsumexp(log_poisson(k - 1, x) - log_p, axis=1) + np.log(2 * r)
