"""The law of the spectral radius of a Gaussian weight, exact and sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle._array import reals
from unitcircle.errors import NotFiniteError, ShapeError
from unitcircle.report._style import COLORS, axes_or_new, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from rich.console import Group

    from unitcircle.ensembles import SpectralRadius

PROBABILITIES = (0.01, 0.05, 0.5, 0.95, 0.99)
BINS = 24
BAR = 34
GROWTH = (2, 10, 100, 1000)
POINTS = 64
"""Of the drawn density, a smooth bump: each costs a determinant."""


@dataclass(frozen=True)
class RadiusSummary:
    """The law of the spectral radius of an n × n weight with entries N(0, std²), in numbers.

    Attributes
    ----------
    n, std
        Size of the weight and standard deviation of its entries.
    mean, deviation
        Mean and standard deviation of ρ.
    quantiles
        Probability → quantile of ρ.
    above_one
        P(ρ > 1).
    growth
        Size n → E[ρ] for the same std.
    std_for_mean, std_for_99
        The std for which E[ρ] = 1, and for which P(ρ ≤ 1) = 0.99.
    naive_std, naive_mean
        1/√n, and E[ρ] under it.
    sampled_mean, sampled_error
        Mean of the draws and its standard error; None without draws.
    ks_p_value
        Kolmogorov-Smirnov p-value of the draws against the exact law; None without draws.
    """

    n: int
    std: float
    mean: float
    deviation: float
    quantiles: dict[float, float]
    above_one: float
    growth: dict[int, float]
    std_for_mean: float
    std_for_99: float
    naive_std: float
    naive_mean: float
    sampled_mean: float | None = None
    sampled_error: float | None = None
    ks_p_value: float | None = None


def radius_summary(law: SpectralRadius, /, *, samples: np.ndarray | None = None) -> RadiusSummary:
    """Summarize the law of the spectral radius, and draws of it, in numbers.

    Parameters
    ----------
    law
        The exact law.
    samples
        Draws of ρ ``(N,)``, or None.

    Returns
    -------
    RadiusSummary
        The numbers.

    Examples
    --------
    >>> from unitcircle.ensembles import SpectralRadius
    >>> summary = radius_summary(SpectralRadius(4, std=0.5))
    >>> round(summary.mean, 3), round(summary.above_one, 3)
    (1.021, 0.487)
    """
    from scipy import stats

    from unitcircle.ensembles import SpectralRadius, std_for_radius

    statistics: dict[str, float] = {}
    samples = _draws(samples)
    if samples is not None and len(samples) > 1:
        statistics = {
            "sampled_mean": float(samples.mean()),
            "sampled_error": float(samples.std(ddof=1) / np.sqrt(len(samples))),
            "ks_p_value": float(stats.kstest(samples, law.cdf).pvalue),
        }
    mean = float(law.mean())
    return RadiusSummary(
        n=law.n,
        std=law.entry_std,
        mean=mean,
        deviation=float(law.std()),
        quantiles={p: float(law.ppf(p)) for p in PROBABILITIES},
        above_one=float(law.sf(1.0)),
        growth={size: float(SpectralRadius(size, law.entry_std).mean()) for size in sorted({*GROWTH, law.n})},
        std_for_mean=std_for_radius(law.n),
        std_for_99=std_for_radius(law.n, at=0.99),
        naive_std=law.n**-0.5,
        naive_mean=mean / (law.entry_std * law.n**0.5),
        **statistics,
    )


def _draws(samples: Any) -> np.ndarray | None:
    """Return draws of ρ as doubles, or refuse what is none."""
    if samples is None:
        return None
    values = reals(samples, argument="samples")
    if values.ndim != 1 or not len(values):
        raise ShapeError("samples", "must be draws of shape (N,), at least one", f"shape {values.shape}")
    if not (np.isfinite(values).all() and values.min() >= 0):
        raise NotFiniteError("samples", "must be finite and not negative", "an entry that is not")
    return values


def plot_radius_law(law: SpectralRadius, /, *, samples: np.ndarray | None = None, ax: Axes | None = None) -> Axes:
    """Draw the exact density of the spectral radius over the histogram of draws.

    Parameters
    ----------
    law
        The exact law.
    samples
        Draws of ρ ``(N,)``, or None.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from unitcircle.ensembles import SpectralRadius
    >>> ax = plot_radius_law(SpectralRadius(4, std=0.5), ax=Figure().subplots())
    >>> ax.get_xlabel()
    'spectral radius ρ'
    """
    samples = _draws(samples)
    ax = axes_or_new(ax)
    r = np.linspace(float(law.ppf(1e-4)), float(law.isf(1e-4)), POINTS)
    if samples is not None:
        label = f"{len(samples):,} draws"
        ax.hist(samples, bins="auto", density=True, color=COLORS["sky"], alpha=0.55, label=label)
    ax.plot(r, law.pdf(r), color=COLORS["vermilion"], label="exact law")
    mean = float(law.mean())
    ax.axvline(mean, color=COLORS["black"], lw=0.9, ls="--", label=f"mean {mean:.4g}")
    naive = law.entry_std * law.n**0.5
    ax.axvline(naive, color=COLORS["grey"], lw=0.9, ls=":", label=f"std·√n = {naive:.4g}")
    ax.set(xlabel="spectral radius ρ", ylabel="density", title=f"n = {law.n}, entries N(0, {law.entry_std:g}²)")
    ax.set_ylim(bottom=0)
    ax.legend(loc="upper right")
    return ax


def radius_figure(law: SpectralRadius, /, *, samples: np.ndarray | None = None) -> Figure:
    """Return :func:`plot_radius_law` as a figure in our style, without a window.

    Returns
    -------
    matplotlib.figure.Figure
        The figure.

    Examples
    --------
    >>> from unitcircle.ensembles import SpectralRadius
    >>> len(radius_figure(SpectralRadius(4, std=0.5)).axes)
    1
    """
    from matplotlib.figure import Figure

    with style():
        figure = Figure(figsize=(5.6, 4.0), layout="constrained")
        plot_radius_law(law, samples=samples, ax=figure.subplots())
    return figure


def radius_view(summary: RadiusSummary, law: SpectralRadius, /, *, samples: np.ndarray | None = None) -> Group:
    """Return the law for the terminal: numbers, and a histogram of the draws with the exact law.

    Parameters
    ----------
    summary
        Result of :func:`radius_summary`.
    law
        The exact law.
    samples
        Draws of ρ ``(N,)``, or None.

    Returns
    -------
    rich.console.Group
        Readable at 80 columns.

    Examples
    --------
    >>> from rich.console import Console
    >>> from unitcircle.ensembles import SpectralRadius
    >>> law = SpectralRadius(16, std=0.25)
    >>> Console(width=80).print(radius_view(radius_summary(law), law))  # doctest: +ELLIPSIS
    spectral radius ρ of a 16 × 16 weight, entries N(0, 0.25²)
    ...
      P(ρ > 1)           ...
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    title = f"spectral radius ρ of a {summary.n} × {summary.n} weight, entries N(0, {summary.std:g}²)"
    table = Table(box=box.SIMPLE, show_header=False, pad_edge=False, title=title, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("mean, exact", f"{summary.mean:.6f}")
    if summary.sampled_mean is not None:
        table.add_row("mean, sampled", f"{summary.sampled_mean:.6f} ± {summary.sampled_error:.6f}")
        table.add_row("Kolmogorov-Smirnov", f"p = {summary.ks_p_value:.3f} (draws against the exact law)")
    table.add_row("standard deviation", f"{summary.deviation:.6f}")
    quantiles = ", ".join(f"{100 * p:g} %: {value:.4f}" for p, value in summary.quantiles.items())
    table.add_row("quantiles", quantiles)
    table.add_row("P(ρ > 1)", f"{summary.above_one:.6g}")
    growth = ", ".join(f"n = {n}: {mean:.4g}" for n, mean in summary.growth.items())
    table.add_row("E[ρ] grows with n", growth)
    advice = f"{summary.std_for_mean:.6f} for E[ρ] = 1, {summary.std_for_99:.6f} for P(ρ ≤ 1) = 99 %"
    table.add_row(
        "std to use instead", f"{advice} (1/√n = {summary.naive_std:.6f} gives E[ρ] = {summary.naive_mean:.4f})"
    )
    parts: list[Any] = [table]
    if (samples := _draws(samples)) is not None:
        parts += [Text(line) for line in _bars(law, samples)]
    return Group(*parts)


def _bars(law: SpectralRadius, samples: np.ndarray) -> list[str]:
    low, high = float(law.ppf(1e-3)), float(law.ppf(1 - 1e-3))
    edges = np.linspace(low, high, BINS + 1)
    counts = np.histogram(samples, edges)[0]
    expected = len(samples) * np.diff(law.cdf(edges))
    scale = BAR / max(counts.max(), expected.max())
    lines = [f"{'ρ':>8}  {'draws':>7} {'exact':>8}  █ draws, ┃ exact law"]
    for left, right, count, exact in zip(edges, edges[1:], counts, expected, strict=False):
        bar = list("█" * round(count * scale) + " " * (BAR + 1 - round(count * scale)))
        bar[min(round(exact * scale), BAR)] = "┃"
        lines.append(f"{(left + right) / 2:8.3f}  {count:7d} {exact:8.1f}  {''.join(bar).rstrip()}")
    return lines
