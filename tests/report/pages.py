"""What every page has to be: self-contained, with a label for every marker, and at ease in a real browser."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def in_a_browser(test):
    """Run a test of ``page`` and ``size`` where there is a browser, as wide as a desktop and as a phone."""
    test = pytest.mark.parametrize("size", ["1200,900", "390,844"], ids=["desktop", "phone"])(test)
    return pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")(test)


def assert_nothing_is_loaded(text):
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!#|data:)""", text)
    assert not re.search(r"url\((?!#|['\"]?#)", text)
    assert "@import" not in text


HOSTILE = """</script><img src=x onerror="alert(1)">'`<!--<script>&"""
"""A name that becomes markup wherever one is not escaped: text, attribute, script, comment."""
SCRIPTS = 2
"""Elements of this kind in a page: the labels and the code that shows them."""


def assert_hostile_names_are_inert(text):
    """Whether the page holds nothing that :data:`HOSTILE` would add were it not escaped, though it shows it."""
    parser = _Elements()
    parser.feed(text)
    parser.close()
    assert parser.elements.count("script") == SCRIPTS
    assert "img" not in parser.elements
    assert not [name for name in parser.attributes if name.startswith("on")]
    assert "<" not in re.search(r'id="hover">(.*?)</script>', text, re.DOTALL).group(1)
    assert HOSTILE in "".join(parser.text)


class _Elements(HTMLParser):
    def __init__(self):
        super().__init__()
        self.elements, self.attributes, self.text = [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_data(self, data):
        self.text.append(data)


def hover_of(text):
    """The labels of the page's marked artists."""
    return json.loads(re.search(r'id="hover">(.*?)</script>', text, re.DOTALL).group(1))


def assert_every_marker_has_a_label(text):
    for gid, labels in hover_of(text).items():
        group = re.search(rf'<g id="{gid}">(.*?)\n   </g>', text, re.DOTALL).group(1)
        drawn = len(re.findall("<use ", group)) or len(re.findall(r"^[ML] ", group.split(' d="')[1], re.MULTILINE))
        assert drawn == len(labels), gid


def assert_a_browser_shows(page, size, tmp_path, *, figures):
    """Whether it opens without console errors, is no wider than the window, and has so many figures."""
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    flags += ["--disable-sync", "--disable-component-update", "--enable-logging=stderr"]
    flags.append(f"--user-data-dir={tmp_path / 'profile'}")
    # The page reports on itself: what the script attached, and whether it is wider than its frame. It stands in a frame
    # because a browser window is never narrower than 500 pixels, whatever --window-size says.
    width, height = size.split(",")
    fits, drawn = "document.documentElement.scrollWidth <= innerWidth", "document.querySelectorAll('svg').length"
    probe, frame = tmp_path / "probe.html", tmp_path / "frame.html"
    check = f"<script>parent.postMessage(`${{{fits}}} ${{innerWidth}} ${{{drawn}}}`, '*')</script>"
    probe.write_text(page.read_text(encoding="utf-8").replace("</body>", f"{check}</body>"), encoding="utf-8")
    inside = f'<iframe src="probe.html" style="border: 0; width: {width}px; height: {height}px"></iframe>'
    frame.write_text(f"<script>onmessage = (event) => {{ document.title = event.data }}</script>{inside}")
    command = [CHROMIUM, *flags, "--window-size=1280,900", "--dump-dom", frame.as_uri()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "CONSOLE" not in run.stderr
    assert f"<title>true {width} {figures}</title>" in run.stdout
