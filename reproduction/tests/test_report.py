"""The report of a reproduction: every claim with its verdict, as a page, as JSON and as Markdown."""

import json
import math
import re

import pytest
from matplotlib.figure import Figure
from tests.conftest import tab  # noqa: F401  (a fixture)
from tests.report.pages import HOSTILE, assert_a_browser_shows, assert_hostile_names_are_inert

from unitcircle.errors import UnknownNameError
from unitcircle_reproduction import TEXTS, Chapter, Claim, Context, Text, Verdict, reproduce, write_report
from unitcircle_reproduction._page import as_markdown, prose


def _figure():
    figure = Figure()
    figure.subplots().plot([0, 1], [1, 0])
    return figure


def _claims(context):
    yield Claim(
        "first", "A < B & more", "He says 3.", f"We find {context.pick(3.36, 3.363)}.", Verdict.CONDITIONALLY,
        table=[{"n": 10, "mean": 3.363222}], figures={"A line": _figure}, condition="at n = 10",
        data={"x": float("inf")},
    )  # fmt: skip
    yield Claim("second", "Another", "He says so.", "It is not.", Verdict.FAILS)


@pytest.fixture
def chapters(monkeypatch, tmp_path):
    source = Text("text", "A text", "Someone (2020)", {"claims": _claims})
    monkeypatch.setitem(TEXTS, "text", source)
    said = []
    *_, found = reproduce(["text"], Context(tmp_path, say=said.append))
    assert said == ["text: A < B & more: holds with a condition", "text: Another: does not hold here"]
    return found


def test_the_page_holds_every_claim_and_its_figures(chapters, tmp_path):
    page = write_report(chapters, tmp_path, names=["text"], full=False, seed=0).read_text(encoding="utf-8")
    for text in ("A &lt; B &amp; more", "He says 3.", "We find 3.36.", "holds with a condition", "at n = 10", "3.363"):
        assert text in page
    assert page.count("<svg") == 1
    assert "http" not in page.replace("http://www.w3.org", "")
    assert (tmp_path / "figures" / "text-first-1.svg").exists()


def test_a_bar_within_a_cell_does_not_begin_another():
    claim = Claim("a", "A", "So.", "So.", Verdict.HOLDS, table=[{"share of |λ| > 1": "|x|", "n": 3}])
    text = as_markdown([Chapter(Text("text", "T", "R", {}), (claim,), 0.0)], "Printed.")
    assert text.startswith(f"# The sources, ours beside theirs: {claim.title}\n")
    many = as_markdown([Chapter(Text("text", "T", "R", {}), (claim,) * 3, 0.0)], "Printed.")
    assert many.startswith("# The sources, ours beside theirs: T\n")
    assert "| share of \\|λ\\| > 1 | n |\n|---|---|\n| \\|x\\| | 3 |" in text


def test_names_cannot_become_markup(tmp_path):
    claim = Claim(
        "first", HOSTILE, HOSTILE, HOSTILE, Verdict.CONDITIONALLY, table=[{HOSTILE: HOSTILE}],
        figures={HOSTILE: _figure}, condition=HOSTILE, animations={HOSTILE: lambda: b"GIF89a"},
    )  # fmt: skip
    chapter = Chapter(Text("text", HOSTILE, HOSTILE, {}), [claim], 0.0)
    page = write_report([chapter], tmp_path, names=[HOSTILE], full=False, seed=0).read_text(encoding="utf-8")
    # The only image is the animation.
    assert page.count("<img") == 1
    assert_hostile_names_are_inert(page.replace("<img", "<object"))


def test_the_numbers_are_there_to_be_read_by_programs(chapters, tmp_path):
    write_report(chapters, tmp_path, names=["text"], full=True, seed=3)
    results = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert results["conditions"].startswith("Printed by `unitcircle reproduce text --full --seed 3` on ")
    (source,) = results["sources"]
    assert [claim["verdict"] for claim in source["claims"]] == ["holds with a condition", "does not hold here"]
    assert source["claims"][0]["table"] == [{"n": 10, "mean": 3.363222}]
    assert source["claims"][0]["data"] == {"x": "inf"}
    assert "| 10 | 3.363 |" in (tmp_path / "results.md").read_text(encoding="utf-8")


def test_what_has_been_measured_is_there_claim_by_claim(monkeypatch, tmp_path):
    for name in ("one", "two"):
        monkeypatch.setitem(TEXTS, name, Text(name, name, "Someone (2020)", {"claims": _claims}))
    seen = [
        [(chapter.text.name, len(chapter.claims), chapter.complete) for chapter in chapters]
        for chapters in reproduce(["two", "one"], Context(tmp_path))
    ]
    one = ("one", 2, True)
    assert seen == [
        [("one", 1, False)], [("one", 2, False)], [one, ("two", 1, False)], [one, ("two", 2, False)],
        [one, ("two", 2, True)],
    ]  # fmt: skip


