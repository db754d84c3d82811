"""How pages are made easier to read: subscripts, long results folded, tables that are cards on a phone.

Pages of results are what a command printed, word for word; what they become on the site is decided here.
"""

import html
import re

LONG = 600
"""A paragraph of numbers that is longer, in letters, is folded after its first sentences."""
DECIDED = 250
"""Of a longer verdict the lists of comparisons are folded."""
WORDS, SENTENCE = 45, 25
"""Rows with so much text, in letters, of which so much in one cell, are cards on a phone; others scroll sideways."""


def prepare(_app, name: str, source: list[str]) -> None:
    """Change the text of a page before it is read."""
    if name.startswith("results/"):
        source[0] = "\n".join(folded(line) for line in source[0].split("\n"))
    source[0] = lowered(source[0])


def lowered(text: str) -> str:
    """Return Markdown whose h_T and ‖W‖_F are subscripts, outside of code, links and formulas."""
    kept = r"(^```.*?^```|^:::.*?$|`[^`\n]*`|\$\$.*?\$\$|\$[^$]*\$|\]\([^)]*\))"
    parts = re.split(kept, text, flags=re.DOTALL | re.MULTILINE)
    pattern = r"((?<![A-Za-z0-9_])[A-Za-z]|‖)_([A-Za-z0-9])(?![A-Za-z0-9_])"
    return "".join(part if k % 2 else re.sub(pattern, r"\1<sub>\2</sub>", part) for k, part in enumerate(parts))


def folded(line: str) -> str:
    """Return a line of results: of a long verdict what was decided, of long numbers what was done, then the rest."""
    if line.startswith("**Verdict:** ") and len(line) > DECIDED:
        short = re.sub(r"( in \d+) \((?:[^()]|\([^()]*\))*\)", r"\1", line)
        rest = line.removeprefix("**Verdict:** ")
        return line if short == line else f"{short}\n\n{dropdown('Which comparisons', rest)}"
    if line.startswith("**Here:** ") and len(line) > LONG:
        ends = ends_of(r"[^\d]\. (?=\w)", line) or ends_of(r": (?=\w)", line)
        if ends:
            return f"{line[: ends[-1]].rstrip()}\n\n{dropdown('More numbers', line[ends[-1] :])}"
    return line


def ends_of(pattern: str, line: str) -> list[int]:
    """Return where a long paragraph may be cut."""
    return [found.end() for found in re.finditer(pattern, line[:LONG]) if found.end() > LONG / 5]


def dropdown(title: str, text: str) -> str:
    return f":::{{dropdown}} {title}\n{text}\n:::"


def stack_tables(_app, _name, _template, context: dict, _doctree) -> None:
    """Let every cell of a wordy table know its heading, which a phone shows in front of it."""
    if "body" in context:
        pattern = r'<table class="docutils.*?</table>'
        context["body"] = re.sub(pattern, lambda found: stacked(found[0]), context["body"], flags=re.DOTALL)


def stacked(table: str) -> str:
    """Return a table whose cells name their headings if its rows hold sentences."""
    head, opening, body = table.partition("<tbody>")
    headings = [words(cell) for cell in re.findall(r"<th\b[^>]*>(.*?)</th>", head, flags=re.DOTALL)]
    rows = body.split("<tr")[1:]
    longest = sum(max((len(words(f"<td{cell}")) for cell in row.split("<td")), default=0) for row in rows)
    if len(headings) < 3 or not rows or len(words(body)) < WORDS * len(rows) or longest < SENTENCE * len(rows):
        return table

    def label(row: str) -> str:
        cells = row.split("<td")
        for k, heading in enumerate(headings[: len(cells) - 1], 1):
            empty = not words(f"<td{cells[k]}")
            title = f' data-label="{html.escape(heading)}:"' if heading and k > 1 else ""
            cells[k] = (' data-empty=""' if empty else title) + cells[k]
        return "<td".join(cells)

    first, *rest = body.split("<tr")
    return head.replace('"docutils', '"docutils stacked', 1) + opening + "<tr".join([first, *map(label, rest)])


def words(markup: str) -> str:
    """Return the text of a piece of HTML."""
    text = re.sub("</?(?:sub|sup|em|strong|p|span)[^>]*>", "", markup)
    return " ".join(html.unescape(re.sub("<[^>]*>", " ", text)).split())


def plain_letter(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    """Let a description that is one letter, such as T., be no item of a list."""
    for k, line in enumerate(lines):
        lines[k] = re.sub(r"^((?:\s*:\w[^:]*:)?\s*)([A-Za-z]\.)$", r"\1\\\2", line)


def parsed_default(_app, _what, _name, _object, _options, signature, returned):
    """Return a signature without ``<factory>``, which is no Python, so that its types become links."""
    return (signature.replace("<factory>", "..."), returned) if signature and "<factory>" in signature else None
