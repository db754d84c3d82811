"""What the site is made of is there: an example for each finding, a page for each module, a script for a tutorial."""

import ast
import re
import runpy
from pathlib import Path

import pytest
from jinja2 import Template

from unitcircle import monitor
from unitcircle.diagnosis import RULES

ROOT = Path(__file__).parent.parent
CODES = sorted({code for code in RULES | monitor.RULES if code.startswith("UC")})
TUTORIALS = sorted((ROOT / "examples" / "tutorials").glob("*.py"))


@pytest.mark.parametrize("code", CODES)
def test_every_finding_has_an_example_that_the_site_runs(code):
    path = ROOT / "examples" / "findings" / f"{code.lower()}.py"
    assert path.exists(), f"write {path}: before(), after() and PICTURE, as docs/findings.py describes"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    values = {
        t.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for t in node.targets
        if isinstance(t, ast.Name)
    }
    assert {"before", "after"} <= names
    assert (ast.get_docstring(tree) or "").endswith(".")
    pictures = ast.parse((ROOT / "docs" / "finding_pictures.py").read_text(encoding="utf-8"))
    drawn = {node.name for node in pictures.body if isinstance(node, ast.FunctionDef)}
    assert ast.literal_eval(values["PICTURE"]) in drawn


def test_there_is_no_example_of_a_code_that_is_gone():
    assert sorted(path.stem.upper() for path in (ROOT / "examples" / "findings").glob("*.py")) == CODES


def public_modules():
    """Return the public modules of the library by their names."""
    package = ROOT / "src" / "unitcircle"
    found = {path.parent.relative_to(package).as_posix().replace("/", ".") for path in package.glob("*/__init__.py")}
    found |= {f"experiments.{path.parent.name}" for path in package.glob("experiments/*/__init__.py")}
    # The command line has a page of its own; the experiments one for each of their packages.
    return sorted((found | {"errors"}) - {"cli", "experiments"})


@pytest.mark.parametrize("module", public_modules())
def test_every_public_module_has_one_page_of_the_reference(module):
    pages = (ROOT / "docs").rglob("*.md")
    directive = re.compile(rf"automodule:: unitcircle\.{re.escape(module)}$", re.MULTILINE)
    found = [page for page in pages if directive.search(page.read_text(encoding="utf-8"))]
    assert [page.parent.name for page in found] == ["reference"]


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda path: path.stem)
def test_a_tutorial_says_what_it_needs_and_ends_with_where_to_go(path):
    text = path.read_text(encoding="utf-8")
    compile(text, path, "exec")
    assert re.search(r"You need the extras? |Nothing but the core is needed", text)
    assert "# Where to go" in text
    for page in re.findall(r":doc:`/([^`]+)`", text):
        written = {"findings": ROOT / "examples" / "findings" / f"{Path(page).name.lower()}.py"}
        assert written.get(page.split("/")[0], ROOT / "docs" / f"{page}.md").exists(), page


def test_there_are_six_tutorials():
    assert [path.stem[0] for path in TUTORIALS] == list("123456")


def sidebar(version, versions, depth=""):
    template = Template((ROOT / "docs" / "_templates" / "sidebar" / "versions.html").read_text(encoding="utf-8"))

    def pathto(name, resource=0):
        return f"{depth}{name}" if resource else f"{depth}{name}.html"

    return template.render(site_version=version, site_versions=versions, pathto=pathto)


def checked(folder, *, versions=(), inner=()):
    """Return what the check says of a site of a page and one in a folder, whose sidebars list these versions."""
    check = runpy.run_path(str(ROOT / "docs" / "check_site.py"))["versions"]
    (folder / "findings").mkdir(parents=True)
    (folder / "index.html").write_text(sidebar("0.2.0", versions) + "<article>", encoding="utf-8")
    (folder / "findings" / "a.html").write_text(sidebar("0.2.0", inner, "../") + "<article>", encoding="utf-8")
    (folder / "old.html").write_text("moved", encoding="utf-8")
    return list(check(folder))


def test_the_sidebar_says_that_a_build_is_alone_or_links_its_siblings(tmp_path):
    assert "Version 0.2.0, the only one of this site" in sidebar("0.2.0", [])
    both = sidebar("0.2.0", ["0.2.0", "0.3.0"], "../")
    assert '<a href="../../0.3.0/index.html">0.3.0</a>' in both
    assert '<strong aria-current="true">0.2.0</strong>' in both
    assert checked(tmp_path / "alone" / "0.2.0") == []
    listed = ("0.2.0", "0.3.0")
    assert checked(tmp_path / "release" / "0.2.0", versions=listed, inner=listed) == []


def test_the_check_of_the_site_finds_pages_that_differ_in_their_versions(tmp_path):
    (wrong,) = checked(tmp_path / "0.2.0", inner=("0.2.0", "0.3.0"))
    assert wrong.startswith("pages say different versions")


def test_what_a_page_folds_and_lowers_keeps_every_number():
    reading = runpy.run_path(str(ROOT / "docs" / "reading.py"))
    verdict = (
        "**Verdict:** holds with a condition: of 9 comparisons, so in 1 (tanh: ends (much) lower); the contrary in 8 ("
    )
    verdict += "; ".join(f"lstm, clipped at {k}: Haar ends lower" for k in range(8)) + ")"
    head, rest = reading["folded"](verdict).split("\n\n")
    assert head == "**Verdict:** holds with a condition: of 9 comparisons, so in 1; the contrary in 8"
    assert verdict.removeprefix("**Verdict:** ") in rest
    here = (
        "**Here:** "
        + "Ten networks of 32 units were trained as the source says, at three rates. " * 4
        + "0.1 [0, 0.2]; " * 50
    )
    head, rest = reading["folded"](here).split("\n\n")
    assert head.endswith("at three rates.")
    assert head + " " + rest.split("\n")[1] == here
    assert reading["lowered"]("‖W‖_F of h_T, `h_T`, $x_t$, dt_b, one_a_b") == (
        "‖W‖<sub>F</sub> of h<sub>T</sub>, `h_T`, $x_t$, dt_b, one_a_b"
    )


def test_the_cells_of_a_table_of_sentences_name_their_headings():
    stacked = runpy.run_path(str(ROOT / "docs" / "reading.py"))["stacked"]
    row = "<tr><td><p>a</p></td><td><p>1</p></td><td><p>{}</p></td></tr>"
    head = '<table class="docutils align-default"><thead><tr><th>work</th><th><p>time</p></th><th>why &amp; how</th>'
    table = head + "</tr></thead><tbody>" + row.format("Words. " * 12) + row.format("") + "</tbody></table>"
    assert stacked(table).count('data-label="time:"') == 2
    assert '<td data-label="why &amp; how:"><p>Words.' in stacked(table)
    assert stacked(table).count("data-empty") == 1
    numbers = head + "</tr></thead><tbody>" + row.format("2") + "</tbody></table>"
    assert stacked(numbers) == numbers
