"""The standard deviation of an entry for a given spectral radius, at any size."""

from __future__ import annotations

from unitcircle.ensembles._spectral_radius import SpectralRadius
from unitcircle.ensembles._unit_radius import Field
from unitcircle.errors import ArgumentError


def std_for_radius(n: int, /, *, radius: float = 1.0, at: str | float = "mean", field: Field = "real") -> float:
    """Return the std of Gaussian entries for which the law of ρ has its mean, median or a quantile at a radius.

    ρ is proportional to std, hence ``std = radius / m(n)`` with m the mean (median, quantile) for unit entries; for
    large n it tends to ``radius/√n``, for n = 10 it is 6 % below that.

    Parameters
    ----------
    n
        Size of the matrix.
    radius
        The target spectral radius.
    at
        ``"mean"``, ``"median"``, or a probability p: then ``P(ρ ≤ radius) = p``.
    field
        ``"real"`` or ``"complex"`` entries.

    Returns
    -------
    float
        The standard deviation of an entry.

    Raises
    ------
    ArgumentError
        ``radius`` is not positive and finite, or ``at`` is none of the values above.

    Examples
    --------
    >>> std = std_for_radius(10, at=0.99)
    >>> round(float(SpectralRadius(10, std).cdf(1.0)), 12)
    0.99
    """
    if not 0 < radius < float("inf"):
        raise ArgumentError("radius", "must be a positive finite number", f"{radius!r}")
    law = SpectralRadius(n, field=field)
    if at == "mean":
        return radius / law.mean()
    if at == "median":
        return radius / law.median()
    if isinstance(at, str) or not 0 < at < 1:
        raise ArgumentError("at", "must be 'mean', 'median' or a probability between 0 and 1", f"{at!r}")
    return radius / float(law.ppf(at))
