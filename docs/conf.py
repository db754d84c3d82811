"""Sphinx settings. What can be computed is written here at every build: findings, command line, figures, tutorials."""

import os
import re
import runpy
import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from docutils import nodes
from latex2mathml.converter import convert

# Keras has to be told what it runs on before it is imported: the tutorial's choice, or it would print other numbers.
os.environ.setdefault("KERAS_BACKEND", "jax")

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import command_line  # noqa: E402
import findings  # noqa: E402
import reading  # noqa: E402
import references  # noqa: E402

project = "unitcircle"
copyright = "The unitcircle developers"
version = release = installed_version("unitcircle")
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "sphinx_reredirects",
    "sphinxext.opengraph",
]
exclude_patterns = ["_build", "**.ipynb_checkpoints", "tutorials/*.ipynb", "generated/**", "sg_execution_times.rst"]

html_theme = "furo"
html_title = f"unitcircle {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
templates_path = ["_templates"]
html_sidebars = {
    "**": [
        "sidebar/brand.html",
        "sidebar/search.html",
        "sidebar/scroll-start.html",
        "sidebar/navigation.html",
        "sidebar/scroll-end.html",
        "sidebar/versions.html",
    ]
}
# Of a release the sidebar links the versions that are built beside it; any other build says that it is alone.
versions = os.environ.get("UNITCIRCLE_DOCS_VERSIONS", "").split()
if versions and version not in versions:
    message = f"UNITCIRCLE_DOCS_VERSIONS must name the version that is built; got {versions} for {version}"
    raise ValueError(message)
html_context = {"site_version": version, "site_versions": versions}

# Formulas are MathML in the page: they are shown without network, where MathJax would be loaded from a server.
html_math_renderer = "mathml"
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = -1  # a cell that imports torch takes 30 s on a busy machine
nb_execution_excludepatterns = ["generated/*", "findings/*"]

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 90
# A signature may name a type, such as Initialization, that several modules publish: the first link is as good.
suppress_warnings = ["ref.python"]
napoleon_use_rtype = False
napoleon_preprocess_types = False
autosummary_generate = False

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_exclude = ".linenos, .gp, .go"

# One picture for every page; a card a page would take longer than the rest of the build.
ogp_site_url = os.environ.get("UNITCIRCLE_DOCS_URL", "https://unitcircle.invalid/")
ogp_image = "_static/card.png"
ogp_image_alt = "Eigenvalues of four gates inside the unit circle, before and after a repair"
ogp_social_cards = {"enable": False}

redirects = {
    "api": "reference/index.html",
    "ensembles": "reference/ensembles.html",
    "experiments": "reference/training.html",
    "initializers": "reference/initializers.html",
    "spectra": "reference/spectra.html",
    "generated/findings/index": "../../findings/index.html",
} | {f"generated/findings/{code}": f"../../findings/{code}.html" for code in findings.RULES}
linkcheck_anchors = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples/tutorials",
    "gallery_dirs": "tutorials",
    "filename_pattern": r"\.py",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "ignore_repr_types": r"matplotlib",
    "image_srcset": ["2x"],
    "min_reported_time": 10_000,
    "remove_config_comments": True,
    # An unchanged script may print something else after a change of the library.
    "run_stale_examples": not os.environ.get("UNITCIRCLE_DOCS_KEEP"),
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
}


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


def formula_of(text: str, display: str) -> str:
    """Return MathML; a prime is a sign behind its letter: as a superscript it would be raised twice."""
    formula = convert(text, display=display)
    return re.sub(r"<msup>(<mi>[^<]*</mi>)<mi>(&#x02032;)</mi></msup>", r"<mrow>\1<mo>\2</mo></mrow>", formula)


def write_inline_formula(translator, node) -> None:
    # A long one may be wider than a phone: it scrolls by itself.
    formula = formula_of(node.astext(), "inline")
    long = len(node.astext()) > 40
    translator.body.append(f'<span class="long-formula">{formula}</span>' if long else formula)
    raise nodes.SkipNode


def write_formula(translator, node) -> None:
    # A formula that is wider than a phone scrolls by itself.
    formula = formula_of(node.astext(), "block")
    translator.body.append(f'<div style="overflow-x: auto; padding: 0.6em 0">{formula}</div>')
    raise nodes.SkipNode


def setup(app) -> None:
    """Connect the functions above."""
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-process-docstring", reading.plain_letter)
    app.connect("autodoc-process-signature", reading.parsed_default)
    app.connect("source-read", reading.prepare)
    app.connect("html-page-context", reading.stack_tables)
    app.connect("autodoc-process-docstring", references.add_contents)
    app.connect("missing-reference", references.resolve_private)
    app.add_html_math_renderer("mathml", (write_inline_formula, None), (write_formula, None))


references.stand_in_for_trainers()
# `make docs KEEP=1` leaves what an earlier build has computed: for work on the words.
if not (os.environ.get("UNITCIRCLE_DOCS_KEEP") and (HERE / "findings" / "index.md").exists()):
    findings.write(HERE / "findings")
    command_line.write(HERE / "generated" / "cli.md")
    for script in ("theory_figures.py", "site_figures.py"):
        runpy.run_path(str(HERE / script))["write"](HERE / "generated")
    run_notebooks()
