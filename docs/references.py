"""What the pages of the reference need besides autodoc: a table of contents a module, and links to public names."""

import functools
import importlib
import inspect
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from sphinx.ext.napoleon import GoogleDocstring

MODULES = (
    *(
        "checkpoints",
        "diagnosis",
        "dynamics",
        "ensembles",
        "errors",
        "initializers",
        "jax",
        "keras",
        "linting",
        "monitor",
    ),
    *("recurrence", "report", "spectra", "torch"),
    *(f"experiments.{name}" for name in ("comparison", "engines", "models", "studies", "tasks", "training")),
)


TRAINERS = {"lightning.pytorch": "Callback", "transformers": "TrainerCallback"}
"""Modules from whose class a callback of ours is derived → the class. The site needs no 500 MB for two names."""


def stand_in_for_trainers() -> None:
    """Let the callbacks be imported, and documented, where the trainers are not installed."""
    for name, base in TRAINERS.items():
        top = name.partition(".")[0]
        if find_spec(top) is not None:
            continue
        for part in {top, name}:
            sys.modules[part] = ModuleType(part)
            sys.modules[part].__spec__ = ModuleSpec(part, None)
        setattr(sys.modules[name], base, type(base, (), {"__module__": name}))


def whole_text(docstring: GoogleDocstring) -> tuple[str, list[str]]:
    """Return no type and the whole text: napoleon takes what stands before the first colon for the type."""
    return "", docstring._dedent(docstring._consume_to_end())


GoogleDocstring._consume_inline_attribute = whole_text


def public_names(module) -> list[str]:
    """Return the public classes and functions of a module, in its own order."""
    names = getattr(module, "__all__", None) or [name for name in vars(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names}
    return [name for name, value in found.items() if inspect.isclass(value) or inspect.isfunction(value)]


def add_contents(_app, what, name, module, _options, lines: list[str]) -> None:
    """Put a table of the public names, a line each, after the text of a module."""
    if what == "module" and name.removeprefix("unitcircle.") in MODULES:
        rows = [f"   {entry}" for entry in public_names(module)]
        lines += ["", ".. autosummary::", "   :nosignatures:", "", *rows, ""]


@functools.cache
def homes() -> dict[str, str]:
    """Return where each object is documented, by the private module that defines it."""
    found: dict[str, str] = {}
    for name in reversed(MODULES):
        module = importlib.import_module(f"unitcircle.{name}")
        for entry in public_names(module):
            value = getattr(module, entry)
            found[f"{value.__module__}.{value.__qualname__}"] = f"unitcircle.{name}.{entry}"
    return found


def resolve_private(app, env, node, contnode):
    """Return the link of a type that a signature names by its private module."""
    target = homes().get(node.get("reftarget", ""))
    if target is None:
        return None
    domain = env.domains["py"]
    return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", target, node, contnode)
