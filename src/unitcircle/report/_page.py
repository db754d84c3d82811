"""One self-contained HTML page: inlined SVG with hover values, light and dark, no network."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from unitcircle._json import to_json
from unitcircle.report._style import COLORS, WITHOUT_DATE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Hover = Mapping[str, Sequence[str]]
"""SVG group id (an artist's gid) → one label a marker or vertex, in drawing order."""

INK = "#010203"
"""The colour of text and axes in a figure to be inlined; it becomes the page's own text colour."""
FIGURE_RC: Any = {
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "path.simplify": False,
}


def inline_svg(figure: Figure, /, *, label: str) -> str:
    """Return a figure drawn under :data:`FIGURE_RC` as an SVG element that takes its ink from the page.

    Parameters
    ----------
    figure
        The figure.
    label
        What it shows, for readers who cannot see it.

    Returns
    -------
    str
        ``<svg role="img" aria-label=...>...</svg>``.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=WITHOUT_DATE["svg"])
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for ink in (INK, COLORS["black"]):
        text = text.replace(ink, "currentColor")
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    return text.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1).strip()


def page(title: str, body: str, hover: Hover, /) -> str:
    """Return a whole HTML document.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML, already escaped.
    hover
        Labels of the marked artists of the inlined figures.

    Returns
    -------
    str
        The document; it loads nothing from anywhere.
    """
    here = files("unitcircle.report")
    style = here.joinpath("page.css").read_text(encoding="utf-8")
    script = here.joinpath("page.js").read_text(encoding="utf-8")
    # "</" inside a script element would end it, whatever the quotes around it.
    data = to_json({key: list(labels) for key, labels in hover.items()}, indent=None).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
<div id="tip" role="status" hidden></div>
<script type="application/json" id="hover">{data}</script>
<script>{script}</script>
</body>
</html>
"""
