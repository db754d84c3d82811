"""Figures of one weight, or of a few side by side, each a function that takes ``ax``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from unitcircle import _array
from unitcircle._printable import literal
from unitcircle._progress import Progress
from unitcircle.errors import ArgumentError, NotFiniteError
from unitcircle.report._style import COLORS, CYCLE, DASHES, axes_or_new
from unitcircle.spectra import (
    Pseudospectrum,
    Spectrum,
    eigenvalues,
    matrix_power,
    pseudospectrum,
    spectrum,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


LARGEST = 1e300
"""Entries above it cannot be drawn: the limits of an axis would overflow."""


def by_name(weights: Any, /) -> dict[str, Any]:
    """Return the weights of a figure by name, each one matrix (n, n) or a diagonal (n,) that can be drawn."""
    if isinstance(weights, Mapping) and not weights:
        raise ArgumentError("weights", "must hold at least one weight", "an empty mapping")
    named = dict(cast("Mapping[Any, Any]", weights)) if isinstance(weights, Mapping) else {"": weights}
    return {str(name): _drawable(W) for name, W in named.items()}


def _drawable(W: Any) -> Any:
    if isinstance(W, Spectrum):
        _drawable(W.weight.value)
        return W
    value = _array.weight(W, axes=1, square=False).value if _array.to_numpy(W).ndim == 1 else _array.one_weight(W).value
    if np.abs(value).max() > LARGEST:
        raise NotFiniteError("W", f"must be at most {LARGEST:g} to be drawn", f"{np.abs(value).max():.3g}")
    return value


def _eigenvalues(W: np.ndarray | Spectrum) -> Any:
    if isinstance(W, Spectrum):
        return _array.to_numpy(W.eigenvalues)
    return W if W.ndim == 1 else eigenvalues(W)


def _singular_values(W: np.ndarray | Spectrum) -> np.ndarray:
    if isinstance(W, Spectrum):
        return _array.to_numpy(W.singular_values)
    return np.sort(np.abs(W))[::-1] if W.ndim == 1 else np.asarray(spectrum(W).singular_values)


def _log_norms(W: np.ndarray | Spectrum, steps: int) -> np.ndarray:
    if isinstance(W, Spectrum) or W.ndim > 1:
        known = W if isinstance(W, Spectrum) else spectrum(W)
        return np.array(_array.to_numpy(known.drawn_power_norms(steps)))
    with np.errstate(divide="ignore"):
        rate = np.log(np.abs(W).max())
    return np.concatenate([[0.0], rate * np.arange(1, steps + 1)])


def plot_eigenvalues(W: Any, /, *, ax: Axes | None = None, title: str = "") -> Axes:
    """Draw the eigenvalues of a weight in the complex plane, with the unit circle.

    Parameters
    ----------
    W
        Weight ``(n, n)`` of any array library, or the diagonal ``(n,)`` of a diagonal one, or a mapping from names. A
        :class:`unitcircle.Spectrum` stands for its weight, and what it holds is not computed again.
    ax
        Axes to draw in; new ones by default.
    title
        Title; by default the spectral radius.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_eigenvalues(np.diag([0.5, -0.5]), ax=Figure().subplots())
    >>> ax.get_xlabel()
    'Re λ'
    """
    ax = axes_or_new(ax)
    angle = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.9, zorder=1)
    weights_by_name = by_name(W)
    reach = 1.0
    radius = 0.0
    for (name, weight), color in zip(
        weights_by_name.items(), CYCLE * (1 + len(weights_by_name) // len(CYCLE)), strict=False
    ):
        values = _eigenvalues(weight)
        radius = float(np.abs(values).max())
        reach = max(reach, radius)
        size = float(np.clip(600 / values.size, 6, 30))
        ax.scatter(
            values.real, values.imag, s=size, color=color, alpha=0.75, lw=0, label=literal(name) or None, zorder=2
        )
    limit = 1.12 * reach
    ax.set(xlim=(-limit, limit), ylim=(-limit, limit), xlabel="Re λ", ylabel="Im λ")
    ax.locator_params(nbins=6)
    ax.set_aspect("equal")
    ax.set_title(title or (f"spectral radius ρ = {radius:.3g}" if len(weights_by_name) == 1 else "eigenvalues"))
    if len(weights_by_name) > 1:
        ax.legend(loc="upper right")
    return ax


def plot_power_norms(weights: Any, /, *, steps: int = 64, ax: Axes | None = None) -> Axes:
    """Draw how the spectral norm of the powers Wᵗ changes with t, on a logarithmic axis.

    Parameters
    ----------
    weights
        A weight ``(n, n)`` or its spectrum, or the diagonal ``(n,)`` of a diagonal one, or a mapping from names.
    steps
        Largest power T.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_power_norms(np.diag([0.5, -0.5]), steps=8, ax=Figure().subplots())
    >>> ax.get_ylabel()
    'log₁₀ ‖Wᵗ‖₂'
    """
    ax = axes_or_new(ax)
    weights_by_name = by_name(weights)
    t = np.arange(steps + 1)
    ax.axhline(0.0, color=COLORS["grey"], lw=0.9, zorder=1)
    for k, (name, weight) in enumerate(weights_by_name.items()):
        logs = _log_norms(weight, steps) / np.log(10)
        logs[np.isneginf(logs)] = np.nan  # exactly zero: the curve ends
        dash = DASHES[k // len(CYCLE) % len(DASHES)]
        ax.plot(t, logs, dash, color=CYCLE[k % len(CYCLE)], label=literal(name) or None, zorder=2)
    ax.set(xlabel="step t", ylabel="log₁₀ ‖Wᵗ‖₂", xlim=(0, steps), title="what happens to a signal fed back t times")
    if len(weights_by_name) > 1:
        ax.legend(loc="best")
    return ax


FRAMES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
"""Powers of the film strip."""


def plot_powers(W: Any, /, *, steps: int = 64, ax: Axes | None = None) -> Axes:
    """Draw Wᵗ for t = 1, 2, 4 and so on, side by side, all at the scale of W: what vanishes fades.

    Parameters
    ----------
    W
        Weight ``(n, n)`` of any array library.
    steps
        Largest power T.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_powers(np.diag([0.5, -0.5]), steps=8, ax=Figure().subplots())
    >>> [text.get_text() for text in ax.texts]
    ['t = 1', 't = 2', 't = 4', 't = 8']
    """
    array = np.asarray(_array.one_weight(_drawable(W)).value)
    ax = axes_or_new(ax)
    n = array.shape[-1]
    powers = [t for t in FRAMES if t <= steps] or [1]
    reach = float(np.abs(array).max()) or 1.0
    frames = [np.clip(np.real(matrix_power(array, t)), -reach, reach) for t in powers]
    # In rows of three or four, with room for a line of text between them.
    columns = int(np.ceil(np.sqrt(len(frames))))
    gap = max(1, round(0.22 * n))
    rows = -(-len(frames) // columns)
    sheet = np.full((rows * (n + gap), columns * (n + gap)), np.nan)
    for k, frame in enumerate(frames):
        top, left = k // columns * (n + gap), k % columns * (n + gap)
        sheet[top : top + n, left : left + n] = frame
        ax.text(left + n / 2, top - gap / 3, f"t = {powers[k]}", ha="center", va="bottom", fontsize=8)
    image = ax.imshow(sheet, cmap="RdBu_r", vmin=-reach, vmax=reach, interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, shrink=0.8, label="entry of the power")
    ax.set(xticks=[], yticks=[], ylim=(sheet.shape[0], -1.2 * gap), title="powers Wᵗ, at the scale of W")
    ax.set_frame_on(False)
    return ax


def plot_singular_values(weights: Any, /, *, ax: Axes | None = None) -> Axes:
    """Draw the singular values of a weight in decreasing order.

    Parameters
    ----------
    weights
        A weight ``(n, n)`` or its spectrum, or the diagonal ``(n,)`` of a diagonal one, or a mapping from names.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_singular_values(np.diag([0.5, -0.5]), ax=Figure().subplots())
    >>> ax.get_ylabel()
    'singular value σ'
    """
    ax = axes_or_new(ax)
    weights_by_name = by_name(weights)
    ax.axhline(1.0, color=COLORS["grey"], lw=0.9, zorder=1)
    largest = 1.0
    for k, (name, weight) in enumerate(weights_by_name.items()):
        sigma = _singular_values(weight)
        largest = max(largest, *sigma)
        share = (np.arange(sigma.size) + 0.5) / sigma.size
        dash = DASHES[k // len(CYCLE) % len(DASHES)]
        ax.plot(share, sigma, dash, color=CYCLE[k % len(CYCLE)], label=literal(name) or None, zorder=2)
    ax.set(xlabel="share of the directions", ylabel="singular value σ", xlim=(0, 1), title="stretch in each direction")
    ax.set_ylim(0, 1.05 * largest)
    if len(weights_by_name) > 1:
        ax.legend(loc="best")
    return ax


def plot_pseudospectrum(W: Any, /, *, points: int = 80, ax: Axes | None = None) -> Axes:
    """Draw contours of the ε-pseudospectrum, {z : σ_min(zI − W) ≤ ε}, with eigenvalues and unit circle.

    Where a contour of ε reaches further than ε outside the unit circle, powers of W grow before they decay
    (Kreiss matrix theorem). In a window of matplotlib, and in the lab, the value under the cursor is shown.

    Parameters
    ----------
    W
        Weight ``(n, n)``, or a :class:`~unitcircle.spectra.Pseudospectrum` on a rectangular grid.
    points
        Points along each side of the grid.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = plot_pseudospectrum(np.array([[0.5, 1.0], [0.0, 0.5]]), points=20, ax=Figure().subplots())
    >>> ax.get_xlabel()
    'Re z'
    """
    W = W.weight.source if isinstance(W, Spectrum) else W
    ax = axes_or_new(ax)
    values: Any = None
    if isinstance(W, Pseudospectrum):
        result = W
    else:
        array = _drawable(W)
        if array.ndim == 1:
            array = np.diag(array)
        reach = 1.15 * max(1.0, float(np.linalg.norm(array, 2)))
        side = np.linspace(-reach, reach, points)
        with Progress("points") as progress:
            result = pseudospectrum(array, side[None, :] + 1j * side[:, None], progress=progress.reach)
        values = eigenvalues(array)
    grid: Any = result.grid
    levels = np.asarray(result.smallest_singular_values)
    log_eps = np.log10(np.maximum(levels, np.finfo(float).tiny))
    # A contour that leaves the grid would end at its edge.
    edge = min(log_eps[0].min(), log_eps[-1].min(), log_eps[:, 0].min(), log_eps[:, -1].min())
    lowest = np.floor(max(log_eps.min(), -12.0))
    decades = np.arange(lowest, (np.floor(edge) if edge >= lowest else np.ceil(log_eps.max())) + 0.5)
    contours = ax.contour(grid.real, grid.imag, log_eps, levels=decades, cmap="viridis", linewidths=1.0)
    ax.clabel(contours, fmt="%d", fontsize=7)
    angle = np.linspace(0, 2 * np.pi, 361)
    ax.plot(np.cos(angle), np.sin(angle), color=COLORS["grey"], lw=0.9)
    if values is not None:
        ax.scatter(values.real, values.imag, s=6, color=COLORS["black"], lw=0)
    ax.set(xlabel="Re z", ylabel="Im z", title="log₁₀ ε of the ε-pseudospectrum")
    ax.set_aspect("equal")
    ax.format_coord = partial(_level_at, grid, levels)
    return ax


def _level_at(grid: Any, levels: np.ndarray, x: float, y: float) -> str:
    """Return the smallest singular value at the point of a grid nearest to the cursor, as matplotlib asks for it."""
    place = np.unravel_index(np.abs(grid - complex(x, y)).argmin(), grid.shape)
    z = complex(grid[place])
    text = f"z = {z.real:.3g} {'-' if z.imag < 0 else '+'} {abs(z.imag):.3g}i: σ_min(zI − W) = {levels[place]:.3g}"
    return text.replace("-", "−")
