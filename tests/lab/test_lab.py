"""The lab: notebooks that run, views that are made by the lines they print, and a command with clear errors."""

import re
import runpy
import subprocess
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from unitcircle import cli, lab
from unitcircle.errors import UnknownNameError
from unitcircle.report import plot_powers


@pytest.fixture(scope="module", params=[topic for topic in lab.NOTEBOOKS if topic != "file"])
def content(request):
    return runpy.run_path(str(lab.notebook(request.param)))


def test_every_view_is_drawn_and_prints_its_lines(content):
    # Small: what is drawn is tested where it is made.
    size = {"n": 8} | ({"depth": 3} if "depth" in content["lines"].__code__.co_varnames else {})
    for name in content["VIEWS"]:
        shown = lab.view(content["lines"](name, **size))
        html = shown._repr_html_()
        assert type(html) is str  # marimo shows no subclass of it
        assert shown.picture.count("<svg") + bool(shown.value) == 1, name
        assert "ax=ax" not in shown.code
        assert shown.code.splitlines()[-1].replace("'", "&#39;").replace('"', "&#34;")[:20] in html
        # What is printed runs outside of the lab.
        exec(compile(f"{shown.before}\n{shown.code}", name, "exec"), {})
        plt.close("all")


def test_other_values_give_another_picture(content):
    name = content["VIEWS"][0]
    first, again, other = (lab.view(content["lines"](name, n=n)).picture for n in (6, 6, 10))
    assert first == again
    assert first != other


def test_the_notebooks_have_no_mathematics_of_their_own():
    for topic in lab.NOTEBOOKS:
        text = lab.notebook(topic).read_text(encoding="utf-8")
        assert "import numpy" not in text
        assert "import scipy" not in text
        assert len(text.splitlines()) < 120


def test_a_notebook_runs_whole(content):
    outputs, _ = content["app"].run()
    assert any(isinstance(output, lab.View) for output in outputs)


def test_without_a_file_the_notebook_of_files_asks_for_one():
    outputs, _ = runpy.run_path(str(lab.notebook("file")))["app"].run()
    assert any("Drop a file" in str(getattr(output, "text", "")) for output in outputs)
    lines = runpy.run_path(str(lab.notebook("file")))["lines"]
    popular = Path(__file__).parents[2] / "examples" / "popular-lstm.safetensors"
    assert "<svg" in lab.view(lines("eigenvalues", str(popular), 1, "f")).picture


def test_a_value_is_shown_as_text_that_is_escaped():
    shown = lab.view('x = 2\nf"<b>{x * 3}</b>"')
    assert (shown.value, shown.picture) == ("<b>6</b>", "")
    assert "&lt;b&gt;6&lt;/b&gt;" in shown._repr_html_()


def test_the_film_strip_shows_the_powers_at_the_scale_of_the_weight():
    from matplotlib.figure import Figure

    W = np.array([[0.0, -0.5], [0.5, 0.25]])
    ax = plot_powers(W, steps=4, ax=Figure().subplots())
    sheet = ax.images[0].get_array()
    frames = [sheet[0:2, 0:2], sheet[0:2, 3:5], sheet[3:5, 0:2]]
    for t, frame in zip((1, 2, 4), frames, strict=True):
        np.testing.assert_array_equal(frame, np.linalg.matrix_power(W, t))  # dyadic: exact
    assert ax.images[0].get_clim() == (-0.5, 0.5)
    assert [text.get_text() for text in ax.texts] == ["t = 1", "t = 2", "t = 4"]


def test_the_command_without_marimo_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr("unitcircle.cli._lab.find_spec", lambda name: None)
    assert cli.main(["lab"]) == 2
    assert "the lab needs marimo, which is not installed: pip install 'unitcircle[lab]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"), [(["ensemble"], "topic must be one of"), (["--port", "0"], "--port must be")]
)
def test_what_the_command_refuses(words, message, capsys):
    assert cli.main(["lab", *words]) == 2
    assert message in capsys.readouterr().err


def test_the_command_serves_one_topic_or_all_on_this_machine_only(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "unitcircle.cli._lab.subprocess.run",
        lambda command, check: calls.append(command) or subprocess.CompletedProcess(command, 0),
    )
    assert cli.main(["lab", "gates", "--headless"]) == 0
    assert cli.main(["lab", "--port", "4000"]) == 0
    one, every = calls
    assert str(lab.notebook("gates")) in one
    assert "--headless" in one
    assert str(lab.notebook("gates").parent) in every
    assert all(command[command.index("--host") + 1] == "127.0.0.1" for command in calls)


def test_a_topic_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="ensembles"):
        lab.notebook("ensemble")


def test_the_pseudospectrum_under_the_cursor_is_that_of_the_library(tmp_path, tab):
    lines = runpy.run_path(str(lab.notebook("powers")))["lines"]
    shown = lab.view(lines("pseudospectrum", 4, 0.5, 1.0))
    W = 0.5 * np.eye(4) + np.eye(4, k=1)
    for text in (shown.cursor[0], shown.cursor[len(shown.cursor) // 2 + 7]):
        z, sigma = re.fullmatch(r"z = (.*)i: σ_min\(zI − W\) = (.*)", text).groups()
        z = complex(z.replace("−", "-").replace(" ", "") + "j")
        found = np.linalg.svd(z * np.eye(4) - W, compute_uv=False)[-1]
        assert float(sigma.replace("−", "-")) == pytest.approx(found, abs=0.01)  # three digits of z
    page = tmp_path / "view.html"
    page.write_text(f"<!doctype html><meta charset=utf-8>{shown._repr_html_()}", encoding="utf-8")
    tab.look()
    tab.size(800, 900)
    tab.open(page.as_uri())
    frame = "document.querySelector('iframe').contentDocument"
    tab.wait(f"{frame}.querySelectorAll('#cursor use').length > 0")
    for place in (0, 500, len(shown.cursor) - 1):
        tab.js(f"{frame}.querySelectorAll('#cursor use')[{place}].dispatchEvent(new PointerEvent('pointermove')); 0")
        assert tab.js(f"{frame}.getElementById('tip').textContent") == shown.cursor[place]
    # The markers cover the axes, and are what the pointer meets.
    box = f"{frame}.querySelector('#cursor').getBoundingClientRect()"
    hit = f"((b) => {frame}.elementFromPoint(b.x + 0.4 * b.width, b.y + 0.5 * b.height))({box})"
    assert tab.js(f"{hit}.closest('#cursor') !== null")
    assert lab.view(lines("norm of the powers", 4)).cursor == []
    assert tab.console == []
