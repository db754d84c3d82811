"""The figure of a few weights side by side, and saving figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any, cast

from unitcircle._files import written_whole
from unitcircle._printable import literal
from unitcircle.errors import ArgumentError
from unitcircle.report._figures import (
    by_name,
    plot_eigenvalues,
    plot_power_norms,
    plot_pseudospectrum,
    plot_singular_values,
)
from unitcircle.report._style import WITHOUT_DATE, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

COLUMNS = 4


def weight_overview(weights: Mapping[str, Any], /, *, steps: int = 64) -> Figure:
    """Draw the eigenvalues of each weight, and the singular values and norm growth of all of them.

    One weight alone also gets its pseudospectrum.

    Parameters
    ----------
    weights
        Names and weights ``(n, n)``.
    steps
        Largest power T in the picture of norm growth.

    Returns
    -------
    matplotlib.figure.Figure
        A figure without a window; see :func:`save_figure`.

    Examples
    --------
    >>> import numpy as np
    >>> figure = weight_overview({"f": np.diag([0.5, -0.5])}, steps=8)
    >>> len(figure.axes)
    4
    """
    from matplotlib.figure import Figure

    weights = by_name(weights)
    count = len(weights)
    if count == 1:
        (name, W), *_ = weights.items()
        with style():
            figure = Figure(figsize=(9.2, 8.2), layout="constrained")
            axes = figure.subplots(2, 2)
            plot_eigenvalues(W, ax=axes[0, 0])
            plot_pseudospectrum(W, ax=axes[0, 1])
            plot_singular_values(W, ax=axes[1, 0])
            plot_power_norms(W, steps=steps, ax=axes[1, 1])
            figure.suptitle(literal(name), fontsize=11)
        return figure
    columns = min(COLUMNS, count)
    rows = -(-count // columns)
    with style():
        # Two weights need the width of three: the titles below are as long as ever.
        figure = Figure(figsize=(2.9 * max(3, columns), 2.9 * rows + 3.9), layout="constrained")
        top, bottom = cast("Sequence[SubFigure]", figure.subfigures(2, 1, height_ratios=[2.9 * rows, 3.9]))
        panels = top.subplots(rows, columns, squeeze=False).ravel()
        for ax, (name, W) in zip(panels, weights.items(), strict=False):
            plot_eigenvalues(W, ax=ax, title=literal(fill(name, 30)))
        for ax in panels[count:]:
            ax.set_axis_off()
        left, right = bottom.subplots(1, 2, width_ratios=[2, 3])
        plot_singular_values(weights, ax=left)
        plot_power_norms(weights, steps=steps, ax=right)
        for ax in (left, right):
            ax.get_legend().remove()
        # About 0.07 inches a letter, and half an inch for the line before it.
        ncols = int(figure.get_figwidth() / (0.07 * max(map(len, weights)) + 0.5))
        bottom.legend(handles=right.get_lines()[1:], loc="outside lower center", ncols=max(1, min(ncols, count)))
    return figure


def save_figure(figure: Figure, path: str | Path, /) -> Path:
    """Save a figure to a temporary file, then rename it; missing folders are created.

    A PNG, SVG or PDF contains no date: the same figure gives the same bytes.

    Parameters
    ----------
    figure
        The figure.
    path
        Where to write; the suffix determines the format (png, svg, pdf).

    Returns
    -------
    pathlib.Path
        The path written.

    Raises
    ------
    ArgumentError
        matplotlib cannot write the format of the suffix.

    Examples
    --------
    >>> import tempfile
    >>> from matplotlib.figure import Figure
    >>> path = save_figure(Figure(), Path(tempfile.mkdtemp()) / "figure.png")
    >>> path.stat().st_size > 0
    True
    """
    path = Path(path)
    formats = figure.canvas.get_supported_filetypes()
    suffix = path.suffix.removeprefix(".").lower()
    if suffix not in formats:
        raise ArgumentError("path", f"must end in one of {', '.join(sorted(formats))}", repr(str(path)))
    with written_whole(path) as file, style():
        figure.savefig(file, format=suffix, metadata=WITHOUT_DATE.get(suffix))
    return path
