"""Check the built site: its search finds what people type, its links lead somewhere, its text is what was meant.

``python docs/check_site.py docs/_build/html`` prints what is wrong, and ends with status 1 if anything is.
"""

import html
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

SEARCHES = {
    "vanishing": "findings/UC201",
    "forget bias": "findings/UC110",
    "spectral radius": "reference/spectra",
    "lyapunov": "reference/dynamics",
    "fixed points": "reference/dynamics",
    "memory capacity": "tutorials/3_reservoir",
    "monitor": "reference/monitor",
}
"""What is typed → a page that has to be among the answers."""
OUTSIDE = {"http", "https", "mailto", "data", "javascript"}


def main(folder: Path) -> int:
    """Print what is wrong, and return how much."""
    wrong = [*searches(folder), *texts(folder), *links(folder), *versions(folder)]
    for line in wrong:
        print(line, file=sys.stderr)
    return len(wrong)


def searches(folder: Path):
    """Yield searches whose page is not found, by the index that the pages load."""
    from sphinx.search.en import SearchEnglish  # noqa: PLC0415  (the other checks need no sphinx)

    text = (folder / "searchindex.js").read_text(encoding="utf-8")
    index = json.loads(text[text.index("{") : text.rindex("}") + 1])
    stem = SearchEnglish({}).stem
    for words, page in SEARCHES.items():
        found = set(range(len(index["docnames"])))
        for word in words.split():
            key = stem(word.lower())
            found &= {n for table in ("terms", "titleterms") for n in numbers(index[table].get(key, []))}
        if page not in {index["docnames"][n] for n in found}:
            yield f"a search for {words!r} does not find {page}"


def numbers(value) -> list[int]:
    """Return the pages of an entry of the index: one number, or a list."""
    return [value] if isinstance(value, int) else list(value)


def texts(folder: Path):
    """Yield faults of rendering that readers have met."""
    listed = (folder / "findings" / "index.html").read_text(encoding="utf-8")
    codes = re.findall(r'href="(UC\d+)\.html"><', listed) or re.findall(r'href="(UC\d+)\.html"', listed)
    if not codes or list(dict.fromkeys(codes)) != sorted(set(codes)):
        yield f"findings/index.html: the codes are not sorted: {codes}"
    if "|λ| &gt; 1, or forgets" not in listed:
        yield "findings/index.html: the row of UC112 ends at its first bar"
    for page in folder.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        if re.search(r"<script[^>]*(mathjax|katex|//cdn)", text, re.IGNORECASE):
            yield f"{page.relative_to(folder)}: its formulas need a network"
    members = (folder / "reference" / "spectra.html").read_text(encoding="utf-8")
    if "Type:" in re.sub("<[^>]*>", "", members).split("VANISHES", 1)[-1][:400]:
        yield "reference/spectra.html: what an enum member means is shown as its type"


class Anchors(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.names: set[str] = set()

    def handle_starttag(self, _tag, attrs) -> None:
        values = dict(attrs)
        self.names |= {value for key in ("id", "name") if (value := values.get(key))}
        self.links += [value for key in ("href", "src") if (value := values.get(key))]


def links(folder: Path):
    """Yield links to pages, files and headings that do not exist."""
    pages: dict[Path, Anchors] = {}
    for page in sorted(folder.rglob("*.html")):
        pages[page.resolve()] = anchors = Anchors()
        anchors.feed(page.read_text(encoding="utf-8"))
    for page, anchors in pages.items():
        for link in sorted(set(anchors.links)):
            parts = urlsplit(html.unescape(link))
            if parts.scheme in OUTSIDE or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            site = folder.resolve()
            if target.name == "index.html" and target.parent.parent == site.parent and target.parent != site:
                continue  # another version, which may be built later: versions() looks at it
            if not target.exists():
                yield f"{page.relative_to(folder.resolve())}: {link} does not exist"
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].names:
                yield f"{page.relative_to(folder.resolve())}: {link} has no such heading"


def versions(folder: Path):
    """Yield pages that do not say which version they are, and what they say where it is not the same everywhere."""
    said: dict[str, list[str]] = {}
    for page in sorted(folder.rglob("*.html")):
        text = page.read_text(encoding="utf-8")
        if "<article" not in text:
            continue  # a redirect
        block = re.search(r'<div class="sidebar-versions">(.*?)</div>', text, re.DOTALL)
        if block is None:
            yield f"{page.relative_to(folder)}: it does not say which version it is"
            continue
        words = " ".join(re.sub("<[^>]*>", "", block[1]).split())
        said.setdefault(words, []).append(str(page.relative_to(folder)))
        others = [link for link in re.findall(r'href="([^"#]+)"', block[1]) if not link.endswith("changelog.html")]
        for link in others:
            if (page.parent / link).resolve().parent.parent != folder.resolve().parent:
                yield f"{page.relative_to(folder)}: {link} does not lead to a version beside this one"
        if bool(others) != ("·" in words) or ("only one" in words) != (not words.startswith("Versions: ")):
            yield f"{page.relative_to(folder)}: it neither says that it is alone nor names the others: {words}"
    if len(said) > 1:
        yield f"pages say different versions: {sorted(said)}"


if __name__ == "__main__":
    sys.exit(min(main(Path(sys.argv[1])), 1))
