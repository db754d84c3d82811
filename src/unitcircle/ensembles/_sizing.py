"""The standard deviation of an entry for a given spectral radius, at any size."""

from __future__ import annotations

from unitcircle._arguments import positive, real_number, whole_number
from unitcircle.ensembles._spectral_radius import SpectralRadius
from unitcircle.ensembles._unit_radius import Field
from unitcircle.errors import ArgumentError


def std_for_radius(
    n: int,
    /,
    *,
    radius: float = 1.0,
    at: str | float = "mean",
    field: Field = "real",
    steps: int | None = None,
) -> float:
    """Return the std of Gaussian entries for which the law of ρ has its mean, median or a quantile at a radius.

    ρ is proportional to std, hence ``std = radius / m(n)`` with m the mean (median, quantile) for unit entries; for
    large n it tends to ``radius/√n``, for n = 10 it is 6 % below that.

    A linear recurrence of T steps multiplies its state by about ρᵀ, and that is what must stay bounded: with
    ``steps=T``, ``P(ρᵀ ≤ radius) = at``, that is ``std = radius^(1/T) / m(n)``.

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
    steps
        T: ``radius`` is then the bound of ``ρᵀ`` and not of ρ, and ``at`` must be ``"median"`` or a probability (the
        mean of ρᵀ is no scale: it is due to the largest draws).

    Returns
    -------
    float
        The standard deviation of an entry.

    Raises
    ------
    ArgumentError
        ``radius`` is not positive and finite, ``at`` is none of the values above, or ``steps`` is not positive.

    References
    ----------
    N. Bar, M. Seleznova, Y. Alexander, G. Kutyniok, R. Giryes, Revisiting Glorot initialization for long-range linear
    recurrences, arXiv 2505.19827 (2025): the question, answered there with the limit for n → ∞.

    Examples
    --------
    >>> std = std_for_radius(10, at=0.99)
    >>> round(float(SpectralRadius(10, std).cdf(1.0)), 12)
    0.99

    With probability 0.99 the 3000th power of a weight of 64 units stays below 10; at 1/√n that probability is 0.12:

    >>> round(std_for_radius(64, radius=10, at=0.99, steps=3000) * 8, 4)
    0.8282
    """
    radius = positive("radius", radius)
    if steps is not None:
        if isinstance(at, str) and at == "mean":
            raise ArgumentError("at", "must be 'median' or a probability where steps are given", f"{at!r}")
        radius = radius ** (1 / whole_number("steps", steps))
    law = SpectralRadius(n, field=field)
    if isinstance(at, str) and at in {"mean", "median"}:
        return radius / (law.mean() if at == "mean" else law.median())
    rule = "must be 'mean', 'median' or a probability between 0 and 1"
    return radius / float(law.ppf(real_number("at", at, rule, lambda at: 0 < at < 1)))
