"""The pseudospectrum of a weight: resolvent norms on a grid of the complex plane."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle._arguments import real_number, whole_number
from unitcircle._array import Weight, to_numpy, weight
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError
from unitcircle.spectra._resolvent import Resolvent

# The square drawn when only a number of points is given reaches this far beyond ‖W‖₂ and the unit circle.
MARGIN = 1.15
# Sums of so large numbers stay finite.
LARGEST = 2.0**1000


@dataclass(frozen=True, eq=False)
class Pseudospectrum:
    """Smallest singular values of zI − W on a grid.

    Attributes
    ----------
    grid
        Points z, complex, of any shape (a single point becomes an array of one).
    smallest_singular_values
        σ_min(zI − W), of the same shape: z lies in the ε-pseudospectrum if and only if it is at most ε.
    tolerance
        The largest absolute error of a singular value: 4·n·eps·(‖W‖_F + max |z|).
    """

    grid: Any
    smallest_singular_values: Any
    tolerance: float

    @property
    def log10_resolvent_norm(self) -> np.ndarray:
        """log₁₀ ‖(zI − W)⁻¹‖₂ at each point, NumPy; infinite where z is an eigenvalue."""
        with np.errstate(divide="ignore"):
            return -np.log10(to_numpy(self.smallest_singular_values))

    def __str__(self) -> str:
        values = to_numpy(self.smallest_singular_values)
        reach = f"{values.min():.4g} to {values.max():.4g}, each ± {self.tolerance:.1g}"
        return f"smallest singular values of zI − W at {values.size} points: {reach}"

    def contains(self, epsilon: float, /) -> np.ndarray:
        """Return which points lie in the ε-pseudospectrum.

        Parameters
        ----------
        epsilon
            The size ε of a perturbation E of W, in the spectral norm: the points that are eigenvalues of some W + E.

        Returns
        -------
        numpy.ndarray
            Booleans, of the shape of the grid.

        Raises
        ------
        ArgumentError
            ε is negative or not finite.
        """
        epsilon = real_number("epsilon", epsilon, "must be finite and not negative", lambda epsilon: epsilon >= 0.0)
        return to_numpy(self.smallest_singular_values) <= epsilon


def pseudospectrum(W: Any, /, grid: Any = 100, *, progress: Callable[[int, int], None] | None = None) -> Pseudospectrum:
    r"""Measure the resolvent of a weight on a grid of the complex plane.

    .. math:: σ_{\min}(zI - W) = 1 / ‖(zI - W)^{-1}‖_2

    One Schur form W = QTQ* serves all points; σ_min(zI − T) comes from a Lanczos process with its inverse, whose
    triangular solves are shared by many points, first in single precision, then in double. A point that does not
    converge gets an SVD. Of 128 points or more, convergence is judged by the square of the residual over the gap to the
    next Ritz value, and one of 512 is compared with its SVD: if one differs by more than the tolerance, as where two
    singular values nearly agree everywhere, the piece is done again, judged by the residual.

    Parameters
    ----------
    W
        One weight ``(n, n)``, real or complex, of any array library.
    grid
        Points z, a complex array of any shape; or a whole number m for m × m points of the square
        |Re z|, |Im z| ≤ 1.15 max(1, ‖W‖₂), rows by increasing imaginary part.
    progress
        Called with the number of points done and of all points.

    Returns
    -------
    Pseudospectrum
        Grid, singular values and their tolerance.

    Raises
    ------
    ShapeError
        A batch of weights.
    NotFiniteError
        A point that is not finite.
    ArgumentError
        The grid is not a positive number of points; or ``W`` is not square, finite and not empty.

    References
    ----------
    Trefethen & Embree, *Spectra and Pseudospectra* (2005), §39; Lui, "Computation of pseudospectra by
    continuation", SIAM J. Sci. Comput. 18 (1997)

    Examples
    --------
    The resolvent of a 2 × 2 nilpotent shift at z = ½:

    >>> pseudospectrum([[0.0, 1.0], [0.0, 0.0]], [0.5]).smallest_singular_values.round(4)
    array([0.2071])
    """
    w = single(weight(W))
    _refuse_large("W", w.value)
    side = isinstance(grid, int | np.integer)
    points = _square(w.value, whole_number("grid", grid)) if side else to_numpy(grid, argument="grid")
    with np.errstate(over="ignore"):
        points = np.atleast_1d(points.astype(np.complex128, order="C"))
    if not np.isfinite(points).all():
        raise NotFiniteError("grid", "must be finite", "points that are NaN or infinite")
    _refuse_large("grid", points)
    # In units of the largest number here: squares of numbers beyond 1e154 would overflow.
    unit = math.frexp(max(float(np.abs(w.value).max()), float(np.abs(points).max(initial=0.0))))[1]
    resolvent, z = Resolvent.of(_scale(w.value, -unit)), _scale(points.ravel(), -unit)
    if np.isrealobj(w.value):
        # σ_min is the same at z and at its conjugate, and moves by no more than z does: points that mirror each
        # other to rounding share their value.
        z = np.where(np.imag(z) < 0.0, z.conj(), z)
    step = 4 * np.finfo(np.float64).eps * (resolvent.norm or 1.0)
    _, first, inverse = np.unique(np.round(z / step), return_index=True, return_inverse=True)
    sigma = _scale(resolvent.smallest_singular_values(z[first], progress=progress)[inverse], unit)
    tolerance = math.ldexp(float(np.max(resolvent.tolerance(z), initial=0.0)), unit)
    return Pseudospectrum(w.restore(points), w.restore(sigma.reshape(points.shape)), tolerance)


def _refuse_large(argument: str, values: np.ndarray) -> None:
    if float(np.abs(values.view(np.float64)).max(initial=0.0)) > LARGEST:
        raise ArgumentError(argument, f"must be within {LARGEST:g}", "larger numbers", "Scale the weight and the grid.")


def _scale(values: np.ndarray, exponent: int) -> np.ndarray:
    parts = np.ascontiguousarray(values).view(np.float64)
    return np.ldexp(parts, exponent).view(values.dtype)


def single(w: Weight, /) -> Weight:
    """Refuse a batch where only one weight has an answer."""
    if w.batch:
        raise ShapeError("W", "must be one weight (n, n)", f"a batch of shape {w.batch}", "Loop over the batch.")
    return w


def _square(W: np.ndarray, points: int) -> np.ndarray:
    reach = MARGIN * max(1.0, float(np.linalg.norm(W, 2)))
    side = np.linspace(-reach, reach, points)
    return side[None, :] + 1j * side[:, None]
