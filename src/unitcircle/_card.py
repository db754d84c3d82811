"""What a notebook shows of a result: a small table of its own, light or dark as the page around it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from unitcircle._printable import printable

MOST_ROWS = 40
"""Rows that are shown; a notebook is read, and the object has the others."""
LONGEST = 1000
"""Characters of one text: a name in a file may be megabytes."""
# currentColor is that of the notebook, in every theme of it.
_STYLE = (
    ".uc-card{font:13px/1.45 system-ui,sans-serif;max-width:60em}.uc-card b{font-weight:600}"
    ".uc-card table{border-collapse:collapse;margin:.4em 0}"
    ".uc-card th,.uc-card td{padding:.15em .7em;text-align:right;border-bottom:1px solid "
    "color-mix(in srgb,currentColor 18%,transparent);font-variant-numeric:tabular-nums}"
    ".uc-card th:first-child,.uc-card td:first-child{text-align:left}.uc-card p{margin:.3em 0}"
)


def card(
    title: str,
    /,
    *,
    columns: Sequence[str] = (),
    rows: Iterable[Sequence[object]] = (),
    lines: Iterable[str] = (),
) -> str:
    """Return a title, a table and lines as one piece of HTML without scripts; every text is escaped.

    Parameters
    ----------
    title
        One sentence.
    columns, rows
        The table; numbers are shown to four digits.
    lines
        Sentences below it.

    Returns
    -------
    str
        The HTML.
    """
    every = list(rows)
    head = "".join(f"<th>{_text(name)}</th>" for name in columns)
    body = "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in every[:MOST_ROWS])
    table = f"<table>{f'<tr>{head}</tr>' if columns else ''}{body}</table>" if every else ""
    more = [f"{len(every) - MOST_ROWS} more rows"] if len(every) > MOST_ROWS else []
    texts = list(lines)
    rest = [f"{len(texts) - MOST_ROWS} more lines"] if len(texts) > MOST_ROWS else []
    below = "".join(f"<p>{_text(line)}</p>" for line in [*more, *texts[:MOST_ROWS], *rest])
    return f'<div class="uc-card"><style>{_STYLE}</style><p><b>{_text(title)}</b></p>{table}{below}</div>'


def _text(value: object) -> str:
    text = printable(f"{value:.4g}" if isinstance(value, float) else str(value))
    return escape(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 2 :]}")
