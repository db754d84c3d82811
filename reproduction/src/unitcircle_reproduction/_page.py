"""The report of a reproduction: one HTML page, its numbers as JSON, its tables as Markdown, its figures as SVG."""

from __future__ import annotations

import math
import platform
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl

from unitcircle.report import FIGURE_RC, inline_svg, page, save_figure, style, to_json, written_whole
from unitcircle_reproduction._claim import Claim, Text, Verdict

_CLASSES = {
    Verdict.HOLDS: "good",
    Verdict.CONDITIONALLY: "warning",
    Verdict.FAILS: "error",
    Verdict.UNDECIDED: "note",
}


STOPPED = "Stopped here: further claims of this source have not been measured. Run again to go on."
WIDEST = 8.2
"""Inches of a figure that fills the page."""
# On paper nothing scrolls, and what moves has its stills beside it.
_STYLE = """
.moving img { max-width: 100% }
th, td.word { white-space: normal; vertical-align: bottom }
td.word { vertical-align: top }
@media print {
  .moving { display: none }
  .scroll { overflow: visible }
  table { font-size: .68rem; min-width: 0 }
  th, td { white-space: normal; padding-right: .45rem }
  tr { break-inside: avoid }
  h2, h3 { break-after: avoid }
}
"""


@dataclass(frozen=True, eq=False)
class Chapter:
    """The claims of a text, and how long they took to measure.

    Attributes
    ----------
    text
        The text.
    claims
        As far as they have been measured.
    seconds
        Wall time.
    complete
        Whether these are all claims of the text; false if the reproduction was stopped.
    """

    text: Text
    claims: Sequence[Claim]
    seconds: float
    complete: bool = True


def write_report(
    chapters: Sequence[Chapter],
    folder: Path,
    /,
    *,
    names: Sequence[str],
    full: bool,
    seed: int,
    records: Sequence[Path] = (),
) -> Path:
    """Write ``index.html``, ``results.json``, ``results.md`` and ``figures/`` into a folder.

    Parameters
    ----------
    chapters
        In the order of the page.
    folder
        To write into; each file is written whole or not at all.
    names
        The names of :func:`reproduce`.
    full
        Whether this was the full run.
    seed
        Seed of the reproduction.
    records
        Folders of studies that were passed.

    Returns
    -------
    Path
        Path of the page.
    """
    conditions = _conditions(chapters, names, full, seed, records)
    body = [f"<h1>The sources, ours beside theirs</h1><p class='soft'>{escape(conditions)}</p>", _overview(chapters)]
    for chapter in chapters:
        head = f"<h2 id='{chapter.text.name}'>{escape(chapter.text.title)}</h2>"
        body.append(f"{head}<p class='soft'>{escape(chapter.text.reference)}</p>")
        body += [_claim(chapter.text, claim, folder / "figures") for claim in chapter.claims]
        body += [] if chapter.complete else [f"<p><b>{escape(STOPPED)}</b></p>"]
    body.insert(0, f"<style>{_STYLE}</style>")
    documents = {
        "index.html": page("unitcircle: the sources reproduced", "\n".join(body), {}),
        "results.json": to_json({"schema": 1, "conditions": conditions, "sources": [_data(c) for c in chapters]}),
        "results.md": as_markdown(chapters, conditions),
    }
    for name, text in documents.items():
        with written_whole(folder / name) as file:
            file.write(text.encode())
    return folder / "index.html"


def _conditions(
    chapters: Sequence[Chapter], names: Sequence[str], full: bool, seed: int, records: Sequence[Path]
) -> str:
    command = f"unitcircle reproduce {' '.join(names)} {'--full' if full else '--quick'} --seed {seed}"
    command += f" --records {' '.join(map(str, records))}" if records else ""
    minutes = sum(chapter.seconds for chapter in chapters) / 60
    machine = f"{platform.machine()}, Python {platform.python_version()}, unitcircle {version('unitcircle')}"
    resumed = "; what earlier calls had trained was kept, and is not in this time" if full else ""
    return f"Printed by `{command}` on {datetime.now(UTC):%Y-%m-%d}, {machine}, in {minutes:.1f} min{resumed}."


