"""Candidate laws of sampled spectral radii: maximum-likelihood fits, and how well each fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar

from unitcircle._array import reals
from unitcircle.ensembles._spectral_radius import SpectralRadius
from unitcircle.ensembles._unit_radius import Field
from unitcircle.errors import ArgumentError, NotFiniteError, ShapeError

FEWEST = 20
TINY = np.finfo(float).tiny


@dataclass(frozen=True)
class RadiusFit:
    """One candidate, fitted.

    Attributes
    ----------
    name
        ``"exact"``, ``"shifted lognormal"``, ...
    parameters
        Maximum-likelihood estimates from all samples, by name, in SciPy's parametrisation.
    distance
        Kolmogorov's ``sup |F_n - F|`` on all samples.
    pvalue
        Goodness of fit: Kolmogorov and Smirnov's test on every other sample of the law fitted to the rest, so that no
        sample both fits and tests.
    log_likelihood
        Of all samples; -inf where the law gives them probability zero, as a law on the integers does.
    aic
        Akaike's criterion, ``2·parameters - 2·log-likelihood``: smaller is better.
    law
        The fitted law: ``cdf, pdf, ppf, mean, ...``.
    """

    name: str
    parameters: dict[str, float]
    distance: float
    pvalue: float
    log_likelihood: float
    aic: float
    law: Any


@dataclass(frozen=True)
class _Candidate:
    fit: Callable[[np.ndarray], dict[str, float]]
    freeze: Callable[..., Any]


def _scipy(family: Any, **fixed: float) -> _Candidate:
    names = [*(family.shapes.split(", ") if family.shapes else ()), "loc", "scale"]

    def fit(samples: np.ndarray) -> dict[str, float]:
        fitted = dict(zip(names, map(float, family.fit(samples, **fixed)), strict=True))
        return {name: value for name, value in fitted.items() if f"f{name}" not in fixed}

    return _Candidate(fit, family)


def _fit_shifted_lognormal(samples: np.ndarray) -> dict[str, float]:
    # SciPy's own start often runs away to loc = -inf; the moments of the shifted law are a safe one.
    skewness = max(float(stats.skew(samples)), 0.05)
    u = np.cbrt(skewness / 2 + np.sqrt(1 + skewness**2 / 4))
    s = np.sqrt(np.log1p((u - 1 / u) ** 2))
    scale = samples.std() / np.sqrt(np.expm1(s * s) * np.exp(s * s))
    loc = samples.mean() - scale * np.exp(s * s / 2)
    fitted = stats.lognorm.fit(samples, s, loc=loc, scale=scale)
    return dict(zip(("s", "loc", "scale"), map(float, fitted), strict=True))


CANDIDATES = {
    "poisson": _Candidate(lambda samples: {"mu": float(samples.mean())}, stats.poisson),
    "gumbel": _scipy(stats.gumbel_r),
    "gamma": _scipy(stats.gamma, floc=0),
    "lognormal": _scipy(stats.lognorm, floc=0),
    "shifted lognormal": _Candidate(_fit_shifted_lognormal, stats.lognorm),
    "generalized extreme value": _scipy(stats.genextreme),
}
"""The candidates of :func:`fit_radius_law` other than the exact law."""


def fit_radius_law(samples: Any, /, *, n: int | None = None, field: Field = "real") -> tuple[RadiusFit, ...]:
    """Fit the laws that a histogram of spectral radii suggests, and the exact one, by maximum likelihood.

    Poisson, Gumbel, gamma, lognormal, shifted lognormal, generalized extreme value; the exact law of
    :class:`SpectralRadius`, with the std of an entry as its only parameter, if the size is known.

    Parameters
    ----------
    samples
        Positive spectral radii ``(draws,)``, at least 20.
    n
        Size of the matrices; without it the exact law is left out.
    field
        Their entries, ``"real"`` or ``"complex"``.

    Returns
    -------
    tuple of RadiusFit
        By increasing AIC; laws of equal criterion by increasing distance.

    Raises
    ------
    ShapeError
        Not one axis of at least 20 samples.
    NotFiniteError
        A NaN or an infinity among them.
    ArgumentError
        A radius that is not positive, or all equal.

    Notes
    -----
    The support of the Poisson law is the integers: its likelihood is zero, and its distance is at least half its
    largest jump. It also has no scale parameter: a Poisson variable times a factor is not Poisson.

    Examples
    --------
    >>> radii = SpectralRadius(10, std=2.0).rvs(2000, random_state=0)
    >>> fits = fit_radius_law(radii, n=10)
    >>> fits[0].name, fits[-1].name
    ('exact', 'poisson')
    """
    samples = reals(samples, argument="samples")
    if samples.ndim != 1 or samples.size < FEWEST:
        raise ShapeError("samples", f"must be one axis of at least {FEWEST} radii", f"shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise NotFiniteError("samples", "must be finite", "a NaN or an infinity")
    if samples.min() <= 0 or np.ptp(samples) == 0:
        raise ArgumentError("samples", "must be positive and not all equal", f"a minimum of {samples.min()}")
    candidates = dict(CANDIDATES)
    if n is not None:
        candidates["exact"] = _exact(n, field)
    fits = [_fit_candidate(name, candidate, samples) for name, candidate in candidates.items()]
    return tuple(sorted(fits, key=lambda fit: (fit.aic, fit.distance)))


@dataclass(frozen=True)
class _Tabulated:
    """The exact law from its table: nine digits, at any number of samples."""

    exact: SpectralRadius

    def cdf(self, r: np.ndarray) -> np.ndarray:
        return np.where(r > 0, self.exact.table.cdf(np.maximum(r, TINY) / self.exact.entry_std), 0.0)

    def logpdf(self, r: np.ndarray) -> np.ndarray:
        return self.exact.table.logpdf(r / self.exact.entry_std) - np.log(self.exact.entry_std)


def _exact(n: int, field: Field) -> _Candidate:
    unit = SpectralRadius(n, field=field)

    def fit(samples: np.ndarray) -> dict[str, float]:
        centre, width = samples.mean() / unit.mean(), unit.std() / unit.mean()

        def negative(log_std: float) -> float:
            return -float(_Tabulated(SpectralRadius(n, float(np.exp(log_std)), field)).logpdf(samples).sum())

        bounds = np.log(centre) + width * np.array([-1, 1])
        best: Any = minimize_scalar(negative, bounds=bounds, method="bounded", options={"xatol": 1e-9})
        return {"std": float(np.exp(best.x))}

    return _Candidate(fit, lambda std: _Tabulated(SpectralRadius(n, std, field)))


def _fit_candidate(name: str, candidate: _Candidate, samples: np.ndarray) -> RadiusFit:
    parameters = candidate.fit(samples)
    law = candidate.freeze(**parameters)
    fitted_to_half = candidate.freeze(**candidate.fit(samples[::2]))
    tested = samples[1::2]
    pvalue = float(stats.kstwo.sf(_distance(tested, fitted_to_half), tested.size))
    log_likelihood = -np.inf if name == "poisson" else float(law.logpdf(samples).sum())
    aic = 2 * len(parameters) - 2 * log_likelihood
    return RadiusFit(name, parameters, _distance(samples, law), pvalue, log_likelihood, aic, getattr(law, "exact", law))


def _distance(samples: np.ndarray, law: Any) -> float:
    # At the integers too, and from both sides, because a law may jump there.
    points = np.unique(np.concatenate((samples, np.arange(np.floor(samples.min()), np.ceil(samples.max()) + 1))))
    ordered = np.sort(samples)
    at = abs(np.searchsorted(ordered, points, "right") / samples.size - law.cdf(points))
    before = abs(np.searchsorted(ordered, points, "left") / samples.size - law.cdf(np.nextafter(points, -np.inf)))
    return float(max(at.max(), before.max()))
