"""A law on the positive axis, tabulated once: moments, and quantiles without iteration.

The logit ``y = log F - log(1 - F)`` is a smooth function of ``t = log r`` over all forty decades of F that a random
number in double precision can reach. It is interpolated at Chebyshev points; their number doubles until the
polynomial through half of them predicts the other half; the error is measured at fresh points.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import Chebyshev
from scipy import fft, special
from scipy.interpolate import CubicHermiteSpline

LogLaws = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

# The logit of the smallest positive uniform variate of 53 bits is -36.7.
LOGIT_RANGE = 38.0
# Doubling the points squares the error: a change of this size in the logit, and relative in the moments, means that
# the finer table is right to nine digits in the first and to all in the second. The first is then measured.
LOGIT_CHANGE = 1e-4
MOMENT_CHANGE = 1e-8
CHECKS = 8
INVERSE_POINTS = 2048
FEWEST, MOST = 32, 512


@dataclass(frozen=True, eq=False)
class Table:
    """A tabulated law."""

    logit: Chebyshev  # The logit of F as a polynomial in log r; its domain is the range of the table
    log_r: CubicHermiteSpline  # The inverse
    error: float  # Largest relative error of a tabulated quantile, measured between the points of the table
    mean: float
    var: float
    skewness: float
    kurtosis: float  # Excess kurtosis

    def quantile(self, logit: np.ndarray, /) -> np.ndarray:
        """Return the radius at a logit; beyond the table, the end of it."""
        return np.exp(self.log_r(np.clip(logit, self.log_r.x[0], self.log_r.x[-1])))

    @property
    def bounds(self) -> tuple[float, float]:
        """The range of the table, in ``log r``."""
        return float(self.logit.domain[0]), float(self.logit.domain[1])

    def _inside(self, r: np.ndarray) -> np.ndarray:
        low, high = self.bounds
        return np.clip(np.log(r), low, high)

    def cdf(self, r: np.ndarray, /) -> np.ndarray:
        """Return F(r), to the error of the table."""
        return special.expit(self.logit(self._inside(r)))

    def logpdf(self, r: np.ndarray, /) -> np.ndarray:
        """Return log F'(r), to the error of the table; beyond it, the value at its end."""
        log_r = self._inside(r)
        y = self.logit(log_r)
        return special.log_expit(y) + special.log_expit(-y) + np.log(self.logit.deriv()(log_r)) - log_r


def tabulate(log_laws: LogLaws, low: float, high: float, /) -> Table:
    """Tabulate a law, given as (log F, log(1 - F)), whose logit runs through ±LOGIT_RANGE between two radii."""
    domain = np.log([low, high])
    middle, half = domain.mean(), np.ptp(domain) / 2

    def laws(x: np.ndarray) -> np.ndarray:
        return np.array(log_laws(np.exp(middle + half * x)))

    def polynomial(values: np.ndarray) -> Chebyshev:
        return Chebyshev(_coefficients(values[0] - values[1]), domain=domain)

    points = FEWEST
    values = laws(_lobatto(points))
    moments = _moments(values, middle, half)
    while True:
        new = _lobatto(2 * points)[1::2]
        fresh = laws(new)
        change = abs(polynomial(values)(middle + half * new) - (fresh[0] - fresh[1])).max()
        merged = np.empty((2, 2 * points + 1))
        merged[:, ::2], merged[:, 1::2] = values, fresh
        values, points, previous = merged, 2 * points, moments
        moments = _moments(values, middle, half)
        settled = abs(moments[:2] - previous[:2]).max() <= MOMENT_CHANGE * moments[0] ** 2
        if (change <= LOGIT_CHANGE and settled) or points >= MOST:
            break
    logit = polynomial(values)
    t = np.linspace(domain[0], domain[1], 2 * INVERSE_POINTS + 1)
    y = logit(t)
    spline = CubicHermiteSpline(y[::2], t[::2], 1 / logit.deriv()(t[::2]))
    between = abs(spline(y[1::2]) - t[1::2]).max()
    check = _lobatto(2 * points)[1 :: points // CHECKS * 2]
    fresh = laws(check)
    error = max(between, abs(middle + half * check - spline(fresh[0] - fresh[1])).max())
    return Table(logit, spline, float(error), *map(float, moments))


def _lobatto(points: int) -> np.ndarray:
    return -np.cos(np.pi * np.arange(points + 1) / points)


def _coefficients(values: np.ndarray) -> np.ndarray:
    coefficients = fft.dct(values[..., ::-1], type=1) / (values.shape[-1] - 1)
    coefficients[..., [0, -1]] /= 2
    return coefficients


def _moments(values: np.ndarray, middle: float, half: float) -> np.ndarray:
    """Return mean, variance, skewness and excess kurtosis: E g(ρ) = g(low) + ∫ g'(r) (1 - F) dr."""
    points = values.shape[-1] - 1
    r = np.exp(middle + half * _lobatto(points))
    k = np.arange(0, points + 1, 2)

    def integral(weight: np.ndarray | float) -> float:
        # Clenshaw and Curtis: the integral of an even Chebyshev polynomial is 2/(1 - k²), of an odd one 0.
        return half * float(_coefficients(weight * r * np.exp(values[1]))[::2] @ (2 / (1 - k * k)))

    mean = r[0] + integral(1.0)
    _, _, second, third, fourth = (
        (r[0] - mean) ** p + integral(p * (r - mean) ** (p - 1)) if p > 1 else 0.0 for p in range(5)
    )
    return np.array([mean, second, third / second**1.5, fourth / second**2 - 3])