def _overview(chapters: Sequence[Chapter]) -> str:
    rows = ""
    for chapter in chapters:
        for claim in chapter.claims:
            link = f"<a href='#{chapter.text.name}-{claim.name}'>{escape(claim.title)}</a>"
            rows += (
                f"<tr><td class='word'>{escape(chapter.text.name)}</td><td class='word name'>{link}</td>"
                f"<td class='word'>{escape(claim.verdict)}</td></tr>"
            )
    head = "".join(f"<th class='word'>{text}</th>" for text in ("source", "claim", "verdict"))
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"


def _claim(text: Text, claim: Claim, figures: Path) -> str:
    condition = f": {escape(claim.condition)}" if claim.condition else ""
    parts = [
        f"<h3 id='{text.name}-{claim.name}'>{escape(claim.title)}</h3>",
        f"<p><b>The source:</b> {escape(claim.statement)}</p><p><b>Here:</b> {escape(claim.measured)}</p>",
        f"<div class='finding {_CLASSES[claim.verdict]}'><p><b>{escape(claim.verdict)}</b>{condition}</p></div>",
    ]
    if claim.table:
        parts.append(_table(claim.table))
    for number, (caption, draw) in enumerate(claim.figures.items(), 1):
        with style():
            save_figure(draw(), figures / f"{text.name}-{claim.name}-{number}.svg")
        with style(), mpl.rc_context(FIGURE_RC):
            figure = draw()
            svg = inline_svg(figure, label=caption)
        # All at one scale, so that letters are as large in a small figure as in a wide one.
        svg = f"<div style='max-width: {figure.get_figwidth() / WIDEST:.0%}'>{svg}</div>"
        parts.append(f"<figure>{svg}<figcaption class='soft'>{escape(caption)}</figcaption></figure>")
    for number, (caption, draw) in enumerate(claim.animations.items(), 1):
        gif = draw()
        with written_whole(figures / f"{text.name}-{claim.name}-{number}.gif") as file:
            file.write(gif)
        image = f"<img alt='{escape(caption)}' src='data:image/gif;base64,{b64encode(gif).decode()}'>"
        parts.append(f"<figure class='moving'>{image}<figcaption class='soft'>{escape(caption)}</figcaption></figure>")
    return "\n".join(parts)


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    classes = {key: " class='word'" if _are_words([row[key] for row in rows]) else "" for key in rows[0]}
    head = "".join(f"<th{classes[key]}>{escape(str(key))}</th>" for key in rows[0])
    body = ""
    for row in rows:
        cells = (f"<td{classes[key]}>{escape(_cell(value))}</td>" for key, value in row.items())
        body += f"<tr>{''.join(cells)}</tr>"
    return f"<div class='scroll'><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _are_words(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and any(value[:1].isalpha() for value in values)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return "–" if math.isnan(value) else f"{value:.4g}".replace("inf", "∞")


def as_markdown(chapters: Sequence[Chapter], conditions: str, /) -> str:
    """Return the claims, verdicts and tables as Markdown, for ``docs/results``."""
    lines = ["# The sources, ours beside theirs", "", conditions, ""]
    for chapter in chapters:
        lines += [f"## {chapter.text.title}", "", chapter.text.reference, ""]
        for claim in chapter.claims:
            condition = f": {claim.condition}" if claim.condition else ""
            lines += [f"### {claim.title}", "", f"**The source:** {claim.statement}", "", f"**Here:** {claim.measured}"]
            lines += ["", f"**Verdict:** {claim.verdict}{condition}", ""]
            if claim.table:
                keys = list(claim.table[0])
                lines += ["| " + " | ".join(keys) + " |", "|" + "---|" * len(keys)]
                lines += ["| " + " | ".join(_cell(value) for value in row.values()) + " |" for row in claim.table]
                lines.append("")
        lines += [] if chapter.complete else [f"**{STOPPED}**", ""]
    return "\n".join(lines)


def _data(chapter: Chapter) -> dict[str, Any]:
    claims = [
        {name: getattr(claim, name) for name in ("name", "title", "statement", "measured", "condition", "table")}
        | {"verdict": str(claim.verdict), "data": dict(claim.data)}
        for claim in chapter.claims
    ]
    head = {"name": chapter.text.name, "seconds": chapter.seconds, "complete": chapter.complete}
    return head | {"claims": claims}
