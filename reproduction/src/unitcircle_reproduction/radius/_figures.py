"""Figures of the law of the spectral radius."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from unitcircle.ensembles import RadiusFit, SpectralRadius
from unitcircle.report import COLORS, plot_radius_law

if TYPE_CHECKING:
    from unitcircle_reproduction.radius._radii import Normalized

NAMES = {"poisson": "Poisson", "gumbel": "Gumbel", "generalized extreme value": "gen. extreme value"}


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def histogram(law: SpectralRadius, samples: np.ndarray, /) -> Figure:
    """Draw the exact density over the histogram of draws."""
    figure = _figure(5.2, 3.4)
    plot_radius_law(law, samples=samples, ax=figure.subplots())
    return figure


def families(samples: np.ndarray, fits: Sequence[RadiusFit], /) -> Figure:
    """Draw fitted laws over the draws, and how far each is from them."""
    figure = _figure(8.0, 3.4)
    left, right = figure.subplots(1, 2)
    of = {fit.name: fit for fit in fits}
    left.hist(samples, bins="auto", density=True, color=COLORS["sky"], alpha=0.45, label=f"{len(samples):,} draws")
    r = np.linspace(samples.min() * 0.9, samples.max(), 300)
    left.plot(r, of["exact"].law.pdf(r), color=COLORS["vermilion"], label="exact law")
    left.plot(r, of["gumbel"].law.pdf(r), ":", color=COLORS["green"], label="Gumbel")
    count = np.arange(0, 17)
    stems = of["poisson"].law.pmf(count)
    left.vlines(count, 0, stems, color=COLORS["black"], lw=1.0)
    left.plot(count, stems, "o", ms=3.5, color=COLORS["black"], label=f"Poisson, mean {samples.mean():.2f}")
    left.set(xlabel="spectral radius ρ", ylabel="density (Poisson: probability)", xlim=(0, 16), ylim=(0, None))
    left.legend(loc="upper right")
    place = np.arange(len(fits))[::-1]
    right.plot([fit.distance for fit in fits], place, "o", ms=5, color=COLORS["blue"])
    critical = float(stats.kstwo.isf(0.01, len(samples)))
    right.axvline(critical, color=COLORS["grey"], ls="--", lw=1.0)
    right.text(critical * 1.1, place[0] + 0.35, "too far (1 %) →", color=COLORS["grey"], fontsize=8)
    right.set(xlabel="Kolmogorov distance to the draws", xscale="log", ylim=(-0.6, len(fits) - 0.3))
    right.set_yticks(place, [NAMES.get(fit.name, fit.name) for fit in fits])
    return figure


def slope(stds: np.ndarray, means: np.ndarray, halves: np.ndarray, exact: float, /) -> Figure:
    """Draw mean radius against std."""
    figure = _figure(4.8, 3.4)
    ax = figure.subplots()
    line = np.array([0.0, stds.max()])
    ax.plot(line, exact * line, color=COLORS["vermilion"], label=f"exact: {exact:.4f} std")
    ax.plot(line, 3 * line, "--", color=COLORS["grey"], label="“about 3”")
    ax.errorbar(stds, means, halves, fmt="o", ms=3, lw=1, color=COLORS["blue"], label="sampled means")
    ax.set(
        xlabel="standard deviation of an entry, std", ylabel="mean spectral radius E[ρ]", xlim=(0, None), ylim=(0, None)
    )
    ax.legend(loc="upper left")
    return figure


def readings(coefficient: float, /) -> Figure:
    """Draw the mean radius under the two readings of v."""
    figure = _figure(4.8, 3.2)
    ax = figure.subplots()
    v = np.linspace(0, 10, 300)
    ax.plot(v, coefficient * v, color=COLORS["blue"], label="v is the standard deviation (what the code does)")
    ax.plot(v, coefficient * v**0.5, "--", color=COLORS["vermilion"], label="v is the variance (what the text says)")
    ax.set(xlabel="v", ylabel="mean spectral radius E[ρ]", xlim=(0, 10), ylim=(0, None))
    ax.legend(loc="upper left")
    return figure


def growth(sizes: Sequence[Normalized], /) -> Figure:
    """Draw mean radius over std against the size."""
    figure = _figure(4.8, 3.4)
    ax = figure.subplots()
    n = np.array([size.n for size in sizes])
    ax.plot(n, n**0.5, "--", color=COLORS["grey"], label="√n")
    ax.plot(n, [size.mean * size.n**0.5 for size in sizes], color=COLORS["vermilion"], label="exact")
    sampled = np.array([size.sampled for size in sizes]) * n[:, None] ** 0.5
    ax.errorbar(n, sampled[:, 0], sampled[:, 1], fmt="o", ms=3.5, lw=1, color=COLORS["blue"], label="sampled, 95 %")
    ax.set(xlabel="size n", ylabel="E[ρ] / std", xscale="log", yscale="log")
    ax.legend(loc="upper left")
    return figure


def normalized(sizes: Sequence[Normalized], /) -> Figure:
    """Draw the law of ρ/√n against the size."""
    figure = _figure(8.0, 3.3)
    left, right = figure.subplots(1, 2)
    n = np.array([size.n for size in sizes])
    left.fill_between(n, [s.low for s in sizes], [s.high for s in sizes], color=COLORS["sky"], alpha=0.35, lw=0,
                      label="middle 90 % of matrices")  # fmt: skip
    left.axhline(1.0, color=COLORS["grey"], lw=0.9)
    left.plot(n, [size.mean for size in sizes], color=COLORS["vermilion"], label="exact mean")
    sampled = np.array([size.sampled for size in sizes])
    left.errorbar(
        n, sampled[:, 0], sampled[:, 1], fmt="o", ms=3, lw=1, color=COLORS["blue"], label="sampled mean, 95 %"
    )
    left.set(xlabel="size n", ylabel="ρ / √n", xscale="log")
    left.legend(loc="upper right")
    right.plot(n, [size.near for size in sizes], "o-", ms=3, color=COLORS["blue"], label="within 5 % of 1")
    right.plot(n, [size.above for size in sizes], "s--", ms=3, color=COLORS["vermilion"], label="above 1")
    right.set(xlabel="size n", ylabel="share of matrices", xscale="log", ylim=(0, 1.02))
    right.legend(loc="lower right")
    return figure
