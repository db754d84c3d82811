"""Tests take a public name from the package that publishes it, as a user does.

Public is what ``__all__`` of a package or of its stub lists. Like the graph of modules, it is read from the source.
"""

import ast
from collections.abc import Iterator

import pytest
from tests.test_architecture import PACKAGES, ROOT, from_imports, private_owner, sources

Name = tuple[str, str]
"""Module and name."""


def bindings(tree: ast.Module, package: str = "") -> dict[str, Name]:
    """Return name → what it was imported from."""
    return {alias.asname or alias.name: (module, alias.name) for module, alias in from_imports(tree, package)}


TREES = {
    name: ast.parse((stub if (stub := path.with_suffix(".pyi")).exists() else path).read_text(encoding="utf-8"))
    for name, path in sources().items()
}
IMPORTS = {name: bindings(tree, name if name in PACKAGES else name.rpartition(".")[0]) for name, tree in TREES.items()}


def home(name: Name) -> Name:
    """Return the module that defines a name, and its name there."""
    while (source := IMPORTS.get(name[0], {}).get(name[1], name)) != name:
        name = source
    return name


def public_names(package: str) -> Iterator[str]:
    """Yield what ``__all__`` of a package lists."""
    for node in TREES[package].body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            yield from ast.literal_eval(node.value)


PUBLIC = {home((package, name)): package for package in sorted(PACKAGES) for name in public_names(package)}
"""Where a public name is defined → the package that publishes it; of several, the innermost."""


def private_routes(text: str) -> list[str]:
    """Return the public names that a text takes from a private module, by import or as an attribute of the module."""
    tree = ast.parse(text)
    bound = bindings(tree)
    taken = set(bound.values())
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in bound:
            taken.add((".".join(bound[node.value.id]), node.attr))
    return [
        f"{module}.{name}: import it from {PUBLIC[there]}"
        for module, name in sorted(taken)
        if private_owner(module) and (there := home((module, name))) in PUBLIC
    ]


@pytest.mark.parametrize(
    "path",
    [path for root in (ROOT, ROOT / "reproduction") for path in sorted((root / "tests").rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_test_takes_a_public_name_from_its_package(path):
    assert private_routes(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("taken", "package"),
    [
        ("from unitcircle.spectra._asymptotics import Asymptotics", "unitcircle.spectra"),
        ("from unitcircle.spectra._radius import spectral_radius as radius", "unitcircle.spectra"),
        ("def late():\n    from unitcircle.spectra import _radius as r\n    r.spectral_radius", "unitcircle.spectra"),
        # Published by another package than the module's, through a stub, and taken where a neighbour imports it.
        ("from unitcircle._files import written_whole", "unitcircle.report"),
        ("from unitcircle.monitor._monitor import Monitor", "unitcircle.monitor"),
        ("from unitcircle.spectra._horizon import Asymptotics", "unitcircle.spectra"),
        ("from unitcircle.spectra import Asymptotics", ""),
        ("from unitcircle.spectra._arnoldi import by_arnoldi", ""),
    ],
)
def test_the_route_to_a_public_name_is_seen(taken, package):
    assert [route.rpartition(" ")[2] for route in private_routes(taken)] == ([package] if package else [])
