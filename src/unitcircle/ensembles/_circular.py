"""Laws of the eigenvalues of independent entries, and of entries correlated with their mirror image: disc, ellipse."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from unitcircle._arguments import generator, positive, real_number, whole_number
from unitcircle._array import reals
from unitcircle.ensembles._law import Law
from unitcircle.ensembles._outliers import complex_outlier_rate, complex_outliers, real_outlier_rate, real_outliers
from unitcircle.ensembles._spectral_radius import SpectralRadius
from unitcircle.ensembles._weight_law import EigenvalueLaw, LargestCoordinate, one_weight, root_mean_square
from unitcircle.errors import ShapeError

BOUNDARY_POINTS = 64


class _Disc(EigenvalueLaw):
    """A coordinate whose square is uniform between 0 and the square of the edge."""

    @property
    @abstractmethod
    def edge(self) -> float: ...

    def support(self) -> tuple[float, float]:
        """Return 0 and the edge."""
        return 0.0, self.edge

    def cdf(self, r: Any, /) -> Any:
        """Return the fraction of eigenvalues whose coordinate is at most r, as n grows."""
        return np.clip(reals(r, argument="r") / self.edge, 0, 1) ** 2

    def sf(self, r: Any, /) -> Any:
        """Return the fraction of eigenvalues whose coordinate exceeds r, as n grows."""
        x = np.clip(reals(r, argument="r") / self.edge, 0, 1)
        return (1 - x) * (1 + x)

    def pdf(self, r: Any, /) -> Any:
        """Return the limiting density of the coordinate, elementwise: ``2 r/edge²``."""
        x = reals(r, argument="r") / self.edge
        return np.where((x < 0) | (x > 1), 0, 2 * np.clip(x, 0, 1) / self.edge)[()]

    def mean(self) -> float:
        """Return the mean of the coordinate: ``2/3 edge``."""
        return 2 / 3 * self.edge

    def var(self) -> float:
        """Return the variance of the coordinate: ``edge²/18``."""
        return self.edge**2 / 18

    def _quantile(self, lower: np.ndarray, upper: np.ndarray) -> Any:
        valid = (lower >= 0) & (upper >= 0)
        return np.where(valid, self.edge * np.sqrt(np.where(valid, lower, 0)), np.nan)[()]


@dataclass(frozen=True, init=False, repr=False)
class Circular(_Disc):
    """Eigenvalues of independent entries: uniform on a disc as n grows.

    ``P(|λ| ≤ r) = r²/(n std²)`` up to the edge ``std √n``.

    Parameters
    ----------
    n
        Size of the weight.
    std
        Standard deviation of an entry.

    References
    ----------
    V. Girko, Circular law, Theory Probab. Appl. 29 (1985); T. Tao, V. Vu, Random matrices: universality of ESDs and
    the circular law, Ann. Probab. 38 (2010).

    Examples
    --------
    >>> law = Circular(100, std=0.1)
    >>> round(float(law.ppf(1.0)), 4)
    1.0
    """

    n: int
    entry_std: float

    def __init__(self, n: int, std: float) -> None:
        object.__setattr__(self, "n", whole_number("n", n, error=ShapeError))
        object.__setattr__(self, "entry_std", positive("std", std))

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law whose std is the root mean square of a weight's entries."""
        value = one_weight(W, square=True)
        return cls(len(value), root_mean_square(value))

    @property
    def edge(self) -> float:
        """The radius of the disc: ``std √n``."""
        return self.entry_std * float(np.sqrt(self.n))

    @property
    def largest(self) -> Law:
        """The law of the spectral radius of a Gaussian weight: exact."""
        return SpectralRadius(self.n, self.entry_std)

    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        return self.entry_std * generator(rng).standard_normal((self.n, self.n))


