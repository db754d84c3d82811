"""The law of the spectral radius of a Gaussian matrix, with the methods of a frozen SciPy distribution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._arguments import generator, one_of, positive, shape, whole_number
from unitcircle._array import reals
from unitcircle.ensembles._law import Law
from unitcircle.ensembles._outliers import outlier_error
from unitcircle.ensembles._table import LOGIT_RANGE, Table
from unitcircle.ensembles._unit_radius import EXACT_UP_TO, Field, log_density, log_laws, quantiles, tabulated
from unitcircle.errors import ShapeError

# Measured against 60-digit arithmetic; absolute, in the bulk.
ROUNDING = 1e-13


@dataclass(frozen=True, init=False, repr=False)
class SpectralRadius(Law):
    """The law of ρ = max|λ| of an n × n matrix with independent Gaussian entries.

    For complex entries ``P(ρ ≤ r) = Π_{k=1..n} P(k, (r/std)²)``, P the regularised incomplete gamma function; for
    real entries it is the determinant of order n/2 derived in ``docs/theory/spectral-radius-law.md``. Exact for n up
    to 10⁴. Above, the closed form of a Poisson number of outliers, whose measured error is :attr:`error`.

    Parameters
    ----------
    n
        Size of the matrix.
    std
        Standard deviation of an entry; of a complex one ``E|w|² = std²``.
    field
        ``"real"`` or ``"complex"`` entries.

    Raises
    ------
    ShapeError
        ``n`` is not a positive integer.
    ArgumentError
        ``std`` is not positive and finite.
    UnknownNameError
        There is no such field.

    Notes
    -----
    Methods take arrays and return arrays of the same shape; both tails are accurate relative to the probability. For
    real entries and 512 < n ≤ 10⁴ that holds down to F = 1e-300, at 1e-6 or better; ``logcdf`` below that is good to a
    few per cent.

    References
    ----------
    E. Kostlan, On the spectra of Gaussian matrices, Linear Algebra Appl. 162-164 (1992) (complex).
    P. Forrester, T. Nagao, Eigenvalue statistics of the real Ginibre ensemble, Phys. Rev. Lett. 99 (2007)
    (the skew-orthogonal polynomials of the real case).

    Examples
    --------
    >>> law = SpectralRadius(10, std=2.0)
    >>> round(law.mean(), 4), round(float(law.ppf(0.99)), 4)
    (6.7264, 9.644)
    >>> float(law.sf(20.0))
    5.44970...e-17
    """

    n: int
    entry_std: float
    field: Field

    def __init__(self, n: int, std: float = 1.0, field: Field = "real") -> None:
        object.__setattr__(self, "n", whole_number("n", n, error=ShapeError))
        object.__setattr__(self, "entry_std", positive("std", std))
        object.__setattr__(self, "field", one_of("field", field, ("real", "complex")))

    # How exact it is -----------------------------------------------------------------------------------------------

    @property
    def exact(self) -> bool:
        """Whether the law is exact up to rounding: n ≤ 10⁴."""
        return self.n <= EXACT_UP_TO

    @property
    def error(self) -> float:
        """The measured absolute error of the distribution function."""
        return ROUNDING if self.exact else outlier_error(self.n, self.field)

    @property
    def sampling_error(self) -> float:
        """The measured largest relative error of the tabulated quantiles that :meth:`rvs` returns."""
        return self.table.error

    @property
    def table(self) -> Table:
        """The law of unit entries, tabulated at the first use: fast where its :attr:`sampling_error` does."""
        return tabulated(self.n, self.field)

    # Probabilities -------------------------------------------------------------------------------------------------

    def logcdf(self, r: Any, /) -> Any:
        """Return ``log P(ρ ≤ r)``, elementwise."""
        return self._evaluate(r, lambda x: log_laws(self.n, x, self.field)[0], -np.inf, 0.0)

    def logsf(self, r: Any, /) -> Any:
        """Return ``log P(ρ > r)``, elementwise."""
        return self._evaluate(r, lambda x: log_laws(self.n, x, self.field)[1], 0.0, -np.inf)

    def logpdf(self, r: Any, /) -> Any:
        """Return the logarithm of the density at r, elementwise."""
        shift = np.log(self.entry_std)
        return self._evaluate(r, lambda x: log_density(self.n, x, self.field) - shift, -np.inf, -np.inf)

    def cdf(self, r: Any, /) -> Any:
        """Return ``P(ρ ≤ r)``, elementwise."""
        return np.exp(self.logcdf(r))

    def sf(self, r: Any, /) -> Any:
        """Return ``P(ρ > r)``, elementwise: accurate where ``1 - cdf`` has no digit left."""
        return np.exp(self.logsf(r))

    def pdf(self, r: Any, /) -> Any:
        """Return the density at r, elementwise."""
        return np.exp(self.logpdf(r))

    def _evaluate(self, r: Any, function: Callable[[np.ndarray], np.ndarray], left: float, right: float) -> Any:
        with np.errstate(over="ignore"):
            x = reals(r, argument="r") / self.entry_std
        result = np.where(x > 0, right, left)
        result[np.isnan(x)] = np.nan
        inside = (x > 0) & (x < np.inf)
        if inside.any():
            distinct, place = np.unique(x[inside], return_inverse=True)
            result[inside] = function(distinct)[place]
        return result[()]

    # Quantiles -----------------------------------------------------------------------------------------------------

    def ppf(self, q: Any, /) -> Any:
        """Return the radius r with ``P(ρ ≤ r) = q``, elementwise, to rounding."""
        return self._radius(q, lower=True)

    def isf(self, q: Any, /) -> Any:
        """Return the radius r with ``P(ρ > r) = q``, elementwise, to rounding."""
        return self._radius(q, lower=False)

    def _radius(self, q: Any, *, lower: bool) -> Any:
        q = reals(q, argument="q")
        result = np.full(q.shape, np.nan)
        result[q == 0] = 0.0 if lower else np.inf
        result[q == 1] = np.inf if lower else 0.0
        inside = (q > 0) & (q < 1)
        if inside.any():
            distinct, place = np.unique(q[inside], return_inverse=True)
            with np.errstate(over="ignore"):
                result[inside] = self.entry_std * quantiles(self.n, self.field, distinct, lower=lower)[place]
        return result[()]

    def support(self) -> tuple[float, float]:
        """Return the end points of the law: 0 and infinity."""
        return 0.0, float("inf")

    # Moments -------------------------------------------------------------------------------------------------------

    def mean(self) -> float:
        """Return the mean of ρ."""
        return self.entry_std * self.table.mean

    def var(self) -> float:
        """Return the variance of ρ."""
        return self.entry_std * self.entry_std * self.table.var

    def std(self) -> float:
        """Return the standard deviation of ρ, also where its square is beyond the largest number."""
        return self.entry_std * self.table.var**0.5

    def _skewness(self) -> float:
        return self.table.skewness

    def _excess_kurtosis(self) -> float:
        return self.table.kurtosis

    def expect(self, func: Callable[[np.ndarray], np.ndarray], /) -> float:
        """Return ``E func(ρ)``, to the accuracy of the table (:attr:`sampling_error`).

        Parameters
        ----------
        func
            A smooth function of an array of radii.

        Returns
        -------
        float
            By the trapezoidal rule in the logit of F, in which the integrand decays exponentially on both sides.
        """
        logit, step = np.linspace(-LOGIT_RANGE, LOGIT_RANGE, 2001, retstep=True)
        density = 1 / (2 + 2 * np.cosh(logit))
        return float(step * (density @ func(self.entry_std * self.table.quantile(logit))))

    def rvs(self, size: int | tuple[int, ...] | None = None, random_state: Any = None) -> Any:
        """Draw spectral radii without drawing a matrix: the tabulated exact law, inverted.

        Parameters
        ----------
        size
            Shape of the result; None gives one number.
        random_state
            A NumPy ``Generator`` or a seed; global random state is never touched.

        Returns
        -------
        float or numpy.ndarray
            Draws whose quantiles are right to the relative error :attr:`sampling_error`.
        """
        # A standard logistic variate is the logit of a uniform one, with all digits in both tails.
        logit = generator(random_state, argument="random_state").logistic(size=shape("size", size))
        return self.entry_std * self.table.quantile(np.asarray(logit))[()]
