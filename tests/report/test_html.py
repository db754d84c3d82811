"""Tables and pages: what is text stays text, whatever it says."""

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure
from tests.report.pages import HOSTILE, assert_hostile_names_are_inert, hover_of

from unitcircle.report import COLORS, FIGURE_RC, inline_svg, page, render, style, table

ESCAPED = "&lt;/script&gt;&lt;img src=x onerror=&#34;alert(1)&#34;&gt;&#39;`&lt;!--&lt;script&gt;&amp;"


def test_a_table_has_a_heading_a_column_and_a_line_a_row():
    rows = [{"name": "a", "n": 1, "verdict": "good"}, {"name": "b", "n": None, "verdict": "bad"}]
    html = table(rows, names=["name"], words=["verdict"], first=[0, 1], caption="what & why", fold=30)
    assert html == Markup(
        """<div class="scroll" role="region" tabindex="0" aria-label="what &amp; why"><table data-fold="30">
<caption>what &amp; why</caption>
<thead><tr>"""
        """<th scope="col" class="word name">name</th><th scope="col">n</th><th scope="col" class="word">verdict</th>"""
        """</tr></thead>
<tbody>
<tr><th scope="row" class="word name">a</th><td>1</td><td class="word">good</td></tr>
</tbody><tbody>
<tr><th scope="row" class="word name">b</th><td></td><td class="word">bad</td></tr>
</tbody>
</table></div>"""
    )


def test_a_table_without_rows_is_empty():
    assert "<td" not in table([])


def test_headings_and_values_are_text_unless_they_are_html():
    html = table([{HOSTILE: HOSTILE, "link": Markup("<a href='#x'>x</a>")}], names=[HOSTILE])
    assert html.count(ESCAPED) == 2
    assert HOSTILE not in html
    assert "<td><a href='#x'>x</a></td>" in html
    assert ESCAPED in table([{"a": 1}], caption=HOSTILE)


def test_title_and_labels_of_a_page_are_inert():
    text = page(HOSTILE, Markup("<p>{}</p>").format(HOSTILE), {"dots": [HOSTILE], HOSTILE: ["label"]})
    assert_hostile_names_are_inert(text)
    assert f"<title>{ESCAPED}</title>" in text
    assert hover_of(text) == {"dots": [HOSTILE], HOSTILE: ["label"]}


def test_label_and_text_of_a_figure_are_inert():
    figure = Figure()
    figure.text(0.5, 0.5, HOSTILE).set_gid(HOSTILE)
    outlines = inline_svg(figure, label=HOSTILE)
    with style():  # with its letters as text
        svg = inline_svg(figure, label=HOSTILE)
    assert svg.startswith(f'<svg role="img" aria-label="{ESCAPED}"')
    assert "<!--" not in outlines
    assert_hostile_names_are_inert(page("", svg, {}))


def test_dark_colours_of_a_figure_are_those_of_the_page():
    figure = Figure()
    with rc_context(FIGURE_RC):
        figure.subplots().plot([0, 1], color=COLORS["blue"], label="x")
    text = page("", inline_svg(figure, label="line"), {})
    assert COLORS["blue"].lower() not in text.partition("<svg")[2]
    assert "stroke: var(--blue)" in text
    assert "stroke: currentColor" in text
    assert text.count("--blue:") == 2  # light, dark


def test_a_figure_has_a_pixel_for_every_point_of_its_width():
    svg = inline_svg(Figure(figsize=(4.5, 3)), label="")
    assert 'style="--width: 324px"' in svg.partition(">")[0]  # 4.5 inches of 72 points


def test_a_template_whose_variable_is_missing_is_refused():
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        render("unitcircle.report/page.html", body="")
