"""The figure of a calibration."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unitcircle._printable import literal
from unitcircle.report import COLORS, CYCLE, axes_or_new

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from unitcircle.dynamics._calibration_result import Calibration

TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)


def plot_calibration(result: Calibration, /, *, ax: Axes | None = None) -> Axes:
    """Draw the criterion against the spectral radius of every layer that has a curve, and mark the calibrated one.

    Parameters
    ----------
    result
        Result of :func:`unitcircle.dynamics.calibrate_`.
    ax
        Axes to draw in; new ones by default.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> import torch
    >>> from unitcircle.dynamics import calibrate_
    >>> rnn = torch.nn.RNN(2, 4)
    >>> ax = plot_calibration(calibrate_(rnn, torch.randn(8, 4, 2)))
    >>> ax.get_xlabel()
    'spectral radius of the recurrent weight'
    """
    ax = axes_or_new(ax)
    ax.axhline(0.0, color=COLORS["grey"], lw=0.9)
    curves = [layer for layer in result.layers if layer.gains.size]
    for k, layer in enumerate(curves):
        color = CYCLE[k % len(CYCLE)]
        found = "refused" if layer.status.refused else f"ρ = {layer.radius:.3g}"
        decades, error = layer.values / np.log(10), layer.stderr / np.log(10)
        ax.errorbar(
            layer.radii,
            decades,
            3 * error,
            color=color,
            marker=".",
            lw=1.2,
            label=literal(f"{layer.name}: {found} ({layer.status})"),
        )
        if not layer.status.refused:
            ax.axvline(layer.radius, color=color, lw=0.9, ls=":")
    name = "gradient norm, ratio over the length" if result.criterion == "gradient_ratio" else "mean log σ of ∂h_T/∂h_0"
    ax.set(xscale="log", xlabel="spectral radius of the recurrent weight", ylabel="decades", title=name)
    measured = [radius for layer in curves for radius in layer.radii]
    ticks = [tick for tick in TICKS if measured and min(measured) <= tick <= max(measured)]
    if len(ticks) > 1:  # the labels of powers of ten overlap
        ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        ax.set_xticks([], minor=True)
    if curves:
        ax.legend(loc="best")
    return ax
