"""The house as it is written: no circle, no arrow that runs up, no import of a neighbour's private module.

The graph is built from the source text, so that imports for type checkers only and imports by name count like any.
"""

import ast
import tomllib
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DISTRIBUTIONS = {"unitcircle": ROOT / "src", "unitcircle_reproduction": ROOT / "reproduction" / "src"}
LIBRARY = "unitcircle"


def module_name(path: Path, root: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> dict[str, Path]:
    return {
        module_name(path, root): path
        for name, root in DISTRIBUTIONS.items()
        for pattern in ("*.py", "*.pyi")
        for path in sorted((root / name).rglob(pattern))
        if pattern == "*.py" or not path.with_suffix(".py").exists()
    }


def from_imports(tree: ast.Module, package: str) -> Iterator[tuple[str, ast.alias]]:
    """Yield (module, name) for every ``from module import name``, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            base = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from ((module, alias) for alias in node.names)


def imported(tree: ast.Module, package: str) -> Iterator[tuple[str, str]]:
    """Yield (module, name) for every import, wherever it stands; name is empty for ``import module``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
    yield from ((module, alias.name) for module, alias in from_imports(tree, package))
    yield from ((module, "") for module in by_name(tree))


def by_name(tree: ast.Module) -> Iterator[str]:
    """Yield the module of every ``import_module("...")`` with a literal."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "import_module" and isinstance(node.args[0].value, str):
                yield node.args[0].value


def graph_of(texts: Mapping[str, str], packages: set[str]) -> dict[str, set[str]]:
    """Return module → modules it imports. A package's own front is left out of what its modules import from it."""
    graph: dict[str, set[str]] = {name: set() for name in texts}
    for name, text in texts.items():
        package = name if name in packages else name.rpartition(".")[0]
        for module, what in imported(ast.parse(text), package):
            target = f"{module}.{what}" if f"{module}.{what}" in texts else module
            if target in texts and target != name:
                graph[name].add(target)
    return graph


def whole_house() -> tuple[dict[str, set[str]], set[str]]:
    found = sources()
    packages = {name for name, path in found.items() if path.stem == "__init__"}
    return graph_of({name: path.read_text(encoding="utf-8") for name, path in found.items()}, packages), packages


GRAPH, PACKAGES = whole_house()


def circle(graph: Mapping[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def layers(container: str) -> dict[str, int]:
    """Return room → floor, as import-linter's contract of a container states them: one list for both checks."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (contract,) = (c for c in contracts if c["type"] == "layers" and c["containers"] == [container])
    floors = reversed(contract["layers"])
    return {room.strip(" ()"): floor for floor, line in enumerate(floors) for room in line.split("|")}


def room(module: str, container: str) -> str:
    """Return the direct child of a container that a module is in; empty for the container's own front."""
    return module.removeprefix(container).lstrip(".").partition(".")[0] if module.startswith(container + ".") else ""


def test_no_circle_among_the_modules():
    assert circle(GRAPH) == []


@pytest.mark.parametrize("container", ["unitcircle", "unitcircle.experiments"])
def test_no_circle_among_the_rooms(container):
    graph: dict[str, set[str]] = {}
    for module, targets in GRAPH.items():
        own = room(module, container)
        if own:
            graph.setdefault(own, set()).update({room(target, container) for target in targets} - {"", own})
    assert circle(graph) == []


@pytest.mark.parametrize("container", ["unitcircle", "unitcircle.experiments"])
def test_no_arrow_runs_up_and_no_neighbour_on_a_floor_knows_another(container):
    floors = layers(container)
    assert {room(module, container) for module in GRAPH} - {""} == set(floors)
    risen = [
        f"{module} -> {target}"
        for module, targets in GRAPH.items()
        for target in targets
        if (own := room(module, container)) and (other := room(target, container)) and own != other
        if floors[own] <= floors[other]
    ]
    assert risen == []


def test_the_library_does_not_know_the_reproduction():
    assert [
        m for m, targets in GRAPH.items() if m.startswith("unitcircle.") for t in targets if "reproduction" in t
    ] == []


def private_owner(module: str) -> str:
    """Return the package whose private module this is, or empty."""
    parts = module.split(".")
    return next(
        (".".join(parts[:k]) for k in range(1, len(parts)) if parts[k].startswith("_") and parts[k] != "__main__"), ""
    )


def test_no_module_imports_a_neighbours_private_module():
    # A private module of the root (unitcircle._array) belongs to the whole library, and to nobody beside it.
    taken = [
        f"{module} -> {target}"
        for module, targets in GRAPH.items()
        for target in targets
        if (owner := private_owner(target)) and not (module == owner or module.startswith(owner + "."))
    ]
    assert taken == []


def test_import_module_with_a_literal_names_an_optional_framework_only():
    named = [
        (name, module)
        for name, path in sources().items()
        for module in by_name(ast.parse(path.read_text(encoding="utf-8")))
        if module.partition(".")[0] in DISTRIBUTIONS
    ]
    assert named == []


@pytest.mark.parametrize(
    "added",
    [
        "from unitcircle.b import g",
        "if TYPE_CHECKING:\n    from unitcircle.b import g",
        "def late():\n    from unitcircle import b",
        'def late():\n    import_module("unitcircle.b")',
        'def late():\n    return importlib.import_module("unitcircle.b").g',
        "from .b import g",
    ],
)
def test_the_graph_sees_every_kind_of_import(added):
    texts = {"unitcircle": "", "unitcircle.a": added, "unitcircle.b": "from unitcircle.a import f"}
    graph = graph_of(texts, {"unitcircle"})
    assert graph["unitcircle.a"] == {"unitcircle.b"}
    assert set(circle(graph)) == {"unitcircle.a", "unitcircle.b"}
