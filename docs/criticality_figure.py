"""The figure of ``theory/criticality.md``, from the library's functions; ``conf.py`` calls it at every build."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from unitcircle.ensembles import SpectralRadius, critical_gain, std_for_radius
from unitcircle.report import save_figure, style

SIZES = (16, 32, 64, 128, 256, 512, 1024)


def gumbel(n: int, q: float) -> float:
    """Return a quantile of Rider and Sinclair's limit of ρ for real entries of std 1/√n; NaN where it has none."""
    gamma = np.log(n) - 2 * np.log(np.log(n)) - np.log(2 * np.pi)
    if gamma <= 0:
        return float("nan")
    return 1 + np.sqrt(gamma / (4 * n)) - np.log(-2 * np.log(q)) / np.sqrt(4 * n * gamma)


def write(path: Path) -> None:
    """Write the figure: the critical gain against the input, and the 99 % quantile of ρ against the size."""
    with style():
        figure = Figure(figsize=(8.4, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2)
        stds = np.linspace(0, 3, 31)
        for name in ("tanh", "gelu", "relu"):
            left.plot(stds, [critical_gain(activation=name, input_std=float(s)) for s in stds], label=name)
        left.axhline(0.95, ls=":", lw=0.8, color="grey")
        left.annotate("0.95", (3, 0.96), ha="right", fontsize=7, color="grey")
        left.set(xlabel="standard deviation of U x", ylabel="critical gain", ylim=(0.8, 2.9))
        left.set_title("The edge of chaos depends on the input")
        left.legend()
        right.plot(SIZES, [1 / (std_for_radius(n, at=0.99) * n**0.5) for n in SIZES], "o-", ms=3, label="exact, 99 %")
        right.plot(SIZES, [gumbel(n, 0.99) for n in SIZES], "s--", ms=3, label="limit for n → ∞, 99 %")
        right.plot(SIZES, [SpectralRadius(n, n**-0.5).median() for n in SIZES], "^-.", ms=3, label="exact, median")
        right.axhline(1, ls=":", lw=0.8, color="grey")
        right.set(xlabel="units n", ylabel="ρ at std 1/√n", xscale="log", ylim=(0.95, 1.5))
        right.set_title("Spectral radius of a Gaussian weight")
        right.legend()
    save_figure(figure, path)