def test_the_page_of_a_reproduction_that_was_stopped_says_so(monkeypatch, tmp_path):
    monkeypatch.setitem(TEXTS, "text", Text("text", "A text", "Someone (2020)", {"claims": _claims}))
    write_report(next(reproduce(["text"], Context(tmp_path))), tmp_path, names=["text"], full=True, seed=0)
    for name in ("index.html", "results.md"):
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "He says 3." in text
        assert "Stopped here: further claims of this source have not been measured." in text
    (source,) = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))["sources"]
    assert source["complete"] is False


def test_columns_of_words_stand_left_and_what_is_not_known_is_a_dash(tmp_path):
    rows = [{"law": "1 % quantile", "x": math.nan, "p": "3 [2, 4]"}, {"law": "mean", "x": math.inf, "p": ""}]
    claim = Claim("a", "A", "s", "m", Verdict.HOLDS, table=rows)
    chapter = Chapter(Text("x", "X", "r", {}), [claim], 0.0)
    text = write_report([chapter], tmp_path, names=["x"], full=False, seed=0).read_text(encoding="utf-8")
    text = text.partition("Here:")[2]
    assert text.count('<th scope="row" class="word">') == 2
    assert "<td>–</td>" in text
    assert "<td>∞</td>" in text
    assert "<td>3 [2, 4]</td>" in text


@pytest.mark.parametrize("name", ["nobody", "eigen/nothing", "eigen/", "nobody/claims", "/"])
def test_a_source_or_section_that_does_not_exist_is_refused(name, tmp_path):
    with pytest.raises(UnknownNameError, match="source must be one of"):
        reproduce([name], Context(tmp_path))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["one/a"], [("one", ["a"])]),
        (["two", "one/b"], [("one", ["b"]), ("two", ["a", "b"])]),
        (["one/b", "one"], [("one", ["a", "b"])]),
    ],
)
def test_a_section_is_measured_without_the_others(names, expected, monkeypatch, tmp_path):
    def section(name):
        return lambda _: [Claim(name, name, "s", "m", Verdict.HOLDS)]

    for name in ("one", "two"):
        made = {key: section(key) for key in ("a", "b")}
        monkeypatch.setitem(TEXTS, name, Text(name, name, "Someone (2020)", made))
    *_, found = reproduce(names, Context(tmp_path))
    assert [(chapter.text.name, [claim.name for claim in chapter.claims]) for chapter in found] == expected


def test_names_of_claims_and_sections_are_unique_and_can_be_typed():
    for source in TEXTS.values():
        for name in (source.name, *source.sections):
            assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)


def test_a_browser_opens_the_page_without_console_errors(tmp_path, tab):  # noqa: F811
    rows = [{"law": f"{k} % quantile", "measured": 1.5 * k, "predicted": 2.5 * k} for k in range(12)]
    claims = [Claim(verdict.name, f"Claim {verdict}", "s", "m", verdict, table=rows) for verdict in Verdict]
    chapter = Chapter(Text("x", "X", "r", {}), claims, 0.0)
    page = write_report([chapter], tmp_path, names=["x"], full=False, seed=0)
    assert_a_browser_shows(page.resolve(), tab, figures=0)
    assert tab.js("document.querySelectorAll('.tile').length") == len(Verdict)
    answer = (
        "Do the claims of the sources hold? 1 of 6 hold, 1 with a condition, 1 do not, 1 make no practical difference, "
        "1 had not enough runs, 1 undecided"
    )
    assert tab.js("document.querySelector('h1').textContent") == answer
    # Sorted and back again.
    names = "[...document.querySelectorAll('table')[1].tBodies[0].rows].map((row) => row.cells[0].textContent)"
    before = tab.js(names)
    for expected in (before, before[::-1], before):
        tab.js("document.querySelectorAll('table')[1].querySelectorAll('thead button')[1].click()")
        assert tab.js(names) == expected


def test_indices_and_code_of_a_text_are_set_as_such():
    assert prose("W_{10,2} of `F_n`, F_n and first_name, 2 < 3") == (
        "W<sub>10,2</sub> of <code>F_n</code>, F<sub>n</sub> and first_name, 2 &lt; 3"
    )


def test_values_of_many_thousands_can_be_told_apart(tmp_path):
    claim = Claim(
        "aic", "AIC", "", "", Verdict.HOLDS, table=[{"law": "a", "AIC": 28720.4}, {"law": "b", "AIC": 28729.0}]
    )
    chapter = Chapter(Text("text", "A text", "Someone", {}), [claim], 0.0)
    page = write_report([chapter], tmp_path, names=["text"], full=False, seed=0).read_text(encoding="utf-8")
    assert "<td>28,720</td>" in page
    assert "<td>28,729</td>" in page
