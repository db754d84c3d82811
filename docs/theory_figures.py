"""The figures of the pages in ``theory/``, from the library's functions; ``conf.py`` calls ``write`` at every build."""

import math
import runpy
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from unitcircle.ensembles import MeanField, SpectralRadius, critical_gain, std_for_radius
from unitcircle.recurrence import LINEAR_FAMILIES, from_diagonal, step
from unitcircle.report import save_figure, style

SIZES = (16, 32, 64, 128, 256, 512, 1024)
GAIN, INPUT_STD, DRAWS = 1.5, 0.01, 12
CRITICALITY = runpy.run_path(str(Path(__file__).parent.parent / "examples" / "criticality.py"))
"""The simulation of the page's table."""


def write(folder: Path) -> None:
    """Write one figure a page."""
    pages = {
        "criticality": (3.6, edge_of_chaos, where_it_breaks),
        "long-recurrences": (3.6, quantiles, explosions),
        "eigenvalue-range": (5.0, ranges, separation),
    }
    for name, (height, *panels) in pages.items():
        with style():
            figure = Figure(figsize=(8.4, height), layout="constrained")
            for axes, panel in zip(figure.subplots(1, 2), panels, strict=True):
                panel(axes)
        save_figure(figure, folder / f"{name}.svg")


def edge_of_chaos(axes: Axes) -> None:
    stds = np.linspace(0, 3, 31)
    for name in ("tanh", "gelu", "relu"):
        axes.plot(stds, [critical_gain(activation=name, input_std=float(s)) for s in stds], label=name)
    axes.axhline(0.95, ls=":", lw=0.8, color="grey")
    axes.annotate("0.95", (3, 0.96), ha="right", fontsize=7, color="grey")
    axes.set(xlabel="standard deviation of U x", ylabel="critical gain", ylim=(0.8, 2.9))
    axes.set_title("The edge of chaos depends on the input")
    axes.legend()


def where_it_breaks(axes: Axes) -> None:
    sizes = (8, 16, 32, 64, 128, 256)
    weights = {
        "haar": "Haar (normal)",
        "gaussian": "Gaussian (not normal)",
        "uniform": "uniform angles (localised)",
        "blocks": "rotations side by side (localised)",
    }
    for (weight, name), marker in zip(weights.items(), "osD^", strict=True):
        setting = CRITICALITY["Setting"]("tanh", GAIN, INPUT_STD, weight=weight)
        values = np.array([CRITICALITY["exponents"](setting, n, DRAWS, 0) for n in sizes])
        error = values.std(1, ddof=1) / DRAWS**0.5
        axes.errorbar(sizes, values.mean(1), error, marker=marker, ms=3, lw=1, capsize=2, label=name)
    theory = MeanField(gain=GAIN, input_std=INPUT_STD).exponent
    axes.axhline(theory, ls="--", lw=1, color="grey", label="mean field")
    axes.set(xlabel="units n", ylabel="leading exponent (nats per step)", xscale="log")
    axes.set_xticks(sizes, [str(n) for n in sizes])
    axes.minorticks_off()
    axes.set_title(f"Where it breaks (tanh, gain {GAIN})")
    axes.legend(fontsize=7)


def gumbel(n: int, q: float) -> float:
    """Return a quantile of Rider and Sinclair's limit of ρ for real entries of std 1/√n; NaN where it has none."""
    gamma = np.log(n) - 2 * np.log(np.log(n)) - np.log(2 * np.pi)
    if gamma <= 0:
        return float("nan")
    return 1 + np.sqrt(gamma / (4 * n)) - np.log(-2 * np.log(q)) / np.sqrt(4 * n * gamma)


def quantiles(axes: Axes) -> None:
    axes.plot(SIZES, [1 / (std_for_radius(n, at=0.99) * n**0.5) for n in SIZES], "o-", ms=3, label="exact, 99 %")
    axes.plot(SIZES, [gumbel(n, 0.99) for n in SIZES], "s--", ms=3, label="limit for n → ∞, 99 %")
    axes.plot(SIZES, [SpectralRadius(n, n**-0.5).median() for n in SIZES], "^-.", ms=3, label="exact, median")
    axes.axhline(1, ls=":", lw=0.8, color="grey")
    axes.set(xlabel="units n", ylabel="ρ at std 1/√n", xscale="log", ylim=(0.95, 1.5))
    axes.set_title("Spectral radius of a Gaussian weight")
    axes.legend()


