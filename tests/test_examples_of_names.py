"""Every public function and class shows in its docstring how it is used, or its kind says why it does not.

Like the graph of modules, docstrings are read from the source. That the examples run is what doctest shows.
"""

import ast
import re

from tests.test_public_names import PUBLIC, TREES

NODES = {
    (module, node.name): node
    for module, tree in TREES.items()
    for node in tree.body
    if isinstance(node, ast.ClassDef | ast.FunctionDef)
}
DECLARED = {"Enum", "StrEnum", "IntEnum", "Protocol", "TypedDict", "NamedTuple", "Exception", "ABC"}
"""Bases of what is not made by a caller."""


def bases(place):
    return {re.sub(r"\[.*", "", ast.unparse(base)).split(".")[-1] for base in getattr(NODES[place], "bases", [])}


def is_declared(place):
    """Whether a class is an error, a list of members or a promise that others keep."""
    return any(name in DECLARED or name.endswith(("Error", "Warning")) for name in bases(place))


def has_example(place):
    return ">>>" in (ast.get_docstring(NODES[place]) or "")


def signature_results():
    """Return the names of classes that an entry with an example returns, or that a class with one holds."""
    named = set()
    for place, node in NODES.items():
        if place not in PUBLIC or not has_example(place):
            continue
        functions = (
            [node] if isinstance(node, ast.FunctionDef) else [n for n in node.body if isinstance(n, ast.FunctionDef)]
        )
        held = [n.annotation for n in getattr(node, "body", []) if isinstance(n, ast.AnnAssign)]
        for annotation in [*(f.returns for f in functions), *held]:
            if annotation is not None:
                named |= {n.id for n in ast.walk(annotation) if isinstance(n, ast.Name)}
    return named


RESULTS = signature_results()
WITHOUT = {
    "needs a server or an account of its library; docs/monitor.md shows it": """
        monitor: MLflow WandB
    """,
    "needs a trainer with a model and data; examples/monitor_hf_trainer.py runs it": """
        monitor: attach
    """,
    "needs data that must be fetched; docs/tasks.md says from where": """
        experiments.tasks: Ett Mnist Multi30k
    """,
    "is a base whose subclasses hold the sentences: Multi30k": """
        experiments.tasks: Translation
    """,
}
"""Reason → package: names."""


def listed():
    """Yield the qualified names of the table."""
    for text in WITHOUT.values():
        for package, names in re.findall(r"([a-z.]+):((?:\s+\w+\b(?![.:]))+)", text):
            yield from (f"unitcircle.{package}.{name}" for name in names.split())


def test_every_public_function_and_class_has_an_example_or_a_reason():
    missing = {
        f"{PUBLIC[place]}.{place[1]}"
        for place in NODES
        if place in PUBLIC
        and place[0].startswith("unitcircle.")
        and not (has_example(place) or is_declared(place) or place[1] in RESULTS)
    }
    assert missing - set(listed()) == set()
    public = {f"{package}.{name}" for (_, name), package in PUBLIC.items()}
    assert set(listed()) - public == set()  # what has gone


def test_what_is_not_made_by_a_caller_is_told_apart():
    place = next(place for place in NODES if place[1] == "ShapeError")
    assert is_declared(place)
    assert {"Spectrum", "Diagnosis", "FixedPoints"} <= RESULTS
    assert "train" not in RESULTS
