"""The page of a comparison: self-contained, complete, and without errors in a real browser."""

import json
import re
import shutil
import subprocess

import pytest
from tests.study_records import finder, noise, record, study

from unitcircle.experiments.studies._comparison import compare
from unitcircle.report._study_page import study_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
EVIL = "</script><script>alert(1)</script>"


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    labels = {"A": "torch_default", EVIL: "orthogonal", "C": "xavier_normal"}
    planned = study(labels, experiment={"learning_rates": (3e-4, 1e-3, 3e-3)}, description="<b>What</b> & why")
    records = finder(planned, lambda label, run: record(run, 0.5 + 0.2 * (label == EVIL) + noise(label, run)))
    comparison = compare(planned, lambda run: records.get(run.key))
    return study_page(comparison, tmp_path_factory.mktemp("report") / "new" / "report.html")


def test_it_loads_nothing_from_anywhere(page):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert not re.search(r"url\((?!#|['\"]?#)", text)
    assert "@import" not in text


def test_names_cannot_become_markup(page):
    text = page.read_text(encoding="utf-8")
    assert "</script><script>alert" not in text
    # What is left of it is a string of the page's data, which cannot end their element.
    assert "<script>alert" not in re.sub(r'id="hover">.*?</script>', "", text, flags=re.DOTALL)
    assert "&lt;b&gt;What&lt;/b&gt; &amp; why" in text


def test_the_table_has_the_verdict_and_its_reasons(page):
    text = page.read_text(encoding="utf-8")
    assert re.search(r"<td[^>]*>better</td>", text)
    for heading in ("mean [95 %]", "to the reference [95 %]", "p, Holm", "Cliff&#x27;s δ", "worst", "solved [95 %]"):
        assert heading in text
    assert "diverged" not in re.search(r"<thead>.*?</thead>", text).group(0)  # nobody did: no such column
    assert "The data cannot tell from A: C by" in text


def test_every_marked_artist_has_as_many_labels_as_markers(page):
    text = page.read_text(encoding="utf-8")
    hover = json.loads(re.search(r'id="hover">(.*?)</script>', text, re.DOTALL).group(1))
    assert {f"block0-{kind}{k}" for kind in ("seeds", "curve") for k in range(4)} == set(hover)
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
    report = "`${document.documentElement.scrollWidth <= innerWidth} ${document.querySelectorAll('svg').length}`"
    check = f"<script>document.title = {report}</script>"
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{check}</body>"), encoding="utf-8")
    command = [CHROMIUM, *flags, f"--window-size={size}", "--dump-dom", probe.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    assert "<title>true 1</title>" in run.stdout
