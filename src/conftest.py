"""The examples of the comparisons: that of ``compare`` runs first, and the others use its comparison."""

import doctest
from collections.abc import Generator
from typing import Any

import pytest

SHARED = "unitcircle.experiments.comparison"


@pytest.fixture(scope="session")
def names_of_compare() -> dict[str, Any]:
    """Return what the example in the docstring of ``compare`` binds."""
    from unitcircle.experiments.comparison import compare  # noqa: PLC0415  (needs torch)

    names: dict[str, Any] = {"compare": compare}
    exec(doctest.script_from_examples(compare.__doc__ or ""), names)
    return {name: names[name] for name in ("study", "find", "comparison")}


@pytest.fixture(autouse=True)
def _names_of_compare(request: pytest.FixtureRequest, doctest_namespace: dict[str, Any]) -> Generator[None]:
    example = isinstance(request.node, pytest.DoctestItem) and request.node.name.startswith(SHARED)
    shared = request.getfixturevalue("names_of_compare") if example else {}
    doctest_namespace |= shared
    yield
    for name in shared:
        del doctest_namespace[name]
