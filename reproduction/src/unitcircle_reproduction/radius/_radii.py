"""The radii that several claims share: 10,000 draws at one size, and the exact law from 2 to 10,000 units."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import stats

from unitcircle.ensembles import SpectralRadius, sample_radii
from unitcircle.initializers import Gaussian
from unitcircle_reproduction._context import Context

N, STD, DRAWS = 10, 2.0, 10_000
NEAR = 0.05
"""What we take "about 1" to mean: within 5 %."""


@dataclass(frozen=True)
class Normalized:
    """The law of ρ/√n for unit entries, and draws of it where they are cheap."""

    n: int  # Size
    low: float  # low, mean, high: 5 % quantile, mean and 95 % quantile
    mean: float
    high: float
    near: float  # near, above: P(|ρ/√n − 1| ≤ 0.05) and P(ρ/√n > 1)
    above: float
    sampled: tuple[float, float]  # Mean of the draws and half the width of its 95 % interval; NaN without draws


@dataclass(frozen=True)
class Radii:
    """What is drawn once and used by several claims."""

    context: Context

    @cached_property
    def samples(self) -> np.ndarray:
        """The 10,000 radii of his first figure."""
        return sample_radii(Gaussian(std=STD), N, DRAWS, rng=self.context.draws, workers=self.context.workers)

    @cached_property
    def sizes(self) -> list[Normalized]:
        """The law of ρ/√n from 2 to 10⁴ units."""
        exact = self.context.pick((2, 5, 10, 20, 50, 100, 200, 500, 1000, 10_000), (2, 3, 4, 5, 7, *SIZES))
        budget = self.context.pick(2e7, 2e9)
        return [self._law_at(n, int(min(DRAWS, budget / n**2.5))) for n in exact]

    def _law_at(self, n: int, draws: int) -> Normalized:
        law, unit = SpectralRadius(n), np.sqrt(n)
        sampled = (np.nan, np.nan)
        if draws >= 20:
            radii = sample_radii(Gaussian(std=1.0), n, draws, rng=self.context.draws, workers=self.context.workers)
            sampled = mean_and_half(radii / unit)
        low, high = law.table.quantile(np.log([1 / 19, 19.0])) / unit
        near = float(np.diff(law.cdf(unit * np.array([1 - NEAR, 1 + NEAR])))[0])
        return Normalized(n, float(low), law.mean() / unit, float(high), near, float(law.sf(unit)), sampled)


SIZES = (10, 14, 20, 30, 50, 70, 100, 140, 200, 300, 500, 700, 1000, 2000, 5000, 10_000)


def mean_and_half(values: np.ndarray) -> tuple[float, float]:
    """Return a mean and half the width of its 95 % interval."""
    return float(values.mean()), float(stats.norm.isf(0.025) * stats.sem(values))
