"""The HTML report: complete, self-contained, and without errors in a real browser."""

import html
from dataclasses import replace

import numpy as np
import pytest
from tests.report.pages import (
    HOSTILE,
    assert_a_browser_shows,
    assert_every_marker_has_a_label,
    assert_hostile_names_are_inert,
    assert_nothing_is_loaded,
    hover_of,
    in_a_browser,
)

from unitcircle.checkpoints import Coverage, Entry
from unitcircle.diagnosis import Diagnosis, Examination, Finding, Place, Severity, Trial, Trials, diagnose
from unitcircle.recurrence import from_diagonal, from_torch


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    weight = np.random.default_rng(0).standard_normal((16, 4)) / 2
    bad = from_torch(np.full((4, 4), np.nan), cell="rnn_tanh", name='<broken> & "quoted"')
    layers = [
        from_torch(np.eye(16, 4), cell="lstm", weight_ih=weight[:, :3], name="lstm"),
        from_torch(weight[:4], cell="rnn_tanh", name="</script><script>alert(1)</script>"),
        from_diagonal(np.array([0.9, 0.5j]), name="lru"),
        bad,
    ]
    return diagnose(layers, steps=12).to_html(tmp_path_factory.mktemp("report") / "new" / "report.html")


def test_it_loads_nothing_from_anywhere(page):
    assert_nothing_is_loaded(page.read_text(encoding="utf-8"))


def test_names_from_the_file_cannot_become_markup(page):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;broken&gt; &amp;" in text


def test_no_field_of_a_diagnosis_can_become_markup(tmp_path):
    layer = from_torch(np.eye(8, 2), cell="lstm", name=HOSTILE)
    (exam,) = diagnose([layer], steps=3, select=["UC106"]).layers
    values = dict.fromkeys(("flow", "typical_direction", "effective_dimension"), np.ones(2))
    trial = Trial(HOSTILE, HOSTILE, values, scores=np.ones(2))
    trials = Trials((trial,), {HOSTILE: 1.0})
    place = Place(HOSTILE, HOSTILE, HOSTILE)
    finding = Finding(Severity.NOTE, place, HOSTILE, HOSTILE, HOSTILE, {HOSTILE: HOSTILE}, HOSTILE, HOSTILE)
    coverage = Coverage((Entry(HOSTILE, (2,), HOSTILE),), (Entry(HOSTILE, (2,), HOSTILE, undecided=True),), (HOSTILE,))
    examination = Examination([exam], 3, trials=trials)
    diagnosis = Diagnosis(HOSTILE, HOSTILE, examination, (finding,), coverage)
    assert_hostile_names_are_inert(diagnosis.to_html(tmp_path / "page.html").read_text(encoding="utf-8"))


def test_every_marked_artist_is_in_a_figure_with_as_many_labels_as_markers(page):
    text = page.read_text(encoding="utf-8")
    hover = hover_of(text)
    assert {"layer0-eig-f", "layer0-sigma-o", "layer0-norm-i", "layer0-driven", "layer2-eig-λ"} <= set(hover)
    assert_every_marker_has_a_label(text)


@in_a_browser
def test_a_browser_opens_it_without_console_errors(page, size, tmp_path):
    assert_a_browser_shows(page, size, tmp_path, figures=3)


def test_what_was_not_read_stands_on_the_page_once(tmp_path):
    sentence = "blocks.0.att looks like RWKV-7 (k_k, k_a, r_k): not read"
    layer = from_torch(np.eye(4) / 2, cell="rnn_tanh", name="rnn")
    diagnosis = replace(diagnose([layer]), coverage=Coverage(unread=(sentence,)))
    page = diagnosis.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.unescape(page).count(sentence) == 1
    assert str(diagnosis.coverage).count(sentence) == 1
