"""Sparse weights of a given spectral radius, for reservoirs."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from math import sqrt
from typing import Any, cast

import numpy as np

from unitcircle import spectra
from unitcircle._arguments import generator, whole_number
from unitcircle._array import Weight, namespace, ndtr, ndtri
from unitcircle._keywords import right_keywords
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.initializers._certificate import Certificate, rounding
from unitcircle.initializers._initializer import Initializer
from unitcircle.initializers._parameters import number

REDRAWS = 100
PRECISION = 1e-6
"""Relative error asked of a sparse weight's radius."""
ADVICE = "Raise the density: below about 1/n most draws have no cycle, and then no spectral radius to scale."


@dataclass(frozen=True)
class Sparse(Initializer):
    r"""Independent entries, most of them 0, rescaled to a spectral radius.

    .. math:: W = \frac{r}{ρ(A)} A, \qquad A_{ij} \sim N(0, 1) \text{ with probability } p, \text{ else } 0

    :meth:`sample` draws the non-zero entries only and returns a SciPy sparse array; calling the
    initializer makes the dense weight from a dense ``z``: an entry is kept where ``Φ(z) < p``, and its value is
    ``Φ⁻¹(Φ(z)/p)``, again standard normal.

    Parameters
    ----------
    density
        p, the probability of an entry, in (0, 1].
    radius
        r, positive.

    Raises
    ------
    ArgumentError
        When called: the entries form no cycle, so that ρ(A) = 0 and no scale helps. (Inside ``jax.jit``, where values
        cannot be looked at, the result is NaN.)

    References
    ----------
    H. Jaeger, "The echo state approach to analysing and training recurrent neural networks", GMD report 148 (2001).

    Examples
    --------
    >>> W = Sparse(density=0.1, radius=0.9).sample(50, rng=0)
    >>> round(float(abs(np.linalg.eigvals(W.toarray())).max()), 12)
    0.9
    """

    name = "sparse"

    density: float = 0.1
    radius: float = 0.9

    def __post_init__(self) -> None:
        number(self, "density", "must be in (0, 1]", lambda density: 0 < density <= 1)
        number(self, "radius", "must be positive", lambda radius: radius > 0)

    def _weight(self, z: Any) -> Any:
        xp = namespace(z)
        rank = ndtr(z)
        # Rounding must not turn the rank of a kept entry into 0 or 1, whose quantiles are infinite.
        info = xp.finfo(z.dtype)
        quantile = xp.clip(rank / self.density, float(info.smallest_normal), 1 - float(info.eps))
        A = xp.where(rank < self.density, ndtri(quantile), xp.zeros_like(z))
        radius = xp.max(xp.abs(xp.linalg.eigvals(A)), axis=-1)
        if _any(xp, radius == 0):
            raise ArgumentError("z", "must leave a cycle among the entries kept", "a nilpotent weight", ADVICE)
        return A * (self.radius / radius)[..., None, None]

    @right_keywords
    def sample(  # pyright: ignore[reportIncompatibleMethodOverride]  (sparse, and one at a time: that is its point)
        self, n: Any, /, *, rng: np.random.Generator | int | None = None
    ) -> Any:
        """Draw one weight in compressed rows, without ever forming a dense one.

        A draw whose entries form no cycle has spectral radius 0 and is drawn again, at most 100 times.

        Parameters
        ----------
        n
            Number of units.
        rng
            Generator or seed.

        Returns
        -------
        scipy.sparse.csr_array
            ``(n, n)`` in double precision, its spectral radius r to a relative error of 1e-6 at most (up to n = 256,
            to rounding).

        Raises
        ------
        ShapeError
            n is not a positive number.
        ArgumentError
            No draw had a cycle.

        Warns
        -----
        RuntimeWarning
            The radius did not converge; the message gives its bounds.
        """
        n = whole_number("n", n, error=ShapeError)
        source = generator(rng)
        for _ in range(REDRAWS):
            A = _bernoulli_gaussian(n, self.density, source)
            radius = spectra.spectral_radius(A, tol=PRECISION)
            if radius.upper > 0:
                break
        else:
            raise ArgumentError("density", f"must give a cycle among n = {n} units", f"{self.density:g}", ADVICE)
        if not radius.converged:
            warnings.warn(f"The weight is scaled by an uncertain radius: {radius}.", RuntimeWarning, stacklevel=2)
        A.data *= self.radius / float(radius)
        return A

    def certificate(self, W: Any, /) -> Certificate:
        """Measure the spectral radius of a weight, dense or sparse, or the worst of a batch.

        Parameters
        ----------
        W
            Dense ``(..., n, n)`` of any array library, or a SciPy sparse array.

        Returns
        -------
        Certificate
            The residual is |ρ − r|/r, for a sparse array with the error bound of ρ added. The tolerance is what
            rounding can do to an eigenvalue of this condition; for a sparse array three times 1e-6.
        """
        if not hasattr(W, "tocsr"):
            return super().certificate(W)
        radius = spectra.spectral_radius(W, tol=PRECISION)
        residual = (abs(float(radius) - self.radius) + radius.error) / self.radius
        return Certificate(self._promise, residual, 3 * PRECISION)  # scaled to one, measured to one, and its error

    @property
    def _promise(self) -> str:
        return f"ρ = {self.radius:g}"

    def _measure(self, W: Weight) -> Certificate:
        from scipy.linalg import eig  # noqa: PLC0415  (it takes longer to import than the whole package)

        residual = tolerance = 0.0
        for A in W.value.reshape(-1, W.n, W.n):
            eigenvalues, left, right = cast("tuple[np.ndarray, ...]", eig(A, left=True))
            top = np.argmax(np.abs(eigenvalues))
            # |δλ| ≤ ‖δA‖ / |yᴴx|, to first order (Wilkinson).
            condition = 1 / max(abs(np.vdot(left[:, top], right[:, top])), W.eps)
            residual = max(residual, abs(abs(eigenvalues[top]) - self.radius) / self.radius)
            tolerance = max(tolerance, condition * rounding(W) * float(np.linalg.norm(A, 2)) / self.radius)
        return Certificate(self._promise, float(residual), tolerance)


def _bernoulli_gaussian(n: int, density: float, rng: np.random.Generator) -> Any:
    """Return n² independent entries in compressed rows, each N(0, 1) with probability ``density`` and else 0."""
    # The gaps between the entries that are there, read row by row, are geometric: only they are drawn.
    from scipy.sparse import csr_array  # noqa: PLC0415  (start-up time is for those who draw sparse weights)

    total = n * n
    places = np.empty(0, dtype=np.int64)
    last = -1
    while last < total:
        expected = density * (total - last)
        gaps = rng.geometric(density, size=int(expected + 6 * sqrt(expected)) + 1)
        more = last + np.cumsum(np.minimum(gaps, total - last))  # the next gap may be beyond int64
        places = np.concatenate([places, more])
        last = int(more[-1])
    places = places[places < total]
    starts = np.searchsorted(places, n * np.arange(n + 1, dtype=np.int64))
    return csr_array((rng.standard_normal(len(places)), places % n, starts), shape=(n, n))


def _any(xp: Any, condition: Any) -> bool:
    try:
        return bool(xp.any(condition))
    except (TypeError, RuntimeError):  # traced by jax.jit, or a meta tensor: the division will give NaN
        return False
