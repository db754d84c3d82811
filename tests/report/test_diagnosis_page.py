"""The HTML report: complete, self-contained, and without errors in a real browser."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

from unitcircle.diagnosis import diagnose
from unitcircle.recurrence import from_diagonal, from_torch

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


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
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert not re.search(r"url\((?!#|['\"]?#)", text)
    assert "@import" not in text


def test_names_from_the_file_cannot_become_markup(page):
    text = page.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert "&lt;broken&gt; &amp;" in text


def test_every_marked_artist_is_in_a_figure_with_as_many_labels_as_markers(page):
    text = page.read_text(encoding="utf-8")
    hover = json.loads(re.search(r'id="hover">(.*?)</script>', text, re.DOTALL).group(1))
    assert {"layer0-eig-f", "layer0-sigma-o", "layer0-norm-i", "layer0-driven", "layer2-eig-λ"} <= set(hover)
    for gid, labels in hover.items():
        group = re.search(rf'<g id="{gid}">(.*?)\n   </g>', text, re.DOTALL).group(1)
        drawn = len(re.findall("<use ", group)) or len(re.findall(r"^[ML] ", group.split(' d="')[1], re.MULTILINE))
        assert drawn == len(labels), gid


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.parametrize("size", ["1200,900", "390,844"], ids=["desktop", "phone"])
def test_a_browser_opens_it_without_console_errors(page, size, tmp_path):
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-sync", "--disable-component-update", "--enable-logging=stderr"]
    flags.append(f"--user-data-dir={tmp_path / 'profile'}")
    probe = tmp_path / "probe.html"
    # The page reports on itself: what the script attached, and whether it is wider than the window.
    report = "`${document.documentElement.scrollWidth <= innerWidth} ${document.querySelectorAll('svg').length}`"
    check = f"<script>document.title = {report}</script>"
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{check}</body>"), encoding="utf-8")
    command = [CHROMIUM, *flags, f"--window-size={size}", "--dump-dom", probe.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    assert "<title>true 3</title>" in run.stdout
