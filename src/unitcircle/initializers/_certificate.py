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


@dataclass(frozen=True)
class Certificate:
    """How far a weight is from the property its initializer promises, and how far it may be.

    Attributes
    ----------
    promise
        The property, in words and symbols: ``"WᵀW = 0.9025 I"``.
    residual
        The distance from it, dimensionless and not negative.
    tolerance
        The largest residual that rounding in the weight's own element type (for an exact promise), or chance (for
        the law of a random weight, at the level of five standard errors: 6e-7), explains.
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
    """Certify ``WᴴW = scale² I`` (``WWᴴ`` for a wide weight) by ``‖WᴴW/scale² − I‖_F / √n``."""
    V = W.value if W.value.shape[-2] >= W.value.shape[-1] else np.swapaxes(W.value, -1, -2)
    gram = np.conj(np.swapaxes(V, -1, -2)) @ V / scale**2
    n = gram.shape[-1]
    residual = np.linalg.norm(gram - np.eye(n), axis=(-2, -1)) / sqrt(n)
    return Certificate(promise, float(residual.max()), rounding(W))


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
    x = np.sort(sample, axis=-1)
    count = x.shape[-1]
    expected = distribution(x)
    steps = np.arange(count + 1) / count
    residual = np.maximum(steps[1:] - expected, expected - steps[:-1]).max()
    return Certificate(promise, float(residual), sqrt(log(2 / FIVE_STANDARD_ERRORS) / (2 * count)) + eps)