@dataclass(frozen=True, init=False, repr=False)
class Elliptic(_Disc):
    """Eigenvalues of entries of which ``w_ij`` and ``w_ji`` are correlated: uniform on an ellipse as n grows.

    Half axes ``std √n (1 + τ)`` along the real axis and ``std √n (1 - τ)`` along the imaginary one. The coordinate is
    the elliptic radius ``√((x/(1+τ))² + (y/(1-τ))²)``, which is the modulus for τ = 0.

    Parameters
    ----------
    n
        Size of the weight.
    std
        Standard deviation of an entry.
    correlation
        τ, strictly between -1 (antisymmetric) and 1 (symmetric).

    Raises
    ------
    ArgumentError
        The correlation is not strictly between -1 and 1.

    References
    ----------
    H. Sommers, A. Crisanti, H. Sompolinsky, Y. Stein, Spectrum of large random asymmetric matrices, Phys. Rev. Lett.
    60 (1988).

    Examples
    --------
    >>> law = Elliptic(100, std=0.1, correlation=0.5)
    >>> round(float(law.ppf(1.0)), 4)
    1.0
    """

    n: int
    entry_std: float
    correlation: float

    def __init__(self, n: int, std: float, correlation: float) -> None:
        object.__setattr__(self, "n", whole_number("n", n, error=ShapeError))
        object.__setattr__(self, "entry_std", positive("std", std))
        rule = "must be strictly between -1 and 1"
        object.__setattr__(self, "correlation", real_number("correlation", correlation, rule, lambda c: -1 < c < 1))

    @classmethod
    def fitted(cls, W: Any, /) -> Self:
        """Return the law with the second moments of a real weight's entries."""
        value = np.real(one_weight(W, square=True))
        n, std = len(value), root_mean_square(value)
        scaled = value / (std or 1.0)
        pairs = scaled[np.triu_indices(n, 1)], scaled.T[np.triu_indices(n, 1)]
        size = float(pairs[0] @ pairs[0] + pairs[1] @ pairs[1])
        return cls(n, std, 2 * float(pairs[0] @ pairs[1]) / size if size > 0 else 0.0)

    def coordinate(self, values: np.ndarray, /) -> np.ndarray:
        """Return the elliptic radii."""
        return np.hypot(np.real(values) / (1 + self.correlation), np.imag(values) / (1 - self.correlation))

    @property
    def edge(self) -> float:
        """The elliptic radius of the ellipse: ``std √n``."""
        return self.entry_std * float(np.sqrt(self.n))

    @property
    def largest(self) -> Law:
        """About the law of the largest elliptic radius.

        A Poisson number of outliers, as for the circle (``docs/theory/spectral-radius-law.md``): the boundary element
        at angle φ sees the circle's edge profile, stretched by ``γ(φ) = √(1-τ²) √(cos²φ/(1+τ)² + sin²φ/(1-τ)²)`` in the
        elliptic radius, so that ``Λ(x) = √(n/2) (1/2π) ∮ γ ierfc(√2 x/γ) dφ``, and the real axis ``Λ₁(x/γ(0))``.
        At n = 60 its probabilities are within 0.08 of the sampled ones, on the cautious side.
        """
        return LargestCoordinate(self, self._largest_sf, self._largest_pdf)

    def _largest_sf(self, x: np.ndarray) -> np.ndarray:
        return -np.expm1(-self._intensity(x)[0])

    def _largest_pdf(self, x: np.ndarray) -> np.ndarray:
        count, rate = self._intensity(x)
        return rate * np.exp(-count)

    def _intensity(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the expected number of independent outliers beyond r, and its rate of decrease."""
        x = (r - self.edge) / self.entry_std
        tau = self.correlation
        phi = np.linspace(0, np.pi / 2, BOUNDARY_POINTS, endpoint=False) + np.pi / (4 * BOUNDARY_POINTS)
        stretch = np.sqrt(1 - tau * tau) * np.hypot(np.cos(phi) / (1 + tau), np.sin(phi) / (1 - tau))
        along_axis = np.sqrt((1 + tau) / (1 - tau))
        complex_count = (stretch * complex_outliers(self.n, x[..., None] / stretch)).mean(-1)
        complex_rate = complex_outlier_rate(self.n, x[..., None] / stretch).mean(-1)
        count = complex_count / 2 + real_outliers(x * along_axis)
        rate = complex_rate / 2 + along_axis * real_outlier_rate(x * along_axis)
        return count, rate / self.entry_std

    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one weight with Gaussian entries."""
        g = generator(rng).standard_normal((self.n, self.n))
        symmetric, antisymmetric = (g + g.T) / 2, (g - g.T) / 2
        tau = self.correlation
        return self.entry_std * (np.sqrt(1 + tau) * symmetric + np.sqrt(1 - tau) * antisymmetric)
