"""What every page has to be: self-contained, with a label for every marker, and at ease in a real browser."""

import json
import re
from html.parser import HTMLParser

from tests.browser import DESKTOP, PHONE


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


PROBLEMS = r"""(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const problems = [];
  const complain = (what, element) => problems.push(`${what}: ${element.outerHTML.slice(0, 80)}`);
  if (document.documentElement.scrollWidth > innerWidth) problems.push("wider than the window");
  const ids = all("[id]:not(defs *)").map((element) => element.id);
  if (new Set(ids).size < ids.length) problems.push("an id twice");
  for (const link of all("a[href^='#']"))
    if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) complain("leads nowhere", link);
  const visible = (element) => element.checkVisibility() && element.getClientRects().length;
  for (const element of all("a, button, input, svg, nav, [role=region]").filter(visible))
    if (!(element.getAttribute("aria-label") || element.textContent.trim())) complain("no name", element);
  const numbers = (color) => {
    const parts = (color.match(/[\d.]+/g) ?? []).map(Number);
    return color.startsWith("color(srgb") ? parts.map((part, k) => (k < 3 ? 255 * part : part)) : parts;
  };
  const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * linear(r / 255) + 0.7152 * linear(g / 255) + 0.0722 * linear(b / 255);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const color = numbers(getComputedStyle(e).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  for (const element of all("body *:not(script):not(svg *)").filter(visible)) {
    if (![...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim())) continue;
    const pair = [light(numbers(getComputedStyle(element).color)), light(behind(element))];
    // As WCAG 2 has it for text of this size.
    if ((Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05) < 4.5) complain("contrast", element);
  }
  return problems;
})()"""
"""What a reader on a phone, in the dark, with a keyboard or a screen reader would meet on a page."""


def assert_a_browser_shows(page, tab, *, figures):
    """Whether it opens without errors, wide and narrow, light and dark, and has so many figures."""
    for width, height in (DESKTOP, PHONE):
        tab.size(width, height)
        for dark in (False, True):
            tab.look(dark=dark)
            tab.open(page.as_uri())
            assert tab.js(PROBLEMS) == []
    assert tab.js("document.querySelectorAll('svg').length") == figures
    assert tab.console == []
