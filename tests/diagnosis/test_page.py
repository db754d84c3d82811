"""The HTML report: complete, self-contained, and without errors in a real browser."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest
from tests.browser import DESKTOP, PHONE
from tests.report.pages import (
    HOSTILE,
    PROBLEMS,
    assert_a_browser_shows,
    assert_every_marker_has_a_label,
    assert_hostile_names_are_inert,
    assert_nothing_is_loaded,
    hover_of,
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
    assert {"layer-0-eig-f", "layer-0-sigma-o", "layer-0-norm-i", "layer-0-driven", "layer-2-eig-λ"} <= set(hover)
    assert_every_marker_has_a_label(text)


def test_a_browser_opens_it_without_console_errors(page, tab):
    assert_a_browser_shows(page, tab, figures=6 + 3 + 3)  # a gate each, and two


def test_what_was_not_read_stands_on_the_page_once(tmp_path):
    sentence = "blocks.0.att looks like RWKV-7 (k_k, k_a, r_k): not read"
    layer = from_torch(np.eye(4) / 2, cell="rnn_tanh", name="rnn")
    diagnosis = replace(diagnose([layer]), coverage=Coverage(unread=(sentence,)))
    page = diagnosis.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert html.unescape(page).count(sentence) == 1
    assert str(diagnosis.coverage).count(sentence) == 1


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    """The page of 400 layers, of which one is not finite and each fourth is orthogonal as a stack only."""
    rng = np.random.default_rng(0)
    layers = []
    for k in range(400):
        stack = rng.standard_normal((16, 4)) / 2
        stack = np.linalg.qr(stack)[0] if k % 4 == 3 else np.full((16, 4), np.nan) if k == 250 else stack
        bias = np.ones(16) * (k % 2)
        layers.append(from_torch(stack, cell="lstm", bias_ih=bias, name=f"blocks.{k}.{'rnn' * 5}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("unitcircle.diagnosis._page.DRAWN_LAYERS", 1)  # drawing is what takes long
        return diagnose(layers, steps=12).to_html(tmp_path_factory.mktemp("deep") / "report.html")


def test_of_400_layers_the_worst_come_first(deep):
    text = deep.read_text(encoding="utf-8")
    assert len(text) < 1_500_000  # beside 3 MB of figures
    names = re.findall(r'<span id="layer-(\d+)">', text)
    assert sorted(map(int, names)) == list(range(400))
    assert names[0] == "250"
    assert "399 further layers are in the table only" in text
    assert re.search(r"<summary>and at \d+ more</summary>", text)
    # A gate's measurements are of the layer in whose group they stand.
    assert text.count("</tbody><tbody>") == 399


def test_a_long_table_is_folded_sorted_and_filtered(deep, tab):
    tab.size(*DESKTOP)
    tab.look()
    tab.open(deep.as_uri())
    shown = "[...document.querySelectorAll('tbody')].filter((body) => !body.hidden)"
    assert tab.js("document.querySelector('output').textContent") == "40 of 400 shown"
    assert tab.js(f"{shown}.length") == 40
    tab.js("document.querySelectorAll('thead button')[4].click()")  # ρ, the smallest first
    radii = f"{shown}.map((body) => Math.max(...[...body.rows].map((row) => Number(row.cells[4].textContent))))"
    ascending = tab.js(radii)
    assert ascending == sorted(ascending)
    assert tab.js("document.querySelectorAll('thead th')[4].getAttribute('aria-sort')") == "ascending"
    tab.js("document.querySelectorAll('thead button')[4].click()")
    descending = tab.js(radii)
    assert descending == sorted(descending, reverse=True)
    assert descending[0] > ascending[-1]
    tab.js("document.querySelectorAll('thead button')[4].click()")  # as it was
    assert "blocks.250." in tab.js(f"{shown}[0].textContent")
    tab.js("const i = document.querySelector('input'); i.value = 'BLOCKS.39'; i.dispatchEvent(new Event('input')); 0")
    assert tab.js(f"{shown}.length") == 11  # 39 and 390 to 399
    tab.js("location.hash = '#layer-388'")
    tab.wait("!document.getElementById('layer-388').closest('tbody').hidden")
    assert tab.js(f"{shown}.length") == 400
    assert tab.js(PROBLEMS) == []
    assert tab.console == []


def test_values_are_read_with_the_keyboard(page, tab):
    tab.size(*PHONE)
    tab.look()
    tab.open(page.as_uri())
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    tab.js("document.querySelector('figure svg').focus()")
    for key, index in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowLeft", 0), ("End", 3)):
        tab.press(key)
        assert tab.js(tip) == hover_of(page.read_text(encoding="utf-8"))["layer-0-eig-i"][index]
    tab.press("Escape")
    assert not tab.js(tip)
    tab.js("document.querySelector('.tile').focus()")
    assert tab.js(tip).startswith("lstm: ")


def test_it_prints(page, tab):
    tab.look(media="print", dark=True)
    tab.open(page.as_uri())
    assert tab.js("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert tab.js("document.querySelector('.sections').checkVisibility()") is False
    assert tab.pdf().startswith(b"%PDF")


def test_among_equal_verdicts_the_furthest_from_carrying_comes_first(tmp_path):
    sizes = (0.4, 0.2, 0.3)
    layers = [from_torch(size * np.eye(4), cell="rnn_tanh", name=f"rnn{size}") for size in sizes]
    text = diagnose(layers, steps=20).to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert re.findall(r'<span id="layer-\d+">(.*?)</span>', text) == ["rnn0.2", "rnn0.3", "rnn0.4"]


def test_a_map_is_one_stop_of_the_tab_key(deep, tab):
    tab.size(*DESKTOP)
    tab.look()
    tab.open(deep.as_uri())
    name = "document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent"
    assert tab.js("document.querySelectorAll('.tile:not([tabindex=\"-1\"])').length") == 1
    assert "400 places, with the arrow keys" in tab.js("document.querySelector('.map').getAttribute('aria-label')")
    tab.js("document.querySelector('.tile').focus()")
    for key, layer in (("ArrowRight", 1), ("End", 399), ("ArrowLeft", 398)):
        tab.press(key)
        assert tab.js(name).startswith(f"blocks.{layer}.")
    assert f"blocks.398.{'rnn' * 5}: " in tab.js("document.getElementById('tip').textContent")
    tab.press("Escape")
    assert tab.js("document.getElementById('tip').hidden")
    tab.press("Enter")
    tab.wait("location.hash === '#layer-398'")


def test_on_paper_it_is_said_that_rows_are_folded(deep, tab):
    tab.look(media="print")
    tab.open(deep.as_uri())
    assert tab.js("document.querySelector('output').checkVisibility()")
    assert not tab.js("document.querySelector('.tools input').checkVisibility()")
