"""The mean field of a leaky cell: the autocorrelation of its pre-activation, and the growth of a difference.

With ``h' = (1 − α) h + α φ(a)``, ``a = W h + u + b`` the field a is Gaussian, with the covariance at lag τ::

    A(τ) = g² H(τ) + s² [τ = 0] + σ_b²,    H = F ⋆ E φ(a_0) φ(a_τ),    F the autocorrelation of α (1 − α)^k.

A difference v of two states obeys ``v' = (1 − α) v + α φ'(a) W v``; ``E v_t v_s = r^(t+s) ψ(t − s)`` gives::

    (r² + (1 − α)²) ψ(τ) − (1 − α) r (ψ(τ + 1) + ψ(τ − 1)) = α² g² E φ'(a_0) φ'(a_τ) ψ(τ),

and λ = log r for the largest r with a bounded solution: the one at which the operator's lowest eigenvalue is 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.linalg import eigh_tridiagonal
from scipy.optimize import brentq

from unitcircle.ensembles._activation import Activation
from unitcircle.ensembles._products import Products

LAGS = 1024
SWEEPS = 4000
SETTLED = 1e-11


@dataclass(frozen=True)
class LeakyField:
    """Variance of the pre-activation and leading exponent of a leaky cell."""

    variance: float
    exponent: float
    error: float


def leaky_field(phi: Activation, gain: float, input_std: float, bias_std: float, leak: float, /) -> LeakyField:
    """Solve for the autocorrelation by iteration, then for the exponent by bisection."""
    kept = 1 - leak
    frequency = 2 * np.pi * np.arange(LAGS + 1) / (2 * LAGS)
    response = leak**2 / (1 - 2 * kept * np.cos(frequency) + kept**2)

    def filtered(c: np.ndarray) -> np.ndarray:
        return np.fft.irfft(np.fft.rfft(_even(c)).real * response, 2 * LAGS)[: LAGS + 1]

    noise = np.full(LAGS + 1, float(bias_std**2))
    noise[0] += input_std**2
    field = noise + 1e-3 * kept ** np.arange(LAGS + 1)
    change = math.inf
    for _ in range(SWEEPS):
        new = noise + gain**2 * filtered(Products(phi.function, math.sqrt(field[0]))(field / field[0]))
        change, field = float(abs(new - field).max() / new[0]), new
        if change < SETTLED or field[0] < 1e-14:
            break
    slopes = (leak * gain) ** 2 * Products(phi.derivative, math.sqrt(field[0]))(field / field[0])

    def lowest(log_r: float) -> float:
        r = math.exp(log_r)
        diagonal = r * r + kept**2 - slopes
        # Even solutions: the neighbours of lag 0 are both lag 1; the factor √2 keeps the operator symmetric.
        off = np.full(LAGS, -kept * r)
        off[0] *= math.sqrt(2)
        return float(eigh_tridiagonal(diagonal, off, eigvals_only=True, select="i", select_range=(0, 0))[0])

    root: Any = brentq(lowest, math.log(kept) - 1e-9, math.log(kept + math.sqrt(slopes[0])) + 1e-9, xtol=1e-13)
    return LeakyField(float(field[0]), float(root), max(change, (math.pi / (2 * LAGS)) ** 2))


def _even(c: np.ndarray) -> np.ndarray:
    return np.concatenate((c, c[-2:0:-1]))