def explosions(axes: Axes) -> None:
    n, bound = 256, 10.0
    lengths = np.unique(np.geomspace(30, 3000, 13).round().astype(int))
    stds = {
        "1/√n": lambda _: n**-0.5,
        "exact, 99 %": lambda steps: std_for_radius(n, radius=bound, at=0.99, steps=steps),
        "limit for n → ∞, 99 %": lambda steps: bound ** (1 / steps) / gumbel(n, 0.99) * n**-0.5,
    }
    for (name, std), mark in zip(stds.items(), ("^-.", "o-", "s--"), strict=True):
        logs = [float(SpectralRadius(n, std(int(t))).logsf(bound ** (1 / t))) / math.log(10) for t in lengths]
        axes.plot(lengths, logs, mark, ms=3, label=name)
    axes.set(xlabel="steps T", ylabel="log₁₀ P(ρᵀ > 10)", xscale="log", ylim=(-12, 1))
    axes.annotate("std 1/(2√n): below −90", (lengths[0], -11.5), fontsize=7, color="grey")
    axes.set_title(f"How often a product explodes (n = {n})")
    axes.legend(loc="center right")


def ranges(axes: Axes) -> None:
    families = [(f.range, f.rotates, f.name) for f in LINEAR_FAMILIES.values() if f.range is not None]
    families.sort(key=lambda family: (family[0][0], *family[1:]))
    for row, (ends, rotates, _) in enumerate(families):
        axes.plot(ends, [row, row], lw=4, color="C1" if rotates else "C0", solid_capstyle="butt")
    axes.set_yticks(range(len(families)), [name for *_, name in families], fontsize=7)
    axes.axvline(0, ls=":", lw=0.8, color="grey")
    axes.plot([], [], lw=4, color="C0", label="real")
    axes.plot([], [], lw=4, color="C1", label="complex")
    axes.set(xlabel="eigenvalues of the transition, over all inputs", xlim=(-1.05, 1.05))
    axes.set_title("What the families can reach")
    axes.legend(loc="center left", fontsize=7)


def separation(axes: Axes) -> None:
    """Draw how far apart the states of different counts are, from the size of the states, after k ones."""
    steps = 3000
    third = np.exp(2j * np.pi / 3)
    rows = (
        ("λ = 0.9, parity", 0.9, 0.1, 2),
        ("λ = 0.99, parity", 0.99, 0.01, 2),
        ("λ = 1, parity by counting", 1.0, 1.0, 2),
        ("λ = −1, parity", -1.0, 0.0, 2),
        ("λ = exp(2πi/3), modulo 3", third, 0.0, 3),
    )
    for name, eigenvalue, added, modulus in rows:
        layer = from_diagonal([eigenvalue], B=[[added]])
        states = [np.array([0.0 if added else 1.0])]
        for _ in range(steps):
            states.append(step(layer, [1.0], states[-1]))
        h = np.ravel(states)
        size = np.maximum.accumulate(np.abs(h))
        k = np.unique(np.geomspace(modulus, steps - modulus, 60).astype(int))
        gaps = [min(abs(h[j] - h[j + d]) for d in range(1, modulus)) / size[j] for j in k]
        axes.plot(k, np.maximum(gaps, 1e-12), label=name)
    axes.axhline(2.0**-24, ls="--", lw=0.8, color="grey")
    axes.annotate("float32", (2, 2.0**-24 * 0.3), fontsize=7, color="grey")
    axes.set(xlabel="ones read", ylabel="distance of the states to tell apart", xscale="log", yscale="log")
    axes.set_ylim(1e-10, 20)
    axes.set_title("Which states still count")
    axes.legend(fontsize=7, loc="lower left", bbox_to_anchor=(0, 0.27))
