"""One self-contained HTML page: inlined SVG with hover values, light and dark, no network."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from unitcircle._json import to_json
from unitcircle.report._html import render
from unitcircle.report._style import COLORS, WITHOUT_DATE

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.figure import Figure

Hover = Mapping[str, Sequence[str]]
"""SVG group id (the gid of an artist) → one label per marker or vertex, in drawing order."""

INK = "#010203"
"""Colour of text and axes in a figure to be inlined; the page replaces it by its text colour."""
ADAPTED = {INK: "currentColor", COLORS["black"]: "currentColor", COLORS["blue"].lower(): "var(--blue)"}
"""Colours of a figure that would be hard to see on a dark page, and what they are there."""
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


def inline_svg(figure: Figure, /, *, label: str) -> Markup:
    """Return a figure drawn under :data:`FIGURE_RC` as an SVG element in the text colour of the page.

    Parameters
    ----------
    figure
        The figure.
    label
        What the figure shows, for screen readers.

    Returns
    -------
    markupsafe.Markup
        ``<svg role="img" aria-label=... style=...>...</svg>``.

    Examples
    --------
    >>> from unitcircle.report import panel, style
    >>> with style():
    ...     figure, ax = panel()
    >>> inline_svg(figure, label="an empty panel").startswith("<svg role=")
    True
    """
    from markupsafe import Markup, escape

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=WITHOUT_DATE["svg"])
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for color, adapted in ADAPTED.items():
        text = text.replace(color, adapted)
    text = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", text, count=1)
    text = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", text, count=1)
    # matplotlib repeats every text in a comment, where names from a model would not be escaped.
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    # The groups of matplotlib are numbered from 1 in each figure, and a page has several.
    text = re.sub(r'<g id="[A-Za-z0-9.]+_\d+">', "<g>", text)
    # Text of 8 points has at least 8 pixels; where the window is narrower, the figure scrolls.
    attributes = f'role="img" aria-label="{escape(label)}" style="--width: {72 * figure.get_figwidth():.0f}px"'
    return Markup(text.replace("<svg", f"<svg {attributes}", 1).strip())


def page(title: str, body: str, hover: Hover, /, *, framed: bool = False) -> str:
    """Return an HTML document.

    Parameters
    ----------
    title
        Plain text.
    body
        HTML, already escaped: what :func:`render` and :func:`table` return.
    hover
        Labels of the marked artists of the inlined figures.
    framed
        Whether it stands in a frame of another page: without margins, skip link and footer.

    Returns
    -------
    str
        The document; it loads no other resource.

    Examples
    --------
    >>> document = page("Weights & gates", "<main>One sentence.</main>", {})
    >>> "<title>Weights &amp; gates</title>" in document, "One sentence." in document
    (True, True)
    """
    from markupsafe import Markup

    style, script = (files("unitcircle.report").joinpath(name).read_text("utf-8") for name in ("page.css", "page.js"))
    # Even inside quotes, "</script" would end the element and "<!--" would hide its end: every "<" is escaped.
    data = to_json({gid: list(labels) for gid, labels in hover.items()}, indent=None).replace("<", "\\u003c")
    parts = {"style": style, "script": script, "hover": data, "body": body}
    # HTML, CSS, JavaScript and JSON, which must not be escaped as text.
    safe = {name: Markup(part) for name, part in parts.items()}
    document = str(
        render("unitcircle.report/page.html", title=title, release=version("unitcircle"), framed=framed, **safe)
    )
    # Half of a surrogate pair in a name cannot be encoded.
    return document.encode("utf-8", "backslashreplace").decode()
