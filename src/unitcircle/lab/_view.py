"""What a few lines of code draw or return, with the lines themselves."""

from __future__ import annotations

import ast
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

CURSOR = "cursor"
"""Id of the markers that say what is under the cursor."""
INCH = 72
"""Points."""
SQUARES = 24
"""Of them along each side of the axes."""
TITLE = {"axes.titley": 1.0}
"""Above the axes: to look for the place of a title Matplotlib measures every label once more."""
BEFORE = {
    "np": "import numpy as np",
    "torch": "import torch",
    "uc": "import unitcircle as uc",
    "ax": "from matplotlib import pyplot as plt\nax = plt.gca()",
}
"""Name that the lines use → what makes it outside of the lab."""
AXES = ", ax=ax"
"""How the lines name the axes of the lab; without it, as they are printed, our figures make axes of their own."""


@dataclass(frozen=True)
class View:
    """A picture or a value, and the lines that made it.

    Attributes
    ----------
    code
        The lines, as they run outside of the lab.
    picture
        What they drew, as an SVG element; empty where they drew nothing.
    value
        The text of what the last line returned, where they drew nothing.
    seconds
        Processor time that it took.
    cursor
        What the picture says under the cursor at places of its grid, in the order of its markers; empty where nothing.
    """

    code: str
    picture: Markup | str
    value: str
    seconds: float
    cursor: Sequence[str] = ()

    @property
    def before(self) -> str:
        """The lines that the code needs before it, outside of the lab: what it imports, and axes to draw in."""
        return "\n".join(line for name, line in BEFORE.items() if re.search(rf"\b{name}\b\.", self.code))

    def _repr_html_(self) -> str:
        from unitcircle.report import page, render

        # A frame, since marimo runs no script of what it shows.
        framed = page(self.code, self.picture, {CURSOR: self.cursor}, framed=True) if self.cursor else ""
        milliseconds = f"{1e3 * self.seconds:.0f}"
        # A plain text: marimo shows no subclass of one.
        return str(
            render(
                "unitcircle.lab/view.html",
                before=self.before,
                code=self.code,
                picture="" if framed else self.picture,
                framed=framed,
                value=self.value,
                time=milliseconds,
            )
        )


def view(code: str, /, *, label: str = "", names: Mapping[str, Any] | None = None) -> View:
    """Run lines of code and show what they draw or return.

    Parameters
    ----------
    code
        Lines that may use ``uc``, ``np``, ``torch`` where it is installed, and ``ax``, the axes to draw in. The last
        one is an expression.
    label
        What the picture shows, for screen readers.
    names
        Further names that the lines use.

    Returns
    -------
    View
        Shows itself in a notebook.

    Examples
    --------
    >>> view("2 * 3").value
    '6'
    """
    import numpy as np
    from matplotlib import rc_context

    import unitcircle as uc
    from unitcircle.report import FIGURE_RC, inline_svg, panel, style

    started = time.process_time()  # what is imported once is not what a redraw takes
    lines = ast.parse(code)
    last = lines.body.pop()
    with style(), rc_context(FIGURE_RC | TITLE):
        figure, ax = panel(5.4, 4.2)
        room: dict[str, Any] = {"uc": uc, "np": np, "ax": ax, **(names or {})}
        if "torch" in code:
            import torch

            room["torch"] = torch
        exec(compile(lines, "<lab>", "exec"), room)
        value = eval(compile(ast.Expression(ast.Expr(last.value).value), "<lab>", "eval"), room)  # pyright: ignore[reportAttributeAccessIssue]
        cursor = _under_the_cursor(ax)
        picture = inline_svg(figure, label=label or code) if ax.has_data() else ""
    text = "" if picture else str(value)
    return View(code.replace(AXES, ""), picture, text, time.process_time() - started, cursor)


def _under_the_cursor(ax: Axes) -> list[str]:
    """Cover axes that know what to say under the cursor with markers nobody sees, and return what they say there."""
    if "format_coord" not in vars(ax):
        return []
    (left, right), (low, high) = ax.get_xlim(), ax.get_ylim()
    # The middles of squares that cover the axes.
    steps = [(k + 0.5) / SQUARES for k in range(SQUARES)]
    places = [(left + s * (right - left), high - t * (high - low)) for t in steps for s in steps]
    ax.apply_aspect()
    width = ax.get_window_extent().width * INCH / ax.figure.dpi / SQUARES
    dots = ax.scatter(*zip(*places, strict=True), s=(1.1 * width) ** 2, marker="s", lw=0, alpha=0.004, zorder=9)
    dots.set_gid(CURSOR)
    ax.set(xlim=(left, right), ylim=(low, high))
    return [ax.format_coord(x, y) for x, y in places]
