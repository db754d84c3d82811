"""The page of all statements of the sources: each has the verdict that a committed page of results gives it.

``docs/statements.toml`` says under which heading each is judged; ``python -m tests.test_claims`` writes docs/claims.md.
"""

import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "claims.md"
# The fullest first: a heading is looked for in the pages from left to right.
PAGES = ("reproduce-statements", "reproduce-direct", "reproduce-data", "prediction", "reproduce-quick")
TEXTS = {
    "0": "D. Rapp: the spectral radius of random weights",
    "1": "S. Merity: orthogonal initialization, and the papers it points to",
    "2": "When powers of a matrix vanish or explode",
    "3": "arXiv 2307.15679: the eigen initializer",
    "4": "H. Rudra: well-behaved matrices",
}
COUNTS = {"0": 14, "1": 42, "2": 13, "3": 29, "4": 14}
CLAIM = re.compile(r"^### (.+?)\n.*?^\*\*Verdict:\*\* ([^:\n]+)", re.MULTILINE | re.DOTALL)
NOT_JUDGED = "not judged"
LIBRARY = "answered by the library"

HEAD = """# Every statement of the sources

The five texts behind this project make {count} statements. Each stands here with its verdict and the heading under
which it was measured; the numbers, seeds and machine are there. *{library}* names what computes the
answer, and judges nothing; *{not_judged}* means that nothing was measured; *partly* means that less was measured than
is said, and the last column says what is left open.

{summary}

`docs/statements.toml` is the list, with the lines of the texts; `tests/test_claims.py` takes the verdicts from the
pages, and fails if one has changed.
"""


@cache
def judged():
    """Return heading → (page, verdict): of the first page that has it."""
    found = {}
    for page in PAGES:
        text = (DOCS / "results" / f"{page}.md").read_text(encoding="utf-8")
        for heading, verdict in re.findall(
            r"^### (.+?)\n.*?^\*\*Verdict:\*\* ([^:\n]+)", text, re.MULTILINE | re.DOTALL
        ):
            found.setdefault(heading, (page, verdict))
    return found


@cache
def statements():
    return tomllib.loads((DOCS / "statements.toml").read_text(encoding="utf-8"))["statement"]


def verdicts(statement):
    """Return the verdicts of a statement, without repetition."""
    found = [judged()[heading][1] for heading in statement.get("headings", [])]
    found += [LIBRARY] if "library" in statement else []
    return list(dict.fromkeys(found)) or [NOT_JUDGED]


def in_words(statement):
    """Return the verdicts of a statement, *partly* where something is left open."""
    words = "; ".join(verdicts(statement))
    return f"partly: {words}" if "open" in statement and words != NOT_JUDGED else words


def anchor(heading):
    """Return the anchor that MyST gives a heading: that of GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def where(statement):
    links = [
        f"[{heading}](results/{judged()[heading][0]}.md#{anchor(heading)})" for heading in statement.get("headings", [])
    ]
    return "; ".join([*links, *([statement["library"]] if "library" in statement else [])])


def summary():
    counts = Counter(
        "partly judged" if in_words(each).startswith("partly") else verdicts(each)[0] for each in statements()
    )
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) + "."


def page():
    lines = [HEAD.format(count=len(statements()), summary=summary(), library=LIBRARY, not_judged=NOT_JUDGED)]
    for number, title in TEXTS.items():
        lines += [f"## {title}\n", "| | the text says | verdict | where | left open |", "|---|---|---|---|---|"]
        for statement in statements():
            if statement["number"].startswith(f"{number}."):
                cells = [
                    statement["number"],
                    statement["says"].replace("|", "\\|"),
                    in_words(statement),
                    where(statement),
                    statement.get("open", ""),
                ]
                lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def test_all_statements_of_every_text_are_there():
    numbers = [statement["number"] for statement in statements()]
    assert numbers == [f"{text}.{index}" for text, count in COUNTS.items() for index in range(1, count + 1)]


def test_every_heading_is_one_of_a_page():
    missing = {h for statement in statements() for h in statement.get("headings", []) if h not in judged()}
    assert not missing


def test_what_is_not_judged_says_why():
    for statement in statements():
        if verdicts(statement) == [NOT_JUDGED]:
            assert statement["open"], statement["number"]


def test_names_of_the_library_exist():
    import unitcircle

    for statement in statements():
        for name in re.findall(r"`([\w.]+)`", statement.get("library", "")):
            found = unitcircle
            for part in name.split("."):
                found = getattr(found, part)
            assert callable(found)


def test_the_page_is_made_of_the_list():
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tests.test_claims"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
