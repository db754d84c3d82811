"""Figures of powers of matrices."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from unitcircle.report import COLORS, CYCLE, plot_pseudospectrum
from unitcircle.spectra import eigenvalues, kreiss_constant, matrix_power, power_norms, spectral_radius
from unitcircle_reproduction.powers._matrices import jordan

TURN = np.array([[0.0, -1.0], [1.0, 1.0]])
OBLIQUE = np.array([[0.9, 1.0], [0.0, 0.5]])
LATE = 1000


def _figure(width: float, height: float) -> Figure:
    return Figure(figsize=(width, height), layout="constrained")


def kinds() -> Figure:
    """Draw the norms of the powers of one matrix of every kind."""
    figure = _figure(6.4, 3.6)
    ax = figure.subplots()
    matrices = {
        "explodes: ρ = 1.01": (np.array([[1.01, 1.0], [0.0, 0.5]]), "vermilion", "-"),
        "grows like t²: J₃(1)": (jordan(1.0, 3), "purple", "--"),
        "grows like t: J₂(1)": (jordan(1.0, 2), "orange", "-."),
        "bounded: rotation by 90°": (np.array([[0.0, -1.0], [1.0, 0.0]]), "green", "-"),
        "converges: 1 and 0.5": (np.array([[1.0, 3.0], [0.0, 0.5]]), "sky", "--"),
        "vanishes: 0.99, after a rise": (np.array([[0.99, 1.0], [0.0, 0.98]]), "blue", "-"),
    }
    t = np.arange(1, LATE + 1)
    for name, (A, color, dash) in matrices.items():
        ax.plot(t, np.exp(power_norms(A, LATE)[1:]), dash, color=COLORS[color], label=name)
    ax.set(xlabel="step t", ylabel="‖Aᵗ‖₂", xscale="log", yscale="log", xlim=(1, LATE), ylim=(1e-3, 1e6))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def stretching() -> Figure:
    """Draw the unit circle mapped by powers of four matrices."""
    figure = _figure(8.4, 2.6)
    examples = {
        "symmetric: 1.2 and 0.7": np.array([[0.95, 0.25], [0.25, 0.95]]),
        "oblique: 0.9 and 0.5": OBLIQUE,
        "defective: λ = 1": np.array([[1.0, 0.5], [0.0, 1.0]]),
        "rotation by 60°, oblique": TURN,
    }
    angle = np.linspace(0, 2 * np.pi, 361)
    circle = np.array([np.cos(angle), np.sin(angle)])
    for ax, (name, A) in zip(figure.subplots(1, 4), examples.items(), strict=True):
        images = [matrix_power(A, t, method="squaring") @ circle for t in (0, 1, 2, 4)]
        reach = 1.1 * max(1.0, *(np.abs(image).max() for image in images))
        for index, image in enumerate(images):
            ax.plot(*image, color=COLORS["blue"], alpha=0.25 + 0.25 * index, lw=1.0 + 0.2 * index)
        values, V = np.linalg.eig(A)
        if np.isrealobj(values):
            for v in V.T[: 1 if abs(np.linalg.det(V)) < 1e-6 else 2]:
                ax.plot(*(np.outer(v, [-reach, reach]) * 2), "--", color=COLORS["vermilion"], lw=0.9)
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach), title=name, xlabel="x₁")
        ax.set_aspect("equal")
        ax.tick_params(labelsize=7)
        ax.title.set_fontsize(8.5)
    figure.axes[0].set_ylabel("x₂")
    return figure


def nilpotent() -> Figure:
    """Draw the norms of powers of Jordan blocks at λ = 1 and λ = 0.95."""
    figure = _figure(8.0, 3.3)
    left, right = figure.subplots(1, 2)
    t = np.arange(1, 10_001)
    for size, color in zip(range(1, 6), CYCLE, strict=False):
        norms = np.exp(power_norms(jordan(1.0, size), len(t))[1:])
        left.plot(t, norms, color=color, label=f"k = {size}")
        slope = norms[-1] * (t / t[-1]) ** (size - 1)
        left.plot(t[t >= 10], slope[t >= 10], "--", color=COLORS["black"], lw=0.7)
        right.plot(np.arange(401), np.exp(power_norms(jordan(0.95, size), 400)), color=color, label=f"k = {size}")
    right.plot(np.arange(401), 0.95 ** np.arange(401), "--", color=COLORS["black"], lw=0.9)
    left.set(xlabel="step t", ylabel="‖J(1)ᵗ‖₂", xscale="log", yscale="log", xlim=(1, len(t)), ylim=(0.5, None))
    left.legend(loc="upper left")
    right.set(xlabel="step t", ylabel="‖J(0.95)ᵗ‖₂", yscale="log", xlim=(0, 400), ylim=(1e-4, 1e5))
    right.legend(loc="upper right", ncols=2)
    return figure


def transients(matrices: Mapping[str, np.ndarray], /, *, steps: int) -> Figure:
    """Draw norms of powers with what a number would do, and the Kreiss constants."""
    figure = _figure(7.2, 3.6)
    ax = figure.subplots()
    t = np.arange(steps + 1)
    for (name, A), color in zip(matrices.items(), CYCLE, strict=False):
        ax.plot(t, np.exp(power_norms(A, steps)), color=color, label=name)
        ax.plot(t, float(spectral_radius(A)) ** t, ":", color=color, lw=0.9)
        ax.plot([steps * 0.985, steps * 1.015], [float(kreiss_constant(A))] * 2, color=color, lw=2.5, clip_on=False)
    ax.axhline(1.0, color=COLORS["grey"], lw=0.8)
    ax.set(xlabel="step t", ylabel="‖Aᵗ‖₂", yscale="log", xlim=(0, steps), ylim=(1e-3, None))
    ax.legend(loc="center left", bbox_to_anchor=(1.03, 0.5))
    return figure


def pseudospectra(A: np.ndarray, /) -> Figure:
    """Draw the pseudospectrum of a matrix and that of the normal matrix with the same eigenvalues."""
    figure = _figure(7.6, 3.8)
    for ax, matrix, name in zip(
        figure.subplots(1, 2), (A, np.diag(eigenvalues(A))), ("Grcar 32", "normal, same eigenvalues"), strict=True
    ):
        plot_pseudospectrum(matrix, points=70, ax=ax)
        ax.set(title=name, xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    return figure
