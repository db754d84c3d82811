"""The pages of the findings: the text of the registry, and one example a code that is run, judged and drawn.

The example of UC101 is ``examples/findings/uc101.py``: a first line that says when to ignore the finding, functions
``before`` and ``after`` that return what :func:`unitcircle.diagnose` is called with (for UC3xx the records and findings
of a run), ``PICTURE``, the name of a function of ``finding_pictures``, and where needed ``OPTIONS`` of ``diagnose``. A
page whose ``before`` does not have the finding, or whose ``after`` has it, ends the build. What several examples share
stands in ``examples/findings/subjects``; the page shows it in place of its import.
"""

import re
import runpy
import sys
import warnings
from pathlib import Path

import finding_pictures
from matplotlib.figure import Figure

import unitcircle as uc
from unitcircle import monitor
from unitcircle.diagnosis import RULES as DIAGNOSIS
from unitcircle.diagnosis import explain
from unitcircle.report import style

EXAMPLES = Path(__file__).parent.parent / "examples" / "findings"
RULES = dict(sorted((DIAGNOSIS | monitor.RULES).items()))
GROUPS = {
    "UC1": "Weights: in a file, or in a model without a batch",
    "UC2": "A live model, run on your batch",
    "UC3": "A network while it trains",
}
INTRODUCTION = """\
What unitcircle can find, a page each: what was measured, why it matters, what to do, when to ignore it, and code that
shows the defect and its repair. `unitcircle rule UC101` prints a page in the terminal. *preview*: severity and limits
may change in the next release; *fix*: `unitcircle diagnose --fix` repairs it in weights that were not trained."""


def write(folder: Path) -> None:
    """Write one page a code, and the list of them."""
    folder.mkdir(parents=True, exist_ok=True)
    for code in RULES:
        (folder / f"{code}.md").write_text(page(code, folder), encoding="utf-8")
    (folder / "index.md").write_text(index(), encoding="utf-8")


def index() -> str:
    """Return the list of all findings, sorted by code."""
    parts = ["# Findings", INTRODUCTION]
    for prefix, title in GROUPS.items():
        rows = "\n".join(row(code) for code in RULES if code.startswith(prefix))
        parts.append(f"## {title}\n\n| code | what it says |\n|---|---|\n{rows}")
    entries = "\n".join(f"{code} {rule.name} <{code}>" for code, rule in RULES.items())
    parts.append(f"```{{toctree}}\n:hidden:\n\n{entries}\n```\n")
    return "\n\n".join(parts)


def row(code: str) -> str:
    """Return the row of a code; a bar would end the cell."""
    rule = RULES[code]
    marks = [rule.status] * (rule.status != "stable") + ["on request"] * rule.on_request
    marks += ["fix"] * (rule.fix is not None)
    suffix = f" *({', '.join(marks)})*" if marks else ""
    summary = rule.summary.replace("|", r"\|")
    return f"| [{code}]({code}.md)<br>{rule.name} | {summary}{suffix} |"


def page(code: str, folder: Path) -> str:
    """Return the page of a code, whose example is run here."""
    example = example_of(code)
    subjects = {when: example[when]() for when in ("before", "after")}
    found = {when: findings(code, subject, example.get("OPTIONS", {})) for when, subject in subjects.items()}
    if not found["before"] or found["after"]:
        raise RuntimeError(f"{path_of(code)}: before() must have {code} and after() must not; got {found}")
    draw(code, example, subjects, folder / f"{code}.svg")
    return "\n\n".join(
        [
            linked(explain(code, rules=RULES).rstrip()),
            f"## When to ignore it\n{example['__doc__'].strip()}",
            f"## Before and after\n![The defect, and the repaired state]({code}.svg)",
            f"`before` has the finding, `after` does not: every build runs `examples/findings/{code.lower()}.py`.",
            f"```text\n{found['before'][0].severity}: {found['before'][0].message}\n```",
            f"```python\n{source(code)}\n```\n",
        ]
    )


def linked(text: str) -> str:
    """Return a text of the terminal with links to the pages whose files it names."""
    return re.sub(r"`?docs/([\w/-]+)\.md`?", r"{doc}`/\1`", text)


def path_of(code: str) -> Path:
    return EXAMPLES / f"{code.lower()}.py"


def example_of(code: str) -> dict:
    """Return the names of the example of a code."""
    if not path_of(code).exists():
        raise RuntimeError(f"{code} has no example: write {path_of(code)} as docs/findings.py describes it")
    if str(EXAMPLES) not in sys.path:
        sys.path.insert(0, str(EXAMPLES))  # of subjects
    example = runpy.run_path(str(path_of(code)))
    missing = {"before", "after", "PICTURE"} - example.keys() | ({"a docstring"} if not example["__doc__"] else set())
    if missing:
        raise RuntimeError(f"{path_of(code)} has no {', '.join(sorted(missing))}: see docs/findings.py")
    return example


def findings(code: str, subject, options: dict) -> list:
    """Return the findings of one code."""
    if code in monitor.RULES:
        return [finding for finding in subject[1] if finding.code == code]
    arguments = subject if isinstance(subject, tuple) else (subject,)
    if isinstance(arguments[-1], dict):  # options of this subject alone, such as its optimizer
        *arguments, own = arguments
        options = options | own
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        diagnosis = uc.diagnose(*arguments, **{"select": [code]} | options)
    return [finding for finding in diagnosis.findings if finding.code == code]


def draw(code: str, example: dict, subjects: dict, path: Path) -> None:
    """Draw both states with the same axes."""
    picture = getattr(finding_pictures, example["PICTURE"])
    with style():
        figure = Figure(figsize=(6.4, 2.9), layout="constrained")
        panels = figure.subplots(1, 2, sharex=True, sharey=True)
        for axes, (when, subject) in zip(panels, subjects.items(), strict=True):
            picture(axes, subject, example)
            axes.set_title(f"{when}: {RULES[code].name}" if when == "before" else f"{when}: repaired")
            axes.label_outer()
        figure.savefig(path, metadata={"Date": None, "Creator": None})


SHARED = re.compile(r"^from subjects\.(\w+) import .*\n+", re.MULTILINE)
"""The import of what an example shares with others."""


def source(code: str) -> str:
    """Return the code of an example, complete, and without the sentence that is on the page already."""
    text = _code(path_of(code))
    shared = [_code(EXAMPLES / "subjects" / f"{name}.py") for name in SHARED.findall(text)]
    imports, parts = dict[str, None](), list[str]()
    for part in (text, *shared):
        lines = SHARED.sub("", part).splitlines()
        imports |= dict.fromkeys(line for line in lines if line.startswith("import "))
        parts.append("\n".join(line for line in lines if not line.startswith("import ")).strip())
    return "\n\n\n".join(["\n".join(sorted(imports)), *parts])


def _code(path: Path) -> str:
    text = path.read_text(encoding="utf-8").split('"""', 2)[2].strip()
    return "\n".join(line for line in text.splitlines() if not line.startswith(("PICTURE", "METRIC")))
