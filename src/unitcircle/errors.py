"""What unitcircle raises.

::

    UnitcircleError
    ├── ArgumentError(ValueError)        an argument breaks a rule
    │   ├── ShapeError                   ... of shape or size
    │   ├── DtypeError                   ... of element type
    │   ├── NotFiniteError               ... a NaN or an infinity arrived
    │   └── UnknownNameError             ... a name that is not among the choices
    ├── SpecificationError(ValueError)   a text that should name an initializer cannot be read
    ├── CertificateError                 a weight does not have the property its initializer promises
    ├── CheckpointError                  a file cannot be read, or must not be
    ├── MissingExtraError(ImportError)   an optional dependency is not installed
    └── TrainingStopped                  a monitor with on_finding="stop" found something

Numerical failure (not converged, not diagonalisable, undecided) is never raised: it is a status in the result.
"""

__all__ = [
    "ArgumentError",
    "CertificateError",
    "CheckpointError",
    "DtypeError",
    "MissingExtraError",
    "NotFiniteError",
    "ShapeError",
    "SpecificationError",
    "TrainingStopped",
    "UnitcircleError",
    "UnknownNameError",
]

import reprlib
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any


class UnitcircleError(Exception):
    """Base of every exception of this package."""


class ArgumentError(UnitcircleError, ValueError):
    """An argument breaks a rule.

    Parameters
    ----------
    argument
        The name of the argument, as the caller wrote it.
    rule
        What must hold, as the rest of a sentence: "must be square in its last two axes".
    arrived
        What arrived instead, as the rest of a sentence: "shape (3, 4)".
    remedy
        What to do about it, a separate sentence; empty where the rule already says it.
    guess
        A question with which the message begins; none by default.
    """

    def __init__(self, argument: str, rule: str, arrived: str, remedy: str = "", *, guess: str = "") -> None:
        self.argument = argument
        message = f"{guess}{argument} {rule}; got {arrived}."
        super().__init__(f"{message} {remedy}" if remedy else message)


class ShapeError(ArgumentError):
    """An argument has the wrong shape or size."""


class DtypeError(ArgumentError):
    """An argument has the wrong element type."""


class NotFiniteError(ArgumentError):
    """A NaN or an infinity arrived where a number is needed."""


class UnknownNameError(ArgumentError):
    """A name is not among the choices; the message begins with the nearest one and lists all.

    Parameters
    ----------
    argument
        What the name should have named: "initializer", "gate".
    name
        The name that arrived.
    choices
        The names that exist.
    """

    def __init__(self, argument: str, name: str, choices: Iterable[str]) -> None:
        listed = sorted(choices)
        # The caller may have passed anything.
        near = get_close_matches(name, listed, n=1) if isinstance(name, str) else []  # pyright: ignore[reportUnnecessaryIsInstance]
        guess = f"Did you mean {near[0]!r}? " if near else ""
        super().__init__(argument, f"must be one of {', '.join(listed)}", reprlib.repr(name), guess=guess)


class SpecificationError(UnitcircleError, ValueError):
    """A text that should name an initializer cannot be read."""


class CertificateError(UnitcircleError):
    """A weight does not have the property its initializer promises."""


class CheckpointError(UnitcircleError):
    """A file cannot be read, or must not be: what, why, and how to convert it."""


class MissingExtraError(UnitcircleError, ImportError):
    """An optional dependency is not installed; the message holds the exact install line.

    Parameters
    ----------
    purpose
        What needs it: "reading ONNX files".
    package
        The package that is missing.
    extra
        The extra of unitcircle that brings it.
    """

    def __init__(self, purpose: str, package: str, extra: str) -> None:
        super().__init__(f"{purpose} needs {package}, which is not installed: pip install 'unitcircle[{extra}]'")


class TrainingStopped(UnitcircleError):  # noqa: N818  (a requested stop is not an error)
    """A monitor with ``on_finding="stop"`` found something.

    Parameters
    ----------
    finding
        The :class:`unitcircle.Finding`.
    """

    # Any: findings are defined above this module, which imports nothing of the package.
    def __init__(self, finding: Any) -> None:
        self.finding = finding
        super().__init__(f"{finding}. {finding.remedy[:1].upper()}{finding.remedy[1:]}.")
