"""Certificates: the property that an initializer guarantees, the residual of a weight, and its tolerance."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, sqrt
from typing import Self

import numpy as np

from unitcircle._array import Weight
from unitcircle._card import card
from unitcircle.errors import CertificateError

FIVE_STANDARD_ERRORS = 5.733e-7
"""Two-sided probability of a normal deviate beyond five standard errors."""

SINGLE_EPS = 2.0**-23
PROBED = 256
"""Weights with more columns are looked at in random directions first."""
PROBES = 16
UNLIKELY = 0.065
"""q with ``(q exp(1 − q))^(PROBES/2) = FIVE_STANDARD_ERRORS``."""
SAMPLED = 2**17
"""Of more entries so many are tested for their law, evenly spaced."""


@dataclass(frozen=True)
class Certificate:
    """How far a weight is from the property its initializer promises, and how far it may be.

    Attributes
    ----------
    promise
        The property, in words and symbols: ``"WᵀW = 0.9025 I"``.
    residual
        The distance from it, dimensionless and not negative. Of an isometry with more than 256 columns an upper bound
        from 16 random directions, wrong with probability 6e-7 at most, where that is within the tolerance already; of
        the law of more than 131,072 entries that of so many, evenly spaced.
    tolerance
        The largest residual that rounding in the weight's own element type (for an exact promise), or chance (for
        the law of a random weight, at the level of five standard errors: 6e-7), explains.

    Examples
    --------
    >>> Certificate("every singular value is 1", residual=1e-15, tolerance=1e-12).holds
    True
    """

    promise: str
    residual: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Whether the promise is kept: residual ≤ tolerance (false for a NaN)."""
        return self.residual <= self.tolerance

    def __str__(self) -> str:
        verdict = "holds" if self.holds else "DOES NOT HOLD"
        return f"{self.promise}: {verdict} (residual {self.residual:.2e}, tolerance {self.tolerance:.2e})"

    def _repr_html_(self) -> str:
        rows = [("residual", self.residual), ("tolerance", self.tolerance)]
        return card(f"{self.promise}: {'holds' if self.holds else 'DOES NOT HOLD'}", rows=rows)

    def require(self) -> Self:
        """Return the certificate itself if its promise is kept.

        Returns
        -------
        Certificate
            This certificate.

        Raises
        ------
        CertificateError
            The promise is broken.
        """
        if not self.holds:
            raise CertificateError(str(self))
        return self


def rounding(W: Weight, /) -> float:
    """Return the relative residual that rounding explains: ``4 eps`` of storage plus ``n eps`` of arithmetic."""
    # Half-precision weights are computed in single precision: only their storage is coarse.
    return 4 * W.eps + max(W.value.shape[-2:]) * min(W.eps, SINGLE_EPS)


def isometry(promise: str, W: Weight, scale: float, /) -> Certificate:
    """Certify ``WᴴW = scale² I`` (``WWᴴ`` for a wide weight) by ``‖WᴴW/scale² − I‖_F / √n``, or a bound of it."""
    V = W.value if W.value.shape[-2] >= W.value.shape[-1] else np.swapaxes(W.value, -1, -2)
    n, tolerance = V.shape[-1], rounding(W)
    if n > PROBED and (bound := _bound_by_probes(V, scale)) <= tolerance:
        return Certificate(promise, bound, tolerance)
    gram = _adjoint(V) @ V / scale**2
    residual = np.linalg.norm(gram - np.eye(n), axis=(-2, -1)) / sqrt(n)
    return Certificate(promise, float(residual.max()), tolerance)


def _bound_by_probes(V: np.ndarray, scale: float) -> float:
    """Return an upper bound of ``‖VᴴV/scale² − I‖_F / √n``, right but for the chance of five standard errors."""
    # With E = VᴴV/scale² − I and normal vectors x the mean of ‖E x‖² is ‖E‖_F². With eigenvalues λ of E and weights
    # w = λ²/‖E‖_F², E exp(−t Σ‖E x‖²/‖E‖_F²) = Π (1 + 2 t w)^(−p/2) ≤ (1 + 2 t)^(−p/2) over p probes, so that the
    # mean is below q ‖E‖_F² with probability (q exp(1 − q))^(p/2) at most (Chernoff's bound).
    n = V.shape[-1]
    x = np.random.default_rng((n, PROBES)).standard_normal((n, PROBES))
    error = _adjoint(V) @ (V @ x) / scale**2 - x
    mean = np.linalg.norm(error, axis=(-2, -1)) / sqrt(PROBES)
    return float(mean.max()) / sqrt(UNLIKELY * n)


def _adjoint(V: np.ndarray) -> np.ndarray:
    """Return Vᴴ; of real numbers without a copy."""
    turned = np.swapaxes(V, -1, -2)
    return np.conj(turned) if np.iscomplexobj(V) else turned


def random_law(
    promise: str, sample: np.ndarray, distribution: Callable[[np.ndarray], np.ndarray], eps: float, /
) -> Certificate:
    """Certify that the last axis of a sample ``(..., N)`` holds independent draws of a continuous law."""
    # The residual is the Kolmogorov-Smirnov distance to the distribution function, the worst over the leading axes.
    # The tolerance is its bound sqrt(log(2/α) / 2N) at the level of five standard errors, valid for every N.
    #
    # P. Massart, "The tight constant in the Dvoretzky-Kiefer-Wolfowitz inequality", Annals of Probability 18
    # (1990), corollary 1.
    if np.iscomplexobj(sample):
        return Certificate(promise, float("inf"), eps)
    if sample.shape[-1] > SAMPLED:
        # A spacing that shares no factor with the number of columns would be better, and an odd one mostly is.
        sample = sample[..., :: sample.shape[-1] // SAMPLED | 1]
    x = np.sort(sample, axis=-1)
    count = x.shape[-1]
    expected = distribution(x)
    steps = np.arange(count + 1) / count
    residual = np.maximum(steps[1:] - expected, expected - steps[:-1]).max()
    return Certificate(promise, float(residual), sqrt(log(2 / FIVE_STANDARD_ERRORS) / (2 * count)) + eps)
