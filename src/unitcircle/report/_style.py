"""The style of every figure: safe for colour-blind readers and fit for a paper."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito (2008): distinguishable under every common form of colour blindness, and in grey.
COLORS = {
    "blue": "#0072B2",
    "vermilion": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "orange": "#E69F00",
    "sky": "#56B4E9",
    "black": "#222222",
    "grey": "#8A8A8A",
}
CYCLE = tuple(COLORS[name] for name in ("blue", "vermilion", "green", "purple", "orange", "sky", "black"))
# The period of the line styles differs from that of the colours, so that curve 8 differs from curve 1.
DASHES = ("-", "--", "-.", ":")

_RC: Any = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 1.4,
    "svg.fonttype": "none",
    "svg.hashsalt": "unitcircle",
    "figure.dpi": 110,
    "savefig.dpi": 160,
}

# Together with the salt above, the same figure gives the same file.
WITHOUT_DATE: dict[str, Any] = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}


def style() -> AbstractContextManager[None]:
    """Return the context in which our figures are made; the settings of the caller are left unchanged.

    Returns
    -------
    contextlib.AbstractContextManager
        Ends with the settings that it found.

    Examples
    --------
    >>> import matplotlib
    >>> before = matplotlib.rcParams["axes.spines.top"]
    >>> with style():
    ...     inside = matplotlib.rcParams["axes.spines.top"]
    >>> inside, matplotlib.rcParams["axes.spines.top"] == before
    (False, True)
    """
    from matplotlib import rc_context

    return rc_context(_RC)


def axes_or_new(ax: Axes | None) -> Axes:
    """Return ``ax``, or if it is None new axes in a pyplot figure, as notebooks expect.

    Returns
    -------
    matplotlib.axes.Axes
        The axes.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> ax = Figure().subplots()
    >>> axes_or_new(ax) is ax
    True
    """
    if ax is not None:
        return ax
    from matplotlib import pyplot as plt

    with style():
        return plt.subplots(figsize=(4.6, 4.0), layout="constrained")[1]


MARGINS = {"left": 0.75, "right": 0.15, "bottom": 0.5, "top": 0.35}
"""Inches around the axes of a panel: room for ticks, labels and a title in our sizes of letters."""


def panel(width: float = 4.6, height: float = 3.2, /) -> tuple[Figure, Axes]:
    """Return a figure without a window and its only axes.

    Its margins are fixed: solving a layout would take longer than drawing. To be called within :func:`style`.

    Parameters
    ----------
    width, height
        Size of the figure (inches).

    Returns
    -------
    figure : matplotlib.figure.Figure
        The figure.
    ax : matplotlib.axes.Axes
        Its axes.

    Examples
    --------
    >>> with style():
    ...     figure, ax = panel()
    >>> len(figure.axes)
    1
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    left, right, bottom, top = (MARGINS[side] for side in ("left", "right", "bottom", "top"))
    room = (left / width, bottom / height, (width - left - right) / width, (height - bottom - top) / height)
    return figure, figure.add_axes(room)
