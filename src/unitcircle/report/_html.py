"""HTML from templates; all values are escaped unless they are ``Markup``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    return Environment(
        loader=FunctionLoader(_source), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def _source(template: str) -> str:
    package, _, name = template.rpartition("/")
    return files(package).joinpath(name).read_text(encoding="utf-8")


def render(template: str, /, **values: object) -> Markup:
    """Render a Jinja template of a package; text is escaped, ``Markup`` is not.

    Parameters
    ----------
    template
        ``"package/file"``, such as ``"unitcircle.diagnosis/page.html"``. A template can import the macro ``finding``
        from ``"unitcircle.report/finding.html"``, and ``map`` and ``mark`` from ``"unitcircle.report/map.html"``.
    **values
        The variables of the template; a missing one is an error.

    Returns
    -------
    markupsafe.Markup
        HTML that other templates and :func:`page` insert unchanged.

    Examples
    --------
    >>> "&lt;b&gt;" in render("unitcircle.report/mark.html", verdict="good", words="<b>")
    True
    """
    from markupsafe import Markup

    # The template has escaped it.
    return Markup(_environment().get_template(template).render(values))


def table(
    rows: Sequence[Mapping[str, object]],
    /,
    *,
    words: Collection[str] = (),
    names: Collection[str] = (),
    first: Collection[int] = (),
    caption: str = "Table",
    fold: int = 0,
) -> Markup:
    """Return rows as an HTML table; values are escaped unless they are ``Markup``.

    It scrolls where it is too wide. On a page it is sorted by a click on a heading, and filtered where it is long.

    Parameters
    ----------
    rows
        Heading → value, with the same headings in every row. None is an empty cell.
    words
        Headings of columns of text: they are aligned left, numbers right.
    names
        Headings of columns of text that may be broken into lines.
    first
        Indices of the rows that begin a group; a line is drawn above each, and a group stays together when sorted.
    caption
        What the table shows, for screen readers.
    fold
        Rows or groups beyond which the page shows the rest only when asked; 0 for none.

    Returns
    -------
    markupsafe.Markup
        The table.

    Examples
    --------
    >>> "<table" in table([{"layer": "lstm", "radius": 0.5}])
    True
    """
    from markupsafe import Markup

    headings = list(rows[0]) if rows else []
    word, name = Markup(' class="word"'), Markup(' class="word name"')
    sides = {heading: name if heading in names else word if heading in words else "" for heading in headings}
    cells = [{heading: "" if row[heading] is None else row[heading] for heading in headings} for row in rows]
    return render(
        "unitcircle.report/table.html",
        headings=headings,
        rows=cells,
        sides=sides,
        first=set(first),
        caption=caption,
        fold=fold,
    )
