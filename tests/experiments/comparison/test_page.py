"""The page of a comparison: self-contained, complete, and without errors in a real browser."""

import re

import pytest
from tests.report.pages import (
    HOSTILE,
    assert_a_browser_shows,
    assert_every_marker_has_a_label,
    assert_hostile_names_are_inert,
    assert_nothing_is_loaded,
    hover_of,
)
from tests.study_records import finder, noise, record, study

from unitcircle.experiments.comparison import compare, study_page


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    labels = {"A": "torch_default", HOSTILE: "orthogonal", "C": "xavier_normal"}
    planned = study(
        labels, experiment={"learning_rates": (3e-4, 1e-3, 3e-3)}, description=f"<b>What</b> & why {HOSTILE}"
    )
    records = finder(planned, lambda label, run: record(run, 0.5 + 0.2 * (label == HOSTILE) + noise(label, run)))
    comparison = compare(planned, lambda run: records.get(run.key))
    return study_page(comparison, tmp_path_factory.mktemp("report") / "new" / "report.html")


def test_it_loads_nothing_from_anywhere(page):
    assert_nothing_is_loaded(page.read_text(encoding="utf-8"))


def test_names_cannot_become_markup(page):
    text = page.read_text(encoding="utf-8")
    assert_hostile_names_are_inert(text)
    assert "&lt;b&gt;What&lt;/b&gt; &amp; why" in text


def test_the_table_has_the_verdict_and_its_reasons(page):
    text = page.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
    assert re.search(r'<td[^>]*><span class="mark good">.*? better</span>', text)
    for heading in ("mean [95 %]", "to the reference [95 %]", "p, Holm", "Cliff&#39;s δ", "worst", "solved [95 %]"):
        assert heading in text
    assert "diverged" not in re.search(r"<thead>.*?</thead>", text).group(0)  # nobody did: no such column
    assert "Not significantly different from A: C by" in text


def test_every_marked_artist_has_as_many_labels_as_markers(page):
    text = page.read_text(encoding="utf-8")
    hover = hover_of(text)
    assert {f"chart0-{kind}{k}" for kind in ("seeds", "curve") for k in range(4)} == set(hover)
    assert_every_marker_has_a_label(text)


def test_a_browser_opens_it_without_console_errors(page, tab):
    assert_a_browser_shows(page, tab, figures=3)


def test_a_number_breaks_from_its_interval_and_nowhere_else(page):
    cells = re.findall(r"<td>([^<]* \[[^<]*\])</td>", page.read_text(encoding="utf-8"))
    assert cells
    assert all(cell.count(" ") == 1 and cell.split(" ")[1].startswith("[") for cell in cells)
