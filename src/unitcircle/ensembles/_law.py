"""The interface of every law in this package: the methods of a frozen SciPy distribution."""

from __future__ import annotations

import reprlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from functools import cached_property
from typing import Any

import numpy as np
from scipy.optimize import elementwise

from unitcircle._arguments import generator, shape
from unitcircle._array import reals
from unitcircle._card import card
from unitcircle.ensembles._quadrature import gauss_legendre
from unitcircle.errors import ArgumentError

# Probability left out on either side of an integral.
OMITTED = 1e-17
NODES = 256


class Law(ABC):
    """A continuous law of one real number, with the methods of a frozen SciPy distribution.

    A subclass gives :meth:`cdf`, :meth:`pdf` and :meth:`support`; the rest follows from them numerically, unless the
    subclass has a closed form. A law is a value: its parameters do not change.

    Notes
    -----
    Methods take arrays and return arrays of the same shape. Without a closed form, ``sf`` is ``1 - cdf`` and right to
    an absolute rounding error; quantiles solve ``cdf = q`` or ``sf = 1 - q``, whichever is smaller, to rounding;
    moments are Gauss-Legendre sums of 256 nodes, right to 1e-10 of the width of the law.
    """

    def __repr__(self) -> str:
        # The field entry_std is the argument std: std() is a method, as in SciPy.
        values = (f"{f.name.removeprefix('entry_')}={getattr(self, f.name)!r}" for f in fields(self))  # pyright: ignore[reportArgumentType]  (every law is a dataclass)
        return f"{type(self).__name__}({', '.join(values)})"

    def _repr_html_(self) -> str:
        low, high = self.support()
        rows = [
            ("support", f"{low:.4g} to {high:.4g}"),
            ("mean", float(self.mean())),
            ("standard deviation", float(self.std())),
        ]
        rows += [(f"{q:.0%} quantile", float(self.ppf(q))) for q in (0.01, 0.5, 0.99)]
        return card(repr(self), rows=rows)

    # Probabilities -------------------------------------------------------------------------------------------------

    @abstractmethod
    def support(self) -> tuple[float, float]:
        """Return the end points of the law."""

    @abstractmethod
    def cdf(self, x: Any, /) -> Any:
        """Return ``P(X ≤ x)``, elementwise."""

    @abstractmethod
    def pdf(self, x: Any, /) -> Any:
        """Return the density at x, elementwise."""

    def sf(self, x: Any, /) -> Any:
        """Return ``P(X > x)``, elementwise."""
        return 1 - self.cdf(x)

    def logcdf(self, x: Any, /) -> Any:
        """Return ``log P(X ≤ x)``, elementwise."""
        return _log(self.cdf(x))

    def logsf(self, x: Any, /) -> Any:
        """Return ``log P(X > x)``, elementwise."""
        return _log(self.sf(x))

    def logpdf(self, x: Any, /) -> Any:
        """Return the logarithm of the density at x, elementwise."""
        return _log(self.pdf(x))

    # Quantiles -----------------------------------------------------------------------------------------------------

    def ppf(self, q: Any, /) -> Any:
        """Return the x with ``P(X ≤ x) = q``, elementwise; NaN where q is not a probability."""
        q = reals(q, argument="q")
        return self._quantile(q, 1 - q)

    def isf(self, q: Any, /) -> Any:
        """Return the x with ``P(X > x) = q``, elementwise; NaN where q is not a probability."""
        q = reals(q, argument="q")
        return self._quantile(1 - q, q)

    def _quantile(self, lower: np.ndarray, upper: np.ndarray) -> Any:
        """Return the points with given probabilities below and above them, of which the smaller is the exact one."""
        result = np.full(lower.shape, np.nan)
        result[lower == 0], result[upper == 0] = self.support()
        low, high = self._range()
        inside = (lower > 0) & (upper > 0)
        # An end point takes the probability that lies at it, or nearer to it than rounding resolves.
        for end, at_end in ((low, lower <= self.cdf(low)), (high, upper <= self.sf(high))):
            result[inside & at_end] = end
            inside &= ~at_end
        if inside.any():
            root: Any = elementwise.find_root(self._mismatch, (low, high), args=(lower[inside], upper[inside]))
            result[inside] = root.x
        return result[()]

    def _mismatch(self, x: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
        """Return a function that rises through zero at the quantile."""
        left = lower <= upper
        result = np.empty(x.shape)
        result[left] = self.cdf(x[left]) - lower[left]
        result[~left] = upper[~left] - self.sf(x[~left])
        return result

    def _range(self) -> tuple[float, float]:
        """Return two finite points with all probability between them, to rounding."""
        low, high = self.support()
        if np.isinf(high):
            high = self._scale()
            while self.sf(high) > 0:
                high *= 2
        return low, high

    def _scale(self) -> float:
        """Return a positive point of the order of the median, where the support is infinite."""
        return 1.0

    def median(self) -> float:
        """Return the median."""
        return float(self.ppf(0.5))

    def interval(self, confidence: Any, /) -> tuple[Any, Any]:
        """Return the points that cut off ``(1 - confidence)/2`` on either side."""
        tail = (1 - reals(confidence, argument="confidence")) / 2
        return self.ppf(tail), self.isf(tail)

    # Moments -------------------------------------------------------------------------------------------------------

    def expect(self, func: Callable[[np.ndarray], np.ndarray], /) -> float:
        """Return ``E func(X)`` for a smooth function of an array."""
        x, weights = self._quadrature
        return float(weights @ func(x))

    def mean(self) -> float:
        """Return the mean."""
        return self.expect(lambda x: x)

    def var(self) -> float:
        """Return the variance."""
        mean = self.mean()
        return self.expect(lambda x: (x - mean) ** 2)

    def std(self) -> float:
        """Return the standard deviation of the law; that of a weight's entry is ``entry_std``."""
        return float(np.sqrt(self.var()))

    def stats(self, moments: str = "mv") -> Any:
        """Return mean (m), variance (v), skewness (s) and excess kurtosis (k), those among the letters of ``moments``.

        Parameters
        ----------
        moments
            Letters among ``"mvsk"``.

        Returns
        -------
        float or tuple of float
            In the order of the letters m, v, s, k, as SciPy returns them.

        Raises
        ------
        ArgumentError
            Another letter, or none.
        """
        # The caller may have passed anything.
        if not isinstance(moments, str) or not moments or not set(moments) <= set("mvsk"):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError("moments", "must be letters among mvsk", reprlib.repr(moments))
        known = {"m": self.mean, "v": self.var, "s": self._skewness, "k": self._excess_kurtosis}
        chosen = tuple(moment() for letter, moment in known.items() if letter in moments)
        return chosen[0] if len(chosen) == 1 else chosen

    def _skewness(self) -> float:
        return self._standard_moment(3)

    def _excess_kurtosis(self) -> float:
        return self._standard_moment(4) - 3

    def _standard_moment(self, power: int) -> float:
        mean, std = self.mean(), self.std()
        return self.expect(lambda x: ((x - mean) / std) ** power)

    @cached_property
    def _quadrature(self) -> tuple[np.ndarray, np.ndarray]:
        """Nodes and weights ``(NODES,)`` of ``E g(X)``; a law does not change, and its density may be costly."""
        low, high = float(self.ppf(OMITTED)), float(self.isf(OMITTED))
        # x = low + (high - low) sin²(πs/2) takes out the square roots with which spectral densities begin and end.
        s, weights = gauss_legendre(NODES)
        x = low + (high - low) * np.sin(np.pi / 2 * s) ** 2
        return x, weights * (high - low) * np.pi / 2 * np.sin(np.pi * s) * self.pdf(x)

    # Draws ---------------------------------------------------------------------------------------------------------

    def rvs(self, size: int | tuple[int, ...] | None = None, random_state: Any = None) -> Any:
        """Draw from the law.

        Parameters
        ----------
        size
            Shape of the result; None gives one number.
        random_state
            A NumPy ``Generator`` or a seed; global random state is never touched.

        Returns
        -------
        float or numpy.ndarray
            Quantiles of uniform draws.
        """
        return self.ppf(generator(random_state, argument="random_state").uniform(size=shape("size", size)))


def _log(probability: Any) -> Any:
    with np.errstate(divide="ignore"):
        return np.log(probability)
