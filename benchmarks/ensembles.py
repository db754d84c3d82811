"""Spectral radii of Gaussian matrices: by inversion of the exact law, and drawn directly, against a loop of eigvals.

``python -m benchmarks.ensembles`` also prints how far the approximate laws are from the exact one, which laws fit a
sample, and for which entries the law is universal.
"""

from collections.abc import Callable, Iterator
from time import perf_counter

import numpy as np
from scipy import stats

from benchmarks._row import Row
from unitcircle.ensembles import SpectralRadius, fit_radius_law, sample_radii
from unitcircle.ensembles._outliers import outlier_log_laws
from unitcircle.ensembles._unit_radius import tabulated
from unitcircle.initializers import Gaussian

# Size, draws, draws timed in the loop, and the least ratios by inversion and by sampling.
CASES = ((10, 10_000, 10_000, 20, 3), (100, 1_000, 500, 60, 2), (1_000, 100, 10, 60, 2))
ROUNDS = 3


def loop(n: int, draws: int) -> np.ndarray:
    """The method of the source: one matrix at a time."""
    rng = np.random.default_rng(0)
    return np.array([max(abs(np.linalg.eigvals(rng.standard_normal((n, n))))) for _ in range(draws)])


def inversion(n: int, draws: int) -> np.ndarray:
    """Inversion without a cached table."""
    tabulated.cache_clear()
    return SpectralRadius(n).rvs(draws, random_state=0)


def seconds(function: Callable[[], object]) -> float:
    start = perf_counter()
    function()
    return perf_counter() - start


def rows() -> Iterator[Row]:
    SpectralRadius(2).rvs(1)  # import what SciPy loads at first use
    sample_radii(Gaussian(std=1.0), 2, 1)
    for n, draws, timed, by_inversion, by_sampling in CASES:
        gaussian = Gaussian(std=1.0)
        contenders = (
            lambda n=n, timed=timed: loop(n, timed),
            lambda n=n, draws=draws: inversion(n, draws),
            lambda n=n, draws=draws, gaussian=gaussian: sample_radii(gaussian, n, draws, rng=0, dtype=np.float32),
        )
        # In turns, so that other load on the machine affects all of them.
        best = np.min([[seconds(f) for f in contenders] for _ in range(ROUNDS if n < 1000 else 1)], axis=0)
        scaled = "" if timed == draws else f", timed on {timed}"
        baseline = f"np.linalg.eigvals in a loop{scaled}", best[0] * draws / timed
        what = f"{draws:,} spectral radii at n = {n}"
        yield Row(
            f"{what}, inversion", baseline[0], "SpectralRadius.rvs, table built", baseline[1], best[1], by_inversion
        )
        yield Row(
            f"{what}, sampling", baseline[0], "sample_radii(gaussian, dtype=float32)", baseline[1], best[2], by_sampling
        )


def gumbel_cdf(n: int, r: np.ndarray, field: str) -> np.ndarray:
    """The limit law of the literature, at finite n."""
    gamma = np.log(n / (2 * np.pi)) - 2 * np.log(np.log(n))
    t = np.sqrt(4 * n * gamma) * (r / np.sqrt(n) - 1 - np.sqrt(gamma / (4 * n)))
    return np.exp(-np.exp(-t) * (0.5 if field == "real" else 1.0))


def approximations() -> Iterator[str]:
    yield "Kolmogorov distance to the exact law: Gumbel limit, Poisson number of outliers"
    for field in ("real", "complex"):
        for n in (100, 200, 1_000, 10_000):
            law = SpectralRadius(n, field=field)
            r = law.ppf(np.linspace(0.01, 0.99, 25))
            closed = abs(np.exp(outlier_log_laws(n, r, field)[0]) - law.cdf(r)).max()
            defined = np.log(n / (2 * np.pi)) > 2 * np.log(np.log(n))
            gumbel = f"{abs(gumbel_cdf(n, r, field) - law.cdf(r)).max():.3f}" if defined else "undefined"
            yield f"  {field:8s} n = {n:6d}  {gumbel:>9s}  {closed:.4f}"


def universality(n: int = 100, draws: int = 400) -> Iterator[str]:
    yield f"Kolmogorov-Smirnov p-value of {draws} spectral radii against the Gaussian law, n = {n}"
    rng = np.random.default_rng(0)
    shape = (draws, n, n)

    def sparse(nonzeros: int) -> np.ndarray:
        mask = rng.uniform(size=shape).argsort(-1) < nonzeros
        return np.where(mask, rng.standard_normal(shape) * np.sqrt(n / nonzeros), 0)

    entries: dict[str, Callable[[], np.ndarray]] = {
        "Gaussian": lambda: rng.standard_normal(shape),
        "uniform": lambda: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
        "Rademacher": lambda: rng.choice([-1.0, 1.0], shape),
        "Student t, 5 degrees": lambda: rng.standard_t(5, shape) * np.sqrt(3 / 5),
        "Gaussian, 30 a row": lambda: sparse(30),
        "Gaussian, 9 a row": lambda: sparse(9),
        "Gaussian, 3 a row": lambda: sparse(3),
    }
    law = SpectralRadius(n)
    for name, draw in entries.items():
        radii = abs(np.linalg.eigvals(draw())).max(-1)
        yield f"  {name:22s} {stats.kstest(radii, law.cdf).pvalue:.2g}"


def fits(n: int = 10, std: float = 2.0, draws: int = 10_000) -> Iterator[str]:
    yield f"laws fitted to {draws} spectral radii, n = {n}, std = {std:g}: Kolmogorov distance, p-value, AIC"
    radii = sample_radii(Gaussian(std=std), n, draws, rng=0)
    for fit in fit_radius_law(radii, n=n):
        yield f"  {fit.name:26s} {fit.distance:.4f}  {fit.pvalue:8.2g}  {fit.aic:.0f}"


if __name__ == "__main__":
    for lines in (rows(), approximations(), fits(), universality()):
        for line in lines:
            print(line, flush=True)
