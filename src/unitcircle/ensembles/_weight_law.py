"""The common interface of the laws of eigenvalues, singular values and spacings of a random weight."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from scipy import special
from scipy.interpolate import CubicHermiteSpline

from unitcircle._arguments import generator, shape
from unitcircle._array import MATRIX_AXES, reals, weight
from unitcircle.ensembles._law import Law
from unitcircle.errors import ShapeError

# A table of quantiles for draws: the probability beyond its ends, and its size.
TABLE_ENDS = 1e-7
TABLE_POINTS = 512

Elementwise = Callable[[np.ndarray], np.ndarray]


class WeightLaw(Law):
    """The law of one eigenvalue, singular value or spacing of a random weight.

    :meth:`cdf` and the other methods of a :class:`Law` describe the :meth:`coordinate` of one value, as n grows;
    :attr:`largest` is the law of the largest coordinate of a whole weight.

    Examples
    --------
    The circular law is one of them:

    >>> from unitcircle.ensembles import Circular
    >>> law = Circular(100, std=0.1)
    >>> isinstance(law, WeightLaw), law.quantity
    (True, 'eigenvalues')
    >>> moduli = law.coordinate(law.values(law.draw_weight(0)))
    >>> round(float((moduli <= 0.5).mean()), 2), round(float(law.cdf(0.5)), 2)  # the share with |λ| ≤ 0.5
    (0.25, 0.25)
    """

    quantity: ClassVar[str]
    """What the law describes: ``"eigenvalues"``."""

    @staticmethod
    @abstractmethod
    def values(W: Any, /) -> np.ndarray:
        """Return the values of one weight that the law describes, in decreasing order."""

    def coordinate(self, values: np.ndarray, /) -> np.ndarray:
        """Return the real number of each value that the law is about: the value itself."""
        return values

    @abstractmethod
    def draw_weight(self, rng: np.random.Generator | int | None = None, /) -> np.ndarray:
        """Draw one weight."""

    @property
    @abstractmethod
    def largest(self) -> Law:
        """The law of the largest coordinate of a random weight: how likely an outlier is."""

    # Names of 0.1 --------------------------------------------------------------------------------------------------

    def beyond(self, x: Any, /) -> Any:
        """Return ``largest.sf(x)``, its name since 0.2."""
        warnings.warn("beyond(x) is now largest.sf(x)", DeprecationWarning, stacklevel=2)
        return self.largest.sf(x)

    def sample(self, rng: np.random.Generator, /) -> np.ndarray:
        """Return ``draw_weight(rng)``, its name since 0.2; draws from the law itself are ``rvs``."""
        warnings.warn("sample(rng) is now draw_weight(rng)", DeprecationWarning, stacklevel=2)
        return self.draw_weight(rng)


class EigenvalueLaw(WeightLaw):
    """A law of the moduli of eigenvalues."""

    quantity: ClassVar[str] = "eigenvalues"

    @staticmethod
    def values(W: Any, /) -> np.ndarray:
        """Return the eigenvalues of one weight, by decreasing modulus."""
        value = weight(W).value
        if value.ndim != 2:
            raise ShapeError("W", "must be one weight (n, n)", f"shape {value.shape}")
        eigenvalues = np.linalg.eigvals(value)
        return eigenvalues[np.argsort(-abs(eigenvalues))]

    def coordinate(self, values: np.ndarray, /) -> np.ndarray:
        """Return the moduli."""
        return abs(values)


def one_weight(W: Any, /, *, square: bool = False) -> np.ndarray:
    """Return one weight ``(rows, columns)`` in double precision, and refuse a batch."""
    value = weight(W, square=square).value
    if value.ndim != MATRIX_AXES:
        raise ShapeError("W", "must be one weight (rows, columns)", f"shape {value.shape}")
    return value


def root_mean_square(value: np.ndarray, /) -> float:
    """Return the root mean square modulus, whose squares do not overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        moduli = np.abs(value)
        largest = float(moduli.max())
        return largest * float(np.sqrt(np.mean((moduli / largest) ** 2))) if largest > 0 else 0.0


def haar_columns(m: int, n: int, rng: np.random.Generator | int | None, /) -> np.ndarray:
    """Draw n columns ``(m, n)`` of a Haar-orthogonal matrix."""
    q, r = np.linalg.qr(generator(rng).standard_normal((m, n)))
    # LAPACK chooses the signs; those of the diagonal of r make the law Haar's.
    return q * np.sign(np.diagonal(r))


@dataclass(frozen=True, repr=False)
class LargestCoordinate(Law):
    """The law of the largest coordinate of a weight, from the formulas of the weight's law."""

    law: WeightLaw
    survival: Elementwise = field(compare=False)  # P(any coordinate > x)
    density: Elementwise = field(compare=False)  # Minus its derivative, inside the support
    end: float = field(default=float("inf"), compare=False)  # The upper end of the support

    def __repr__(self) -> str:
        return f"{self.law!r}.largest"

    def support(self) -> tuple[float, float]:
        """Return 0 and the upper end."""
        return 0.0, self.end

    def sf(self, x: Any, /) -> Any:
        """Return the probability that any coordinate exceeds x, elementwise."""
        return self._evaluate(x, self.survival, 1.0)

    def cdf(self, x: Any, /) -> Any:
        """Return the probability that no coordinate exceeds x, elementwise."""
        return 1 - self.sf(x)

    def pdf(self, x: Any, /) -> Any:
        """Return the density at x, elementwise."""
        return self._evaluate(x, self.density, 0.0)

    def _evaluate(self, x: Any, function: Elementwise, left: float) -> Any:
        """Return a function inside the support, ``left`` below it, 0 above, NaN of NaN."""
        x = reals(x)
        result = np.where(x < 0, left, np.where(np.isnan(x), np.nan, 0.0))
        inside = (x >= 0) & (x < self.end)
        if inside.any():
            result[inside] = function(x[inside])
        return result[()]

    def rvs(self, size: int | tuple[int, ...] | None = None, random_state: Any = None) -> Any:
        """Draw from the law, by cubic interpolation of its quantiles, right to 1e-6 of its standard deviation.

        Parameters
        ----------
        size
            Shape of the result; None gives one number.
        random_state
            A NumPy ``Generator`` or a seed; global random state is never touched.

        Returns
        -------
        float or numpy.ndarray
            The draws; next to 1, where the density of ``TruncatedHaar(n, n + 1)`` has a pole, right to 1e-3.
        """
        logit = np.asarray(generator(random_state, argument="random_state").logistic(size=shape("size", size)))
        low, high = float(self.ppf(TABLE_ENDS)), float(self.isf(TABLE_ENDS))
        # Closer together at the ends, where a density may have a pole.
        x = low + (high - low) * np.sin(np.linspace(0, np.pi / 2, TABLE_POINTS)) ** 2
        cdf, sf = self.cdf(x), self.sf(x)
        inside = (cdf > 0) & (sf > 0)
        x, cdf, sf = x[inside], cdf[inside], sf[inside]
        table = CubicHermiteSpline(np.log(cdf / sf), x, cdf * sf / self.pdf(x))
        draws = table(np.clip(logit, table.x[0], table.x[-1]))
        # Draws so far out are rare enough for the exact quantile of each.
        below, above = logit < table.x[0], logit > table.x[-1]
        draws[below] = self.ppf(special.expit(logit[below]))
        draws[above] = self.isf(special.expit(-logit[above]))
        return np.minimum(draws, self.end)[()]

    def _scale(self) -> float:
        return self.law._range()[1]  # pyright: ignore[reportPrivateUsage]  (a method of the base of both)
