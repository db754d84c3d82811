"""The promises of the house: start-up, public names, file sizes, tolerances."""

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import unitcircle

ROOT = Path(__file__).parent.parent
FRAMEWORKS = {"torch", "jax", "jaxlib", "keras", "tensorflow", "flax", "onnx", "h5py"}
HEAVY = FRAMEWORKS | {"matplotlib", "scipy", "numpy", "pandas"}
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "reproduction" / "src").rglob("*.py")])


def _modules_after(code: str) -> set[str]:
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_loads_no_framework_plotting_or_numerical_library():
    assert _modules_after("import unitcircle as uc") & HEAVY == set()


def test_help_loads_no_framework_or_plotting_library():
    code = "from unitcircle.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    print()"
    assert _modules_after(code) & HEAVY == set()


def test_measuring_loads_no_framework_or_plotting_library():
    loaded = _modules_after("import unitcircle as uc; uc.spectrum([[0.5]]).radius")
    assert loaded & (FRAMEWORKS | {"matplotlib"}) == set()


@pytest.mark.parametrize("name", unitcircle.__all__)
def test_every_public_name_resolves(name):
    assert getattr(unitcircle, name) is not None
    assert name in dir(unitcircle)


def test_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="unitcircle attribute spectrom"):
        unitcircle.spectrom  # noqa: B018


def _packages():
    found = [m.name for m in pkgutil.walk_packages(unitcircle.__path__, "unitcircle.") if m.ispkg]
    return [name for name in found if not any(part.startswith("_") for part in name.split("."))]


@pytest.mark.parametrize("name", _packages())
def test_every_package_exports_exactly_what_it_says(name):
    module = importlib.import_module(name)
    for public in module.__all__:
        assert getattr(module, public) is not None
    # The other way round: what a package defines, imports into its front and does not list is public by accident.
    there = {key for key, value in vars(module).items() if getattr(value, "__module__", "").startswith(name)}
    commands = {"commands"} if name == "unitcircle.cli" else set()
    assert {key for key in there - commands if not key.startswith("_")} <= set(module.__all__)


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_one_concept_per_file(path):
    assert path.stem not in {"utils", "helpers", "common", "misc"}
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_only_packages_and_errors_say_what_they_export(path):
    says = any(line.startswith("__all__") for line in path.read_text().splitlines())
    assert not says or path.name in {"__init__.py", "errors.py"}


BARE = re.compile(r"""\b(?:rel|abs|[ar]tol)(?:=|["']: ?)[0-9.]+e-[0-9]+(?! *\*)""")


def test_every_tolerance_says_where_it_comes_from():
    # A multiple of n·eps, a standard error, printed digits (tests/printed.py) or a named constant: no `rel=1e-` alone.
    paths = [*(ROOT / "tests").rglob("*.py"), *(ROOT / "reproduction" / "tests").rglob("*.py")]
    lines = ((path, number, line) for path in paths for number, line in enumerate(path.read_text().splitlines(), 1))
    assert [f"{path.relative_to(ROOT)}:{number}" for path, number, line in lines if BARE.search(line)] == []
