"""The law of the gaps between neighbouring eigenphases of a Haar-orthogonal matrix: the sine kernel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import Chebyshev

from unitcircle._array import reals, weight
from unitcircle.ensembles._law import Law
from unitcircle.ensembles._quadrature import gauss_legendre
from unitcircle.ensembles._weight_law import LargestCoordinate, WeightLaw, haar_columns
from unitcircle.errors import ShapeError

# P(spacing > 6) is below 1e-17.
LARGEST = 6.0
DEGREE, NODES = 48, 48


@dataclass(frozen=True, repr=False)
class HaarSpacing(WeightLaw):
    """Gaps between neighbouring eigenphases, over their mean, as n grows.

    With ``E(s) = det(1 - K_s)``, ``K_s(x, y) = sin π(x-y) / (π(x-y))`` on ``L²(0, s)``, the probability of no phase
    in an interval of s mean gaps: ``P(S > s) = -E'(s)``. Orthogonal and unitary matrices have the same limit; for
    independent eigenphases it is ``e^{-s}``.

    Parameters
    ----------
    n
        Size of the weight.

    References
    ----------
    M. Mehta, Random Matrices, 3rd ed. (2004); F. Bornemann, On the numerical evaluation of Fredholm
    determinants, Math. Comp. 79 (2010).

    Examples
    --------
    >>> round(float(HaarSpacing(64).mean()), 4)
    1.0
    """

    quantity: ClassVar[str] = "eigenphase spacings"

    n: int

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return the gaps over their mean, in decreasing order.

        Phases of a real weight come in pairs ±φ: those strictly between 0 and π count, and of their gaps not the one
        across 0 or π.

        Parameters
        ----------
        W
            One weight ``(n, n)``, n ≥ 6 if real and 2 if complex.

        Returns
        -------
        numpy.ndarray
            The gaps.

        Raises
        ------
        ShapeError
            There is no gap: too small, or too few eigenvalues off the real axis.
        """
        value = weight(W).value
        if value.ndim != 2:
            raise ShapeError("W", "must be one weight (n, n)", f"shape {value.shape}")
        phases = np.sort(np.angle(np.linalg.eigvals(value)))
        if np.isrealobj(value):
            phases = phases[(phases > 0) & (phases < np.pi)]
            gaps = np.diff(phases) * value.shape[-1] / (2 * np.pi)
        else:
            gaps = np.diff(phases, append=phases[0] + 2 * np.pi) * phases.size / (2 * np.pi)
        if gaps.size < 2:
            raise ShapeError("W", "must have three eigenvalue pairs off the real axis or more", f"shape {value.shape}")
        return -np.sort(-gaps)

    def support(self) -> tuple[float, float]:
        """Return 0 and infinity."""
        return 0.0, float("inf")

    def _range(self) -> tuple[float, float]:
        return 0.0, LARGEST

    def sf(self, s: Any, /) -> Any:
        """Return ``P(S > s)``, elementwise, to an absolute 1e-12."""
        s = np.clip(reals(s, argument="s"), 0, LARGEST)
        return np.clip(-_empty().deriv()(s), 0, 1)

    def cdf(self, s: Any, /) -> Any:
        """Return ``P(S ≤ s)``, elementwise."""
        return 1 - self.sf(s)

    def pdf(self, s: Any, /) -> Any:
        """Return the density ``E''(s)``, elementwise."""
        s = reals(s, argument="s")
        inside = (s > 0) & (s < LARGEST)
        return np.where(inside, np.maximum(_empty().deriv(2)(np.where(inside, s, 0)), 0), 0)

    def mean(self) -> float:
        """Return the mean: 1."""
        return 1.0

    def var(self) -> float:
        """Return the variance, ``2 ∫ E(s) ds - 1 ≈ 0.180``."""
        empty = _empty().integ()
        return float(2 * (empty(LARGEST) - empty(0)) - 1)

    @property
    def largest(self) -> Law:
        """The law of the widest of the n/2 gaps, approximated as independent."""
        return LargestCoordinate(self, self._largest_sf, self._largest_pdf, end=LARGEST)

    def _largest_sf(self, s: np.ndarray) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return -np.expm1(self.n / 2 * np.log1p(-self.sf(s)))

    def _largest_pdf(self, s: np.ndarray) -> np.ndarray:
        return self.n / 2 * self.cdf(s) ** (self.n / 2 - 1) * self.pdf(s)

    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one Haar-orthogonal matrix."""
        return haar_columns(self.n, self.n, rng)


@cache
def _empty() -> Chebyshev:
    nodes, weights = gauss_legendre(NODES)
    gaps = nodes[:, None] - nodes
    root = np.sqrt(weights)

    def empty(s: np.ndarray) -> np.ndarray:
        kernel = s[:, None, None] * root[:, None] * np.sinc(s[:, None, None] * gaps) * root
        return np.linalg.det(np.eye(NODES) - kernel)

    # An entire function of s: its polynomial has all digits, and those of its derivatives lose few.
    return Chebyshev.interpolate(empty, DEGREE, domain=[0, LARGEST])
