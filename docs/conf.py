"""Sphinx settings; the pages of the findings are written here from the registry, their single source."""

import os
import re
import runpy
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

from unitcircle import monitor
from unitcircle.diagnosis import RULES as DIAGNOSIS
from unitcircle.diagnosis import explain

# Keras without TensorFlow has to be told what it runs on before it is imported.
os.environ.setdefault("KERAS_BACKEND", "torch")

HERE = Path(__file__).parent
RULES = DIAGNOSIS | monitor.RULES

project = "unitcircle"
copyright = "The unitcircle developers"
version = release = installed_version("unitcircle")
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
# Formulas are MathML in the page: they are shown without network, where MathJax would be loaded from a server.
html_math_renderer = "mathml"
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = -1  # a cell that imports torch takes 30 s on a busy machine
nb_execution_excludepatterns = ["generated/*"]
html_theme = "furo"
html_title = "unitcircle"
exclude_patterns = ["_build", "**.ipynb_checkpoints"]
autodoc_typehints = "none"
autodoc_member_order = "bysource"
napoleon_use_rtype = False
napoleon_preprocess_types = False


def write_finding_pages() -> None:
    """Write one page a code, and the list of them."""
    folder = HERE / "generated" / "findings"
    folder.mkdir(parents=True, exist_ok=True)
    for code in RULES:
        (folder / f"{code}.md").write_text(explain(code, rules=RULES), encoding="utf-8")
    listed = "\n".join(f"| [{r.code}]({r.code}.md) | {r.name} | {r.summary} |" for r in RULES.values())
    index = f"# Findings\n\n| code | name | what it says |\n|---|---|---|\n{listed}\n\n"
    toc = "\n".join(RULES)
    (folder / "index.md").write_text(f"{index}```{{toctree}}\n:hidden:\n\n{toc}\n```\n", encoding="utf-8")


def run_notebooks() -> None:
    """Run the marimo notebooks of the examples as scripts; an error ends the build."""
    for notebook in sorted((HERE.parent / "examples" / "notebooks").glob("*.py")):
        runpy.run_path(str(notebook), run_name="__main__")


def escape_bars(_app, _what, _name, _object, _options, lines: list[str]) -> None:
    """Keep |λ| what it is: reStructuredText would read it as a substitution. Formulas and literals are left alone."""
    formula = None
    for k, line in enumerate(lines):
        indent = len(line) - len(line.lstrip())
        if formula is not None and line.strip() and indent <= formula:
            formula = None
        if line.lstrip().startswith(".. math::"):
            formula = indent
        if formula is None and not line.lstrip().startswith((">>>", "...")):
            parts = re.split(r"(``.*?``|:math:`.*?`)", line)
            lines[k] = "".join(part if j % 2 else part.replace("|", r"\|") for j, part in enumerate(parts))


def write_inline_formula(translator, node) -> None:
    translator.body.append(convert(node.astext()))
    raise nodes.SkipNode


def write_formula(translator, node) -> None:
    # A formula that is wider than a phone scrolls by itself.
    formula = convert(node.astext(), display="block")
    translator.body.append(f'<div style="overflow-x: auto; padding: 0.6em 0">{formula}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    """Connect the functions above."""
    app.connect("autodoc-process-docstring", escape_bars)
    app.add_html_math_renderer("mathml", (write_inline_formula, None), (write_formula, None))


write_finding_pages()
runpy.run_path(str(HERE / "theory_figures.py"))["write"](HERE / "generated")
run_notebooks()
