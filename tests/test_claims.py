"""The page of all statements of the sources: each has the verdict that a committed page of results gives it.

``docs/statements.toml`` says under which heading each is judged; ``python -m tests.test_claims`` writes docs/claims.md.
"""

import math
import re
import tomllib
from collections import Counter
from functools import cache
from pathlib import Path

from unitcircle_reproduction import _equivalence as equivalence
from unitcircle_reproduction.prediction._ruling import ruling

DOCS = Path(__file__).parents[1] / "docs"
PAGE = DOCS / "claims.md"
# The fullest first: a heading is looked for in the pages from left to right.
PAGES = (
    "reproduce-methods",
    "reproduce-transitions",
    "reproduce-gradients",
    "reproduce-answers",
    "reproduce-tomita",
    "reproduce-characters",
    "reproduce-dose",
    "reproduce-papers",
    "reproduce-statements",
    "reproduce-direct",
    "reproduce-data",
    "prediction",
    "prediction-second-look",
    "reproduce-contests",
    "reproduce-quick",
)
TEXTS = {
    "0": "D. Rapp: the spectral radius of random weights",
    "1": "S. Merity: orthogonal initialization, and the papers it points to",
    "2": "When powers of a matrix vanish or explode",
    "3": "arXiv 2307.15679: the eigen initializer",
    "4": "H. Rudra: well-behaved matrices",
}
COUNTS = {"0": 14, "1": 42, "2": 13, "3": 29, "4": 14}
CLAIM = re.compile(r"^### (.+?)\n(.*?)^\*\*Verdict:\*\* ([^:\n]+)(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
FROM_THE_SOURCE = "cannot be decided from the source"
OF_THE_SOURCE = ("the summary names no law of the angles", "no statement on low-rank weights is made")
"""Reasons that lie in the source; pages printed before 30 November 2026 gave the verdict for a lack of runs as well."""
TOO_FEW = "not enough runs"
NOT_TOLD = re.compile(r"\| (× )?(-?[\d.]+) \[(-?[\d.]+), (-?[\d.]+)\] \| [\d.e-]+ \| cannot tell \|")
RANGE_OF_8 = 2.847
"""Mean range of eight standard normal numbers: the interval of a median of eight ratios is their range."""
MARGINS = {"steps": math.log(1.25), "BLEU": 1.0}
NOT_JUDGED = "not judged"
LIBRARY = "answered by the library"

HEAD = """# Every statement of the sources

The five texts behind this project make {count} statements. Each stands here with its verdict and the heading under
which it was measured; the numbers, seeds and machine are there. *{library}* names what computes the
answer, and judges nothing; *{not_judged}* means that nothing was measured; *partly* means that less was measured than
is said. The last column says what is left open, or what the source leaves undefined, of which nothing can be decided.
*{too_few}* means that the runs show neither a difference nor
equivalence; pages printed before 30 November 2026 say "{source}" of that too, and the number of pairs
that would be enough is estimated here from their intervals (80 % power, the margins of [reproducing](reproducing.md)).

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
        for heading, _, verdict, rest in CLAIM.findall(text):
            lacks_runs = verdict == FROM_THE_SOURCE and not any(reason in rest for reason in OF_THE_SOURCE)
            found.setdefault(heading, (page, f"{TOO_FEW}{pairs_needed(rest)}" if lacks_runs else verdict))
    return found


def pairs_needed(table):
    """Return how many pairs would tell the rivals of a printed contest of eight pairs, in words; nothing if none is."""
    needed = []
    for line in table.splitlines():
        if re.search(r"\| (Xavier|Kaiming|IRNN|np-RNN) \|", line) and (row := NOT_TOLD.search(line)):
            low, high = float(row[3]), float(row[4])
            # Of a mean the bootstrap interval is 2 · 1.96 standard errors wide, too narrow by √(7/8).
            deviation = math.log(high / low) / RANGE_OF_8 if row[1] else (high - low) / 3.92 * 8 / math.sqrt(7)
            needed.append(equivalence.pairs_needed(deviation, MARGINS["steps" if row[1] else "BLEU"], 0.05))
    return f" (8 pairs, not tested for equivalence; about {max(needed):.0f} would be enough)" if needed else ""


def by_row(statement):
    """Return the verdict that the printed row of a diagnostic gives, by the rule of the chapter on prediction."""
    page = (DOCS / "results" / "prediction.md").read_text(encoding="utf-8")
    (table,) = (rest for heading, _, _, rest in CLAIM.findall(page) if heading == statement["headings"][0])
    row = re.search(rf"^\| {re.escape(statement['row'])} \| (.*)", table, re.MULTILINE)[1]
    _, low, high, p = map(float, row.split(" | ")[:4])
    return str(ruling(p, [(low, high)]))


@cache
def statements():
    return tomllib.loads((DOCS / "statements.toml").read_text(encoding="utf-8"))["statement"]


def verdicts(statement):
    """Return the verdicts of a statement, without repetition."""
    if "row" in statement:
        return [by_row(statement)]
    found = [judged()[heading][1] for heading in statement.get("headings", [])]
    found += [LIBRARY] if "library" in statement else []
    found += [FROM_THE_SOURCE] if "undefined" in statement else []
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
        "partly judged" if in_words(each).startswith("partly") else verdicts(each)[0].partition(" (")[0]
        for each in statements()
    )
    return ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common()) + "."


def page():
    lines = [
        HEAD.format(
            count=len(statements()),
            too_few=TOO_FEW,
            source=FROM_THE_SOURCE,
            summary=summary(),
            library=LIBRARY,
            not_judged=NOT_JUDGED,
        )
    ]
    for number, title in TEXTS.items():
        lines += [f"## {title}\n", "| | the text says | verdict | where | left open |", "|---|---|---|---|---|"]
        for statement in statements():
            if statement["number"].startswith(f"{number}."):
                cells = [
                    statement["number"],
                    statement["says"].replace("|", "\\|"),
                    in_words(statement),
                    where(statement),
                    statement.get("open", statement.get("undefined", "")),
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


def test_no_statement_is_undecided_for_a_lack_of_runs():
    for statement in statements():
        assert "not run" not in in_words(statement)
        if FROM_THE_SOURCE in verdicts(statement):
            # What is left are angles, low ranks and a rival, of which the texts say nothing that could be contradicted.
            assert statement["number"] in {"3.8", "3.23", "4.14"}


def test_pairs_that_would_be_enough_are_read_off_a_printed_table():
    table = "| t | Xavier | 0.003 | 1 | 1 | 8/8 | 220 | × 0.957 [0.5, 2] | 0.812 | cannot tell |"
    deviation = math.log(4) / RANGE_OF_8
    enough = equivalence.pairs_needed(deviation, math.log(1.25), 0.05)
    assert pairs_needed(table) == f" (8 pairs, not tested for equivalence; about {enough:.0f} would be enough)"
    assert pairs_needed(table.replace("Xavier", "Haar")) == pairs_needed(table.replace("cannot tell", "worse")) == ""


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


def test_every_row_of_a_printed_table_has_the_cells_of_its_rule():
    bar = re.compile(r"(?<!\\)\|")
    for path in sorted((DOCS / "results").glob("*.md")):
        rule = 0
        lines = path.read_text(encoding="utf-8").splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            rule = (rule or (after.count("|") if re.fullmatch(r"\|(?:[ :-]+\|)+", after) else 0)) * line.startswith("|")
            assert not rule or len(bar.findall(line)) == rule, f"{path.name}: {line}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
