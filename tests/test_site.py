"""What the site is made of is there: an example for each finding, a page for each module, a script for a tutorial."""

import ast
import re
from pathlib import Path

import pytest

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
