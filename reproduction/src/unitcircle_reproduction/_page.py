"""The report of a reproduction: one HTML page, its numbers as JSON, its tables as Markdown, its figures as SVG."""

from __future__ import annotations

import math
import platform
import re
from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from unitcircle.report import FIGURE_RC, inline_svg, page, render, save_figure, style, table, to_json, written_whole
from unitcircle_reproduction._claim import Claim, Text, Verdict

_CLASSES = {
    Verdict.HOLDS: "good",
    Verdict.CONDITIONALLY: "warning",
    Verdict.FAILS: "error",
    Verdict.NO_DIFFERENCE: "unknown",
    Verdict.TOO_FEW: "unknown",
    Verdict.UNDECIDED: "unknown",
}


_OF_SEVERAL = {
    Verdict.HOLDS: "hold",
    Verdict.CONDITIONALLY: "hold with a condition",
    Verdict.FAILS: "do not hold here",
    Verdict.UNDECIDED: "cannot be decided from the sources",
}
"""Verdicts as they are said of more than one claim, where that is another word."""
STOPPED = "Stopped here: further claims of this source have not been measured. Run again to go on."
FEW = 2
"""Claims that the title of a page names."""
WIDEST = 8.2
"""Inches of a figure that fills the page."""


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
    drawn: dict[Claim, tuple[object, ...]] | None = None,
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
    drawn
        Claims → how they look. One mapping for all calls: then each claim is drawn once, however often the page is
        written.

    Returns
    -------
    Path
        Path of the page.
    """
    drawn = {} if drawn is None else drawn
    for chapter in chapters:
        for claim in chapter.claims:
            if claim not in drawn:
                drawn[claim] = _claim(chapter.text, claim, folder / "figures")
    conditions = _conditions(chapters, names, full, seed, records)
    body = render(
        "unitcircle_reproduction/page.html",
        conditions=prose(conditions),
        prose=prose,
        answer=_answer(chapters),
        tiles=[
            (_CLASSES[claim.verdict], claim.title, f"{chapter.text.name}-{claim.name}", f"{claim.verdict}")
            for chapter in chapters
            for claim in chapter.claims
        ],
        meanings=[
            (_CLASSES[verdict], f"{count} {verdict if count == 1 else _OF_SEVERAL.get(verdict, verdict)}")
            for verdict, count in _counts(chapters).items()
            if count
        ],
        overview=_overview(chapters),
        chapters=[(chapter, [drawn[claim] for claim in chapter.claims]) for chapter in chapters],
        stopped=STOPPED,
    )
    documents = {
        "index.html": page("unitcircle: the sources reproduced", body, {}),
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


_SUBSCRIPT = re.compile(r"(?<=\w)_(?:\{([^{}]+)\}|(\w)(?![\w]))")


def prose(text: str, /) -> Markup:
    """Return text as HTML: what stands between back-ticks as code, ``F_n`` and ``W_{10,2}`` with indices below."""
    code, words = Markup("<code>{}</code>"), Markup("{}<sub>{}</sub>")
    parts: list[Markup] = []
    for place, part in enumerate(text.split("`")):
        if place % 2:
            parts.append(code.format(part))
            continue
        end = 0
        for match in _SUBSCRIPT.finditer(part):
            parts.append(words.format(part[end : match.start()], match[1] or match[2]))
            end = match.end()
        parts.append(Markup("{}").format(part[end:]))
    return Markup("").join(parts)


def _counts(chapters: Sequence[Chapter]) -> dict[Verdict, int]:
    verdicts = [claim.verdict for chapter in chapters for claim in chapter.claims]
    return {verdict: verdicts.count(verdict) for verdict in _CLASSES}


def _answer(chapters: Sequence[Chapter]) -> str:
    counts = _counts(chapters)
    said = f"Do the claims of the sources hold? {counts[Verdict.HOLDS]} of {sum(counts.values())} hold"
    words = {
        Verdict.CONDITIONALLY: "with a condition",
        Verdict.FAILS: "do not",
        Verdict.NO_DIFFERENCE: "make no practical difference",
        Verdict.TOO_FEW: "had not enough runs",
        Verdict.UNDECIDED: "undecided",
    }
    return ", ".join([said, *(f"{counts[verdict]} {text}" for verdict, text in words.items() if counts[verdict])])


def _overview(chapters: Sequence[Chapter]) -> Markup:
    link = Markup('<a href="#{}-{}">{}</a>')
    rows = [
        {
            "claim": link.format(chapter.text.name, claim.name, claim.title),
            "verdict": render("unitcircle.report/mark.html", verdict=_CLASSES[claim.verdict], words=str(claim.verdict)),
            "source": chapter.text.name,
        }
        for chapter in chapters
        for claim in chapter.claims
    ]
    return table(rows, words=["source", "verdict"], names=["claim"], caption="The claims")


def _claim(text: Text, claim: Claim, folder: Path) -> tuple[object, ...]:
    """Draw what belongs to a claim; return the claim, its class, table, figures and animations for the page."""
    figures = []
    for number, (caption, draw) in enumerate(claim.figures.items(), 1):
        with style():
            save_figure(draw(), folder / f"{text.name}-{claim.name}-{number}.svg")
        with style(), mpl.rc_context(FIGURE_RC):
            figure = draw()
            # All at one scale, so that letters are as large in a small figure as in a wide one.
            figures.append((caption, inline_svg(figure, label=caption), f"{figure.get_figwidth() / WIDEST:.0%}"))
    animations = []
    for number, (caption, draw) in enumerate(claim.animations.items(), 1):
        gif = draw()
        with written_whole(folder / f"{text.name}-{claim.name}-{number}.gif") as file:
            file.write(gif)
        animations.append((caption, b64encode(gif).decode()))
    return claim, _CLASSES[claim.verdict], _table(claim) if claim.table else "", figures, animations


def _table(claim: Claim) -> Markup:
    rows = claim.table
    words = [key for key in rows[0] if _are_words([row[key] for row in rows])]
    return table([{key: _cell(value) for key, value in row.items()} for row in rows], words=words, caption=claim.title)


def _are_words(values: Sequence[Any]) -> bool:
    return all(isinstance(value, str) for value in values) and any(value[:1].isalpha() for value in values)


def _cell(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    # Beyond 10,000 the units are what tells two values of a column apart.
    text = f"{value:,.0f}" if 1e4 <= abs(value) < 1e7 else f"{value:.4g}"
    return "–" if math.isnan(value) else text.replace("inf", "∞")


def _subject(chapters: Sequence[Chapter], /) -> str:
    """Return what a page is about, so that no two pages have one title: its claims if they are few, else its texts."""
    claims = [claim.title for chapter in chapters for claim in chapter.claims]
    return "; ".join(claims if 0 < len(claims) <= FEW else [chapter.text.title for chapter in chapters])


def as_markdown(chapters: Sequence[Chapter], conditions: str, /) -> str:
    """Return the claims, verdicts and tables as Markdown, for ``docs/results``."""
    lines = [f"# The sources, ours beside theirs: {_subject(chapters)}", "", conditions, ""]
    for chapter in chapters:
        lines += [f"## {chapter.text.title}", "", chapter.text.reference, ""]
        for claim in chapter.claims:
            condition = f": {claim.condition}" if claim.condition else ""
            lines += [f"### {claim.title}", "", f"**The source:** {claim.statement}", "", f"**Here:** {claim.measured}"]
            lines += ["", f"**Verdict:** {claim.verdict}{condition}", ""]
            if claim.table:
                keys = list(claim.table[0])
                lines += [_line(keys), "|" + "---|" * len(keys)]
                lines += [_line(map(_cell, row.values())) for row in claim.table]
                lines.append("")
        lines += [] if chapter.complete else [f"**{STOPPED}**", ""]
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    """Return a line of a Markdown table: a bar within a cell, as of |λ|, would begin the next."""
    return "| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |"


def _data(chapter: Chapter) -> dict[str, Any]:
    claims = [
        {name: getattr(claim, name) for name in ("name", "title", "statement", "measured", "condition", "table")}
        | {"verdict": str(claim.verdict), "data": dict(claim.data)}
        for claim in chapter.claims
    ]
    head = {"name": chapter.text.name, "seconds": chapter.seconds, "complete": chapter.complete}
    return head | {"claims": claims}
