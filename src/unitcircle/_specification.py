"""Frozen objects that a short text names: initializers, tasks, cells.

``eigen(modulus=0.95)``, ``tomita(grammar=4)``, ``leaky(alpha=0.2)``: the form of command lines, study files and
reports. A text is parsed and never evaluated.
"""

from __future__ import annotations

import ast
import re
import reprlib
import unicodedata
from collections.abc import Container, Mapping
from dataclasses import Field, dataclass, fields
from functools import cache, lru_cache
from keyword import iskeyword
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, Union, cast, get_args, get_origin, get_type_hints

from unitcircle.errors import ArgumentError, SpecificationError, UnknownNameError


@dataclass(frozen=True)
class Specification:
    """A named, frozen, serialisable specification; every kind has its own registry.

    Two specifications are equal if their parameters are; ``str(specification)`` is a text that :meth:`parse` reads
    back.
    """

    kind: ClassVar[str]
    """The kind of object, for error messages: ``"initializer"``."""
    registry: ClassVar[dict[str, type[Specification]]]
    """Every name of this kind that a text may use, aliases included, with its class."""
    example: ClassVar[str]
    """A text of this kind, for messages."""
    name: ClassVar[str]
    """The name in specifications, such as ``eigen`` in ``"eigen(modulus=0.95)"``."""
    aliases: ClassVar[tuple[str, ...]] = ()
    """Other names of the same thing: ``"glorot_normal"``."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" in cls.__dict__:
            # The aliases of a parent stay the parent's.
            for name in (cls.name, *cls.__dict__.get("aliases", ())):
                cls.registry[name] = cls
            _canonical.cache_clear()

    def to_dict(self) -> dict[str, Any]:
        """Return the specification as plain JSON-ready values: ``{"name": "eigen", "modulus": 0.95, ...}``."""
        return {"name": self.name} | {field.name: getattr(self, field.name) for field in self.parameter_fields()}

    @classmethod
    def from_dict(cls, specification: dict[str, Any], /) -> Self:
        """Return the specification that a dictionary from :meth:`to_dict` describes."""
        return cls._require_class(cls._create(specification).resolve())

    @classmethod
    def parse(cls, text: str | Self, /) -> Self:
        """Read a specification from text."""
        # The grammar is name or name(parameter=value, ...); a value is a number, true, false,
        # none, a bare or quoted word, or a list of numbers.
        if isinstance(text, Specification):
            return cast("Self", text.resolve())
        return cls._require_class(cls.unresolved(text).resolve())

    @classmethod
    def unresolved(cls, text: str | Specification, /) -> Specification:
        """Return the specification that a text names, without importing a module or opening a file."""
        if isinstance(text, Specification):
            return text
        wrong = f"cannot read {reprlib.repr(text)}: write name or name(parameter=value, ...), for example {cls.example}"
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  (a caller may not check types)
            raise SpecificationError(wrong)
        match = re.fullmatch(r"\s*([A-Za-z_]\w*)\s*(?:\((.*)\))?\s*", text, re.DOTALL)
        if match is None:
            raise SpecificationError(wrong)
        name, arguments = match.groups()
        try:
            call = ast.parse(f"f({arguments or ''})", mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # a NUL; brackets without end
            raise SpecificationError(wrong) from error
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name) or call.args:
            message = f"{wrong}; every parameter needs its name"
            raise SpecificationError(message)
        values: dict[str, Any] = {}
        for keyword in call.keywords:
            if keyword.arg is None or keyword.arg == "name":
                raise SpecificationError(wrong)
            if keyword.arg in values:
                message = f"{wrong}; {keyword.arg} is given twice"
                raise SpecificationError(message)
            values[keyword.arg] = _value(keyword.value, wrong)
        return cls._create({"name": name} | values)

    @classmethod
    def canonical(cls, text: str | Specification, /) -> str:
        """Return the one text of all that name the same specification."""
        return _canonical(cls, text) if isinstance(text, str) else str(cls.unresolved(text))

    def resolve(self) -> Specification:
        """Return the specification itself, or the one that it refers to by name."""
        return self

    @property
    def identity(self) -> str:
        """The text that names it in the key of a run: the same on every machine."""
        return str(self)

    @classmethod
    def _create(cls, specification: Mapping[str, Any]) -> Specification:
        if not isinstance(specification, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  (from a file)
            message = f"a specification must be a dictionary; got {reprlib.repr(specification)}."
            raise SpecificationError(message)
        values = dict(specification)
        name = values.pop("name", None)
        if not isinstance(name, str):
            listed = ", ".join(sorted(cls.registry))
            message = f"a specification needs a name, one of {listed}; got {reprlib.repr(specification)}."
            raise SpecificationError(message)
        if name not in cls.registry:
            raise UnknownNameError(cls.kind, name, cls.registry)
        subclass = cls.registry[name]
        known = {field.name for field in subclass.parameter_fields()}
        for parameter in values:
            if parameter not in known:
                raise UnknownNameError(
                    f"parameter of {name}", str(parameter), known or {"(none: it takes no parameter)"}
                )
        return subclass(**of_declared_type(subclass, {key: _freeze(value) for key, value in values.items()}))

    @classmethod
    def _require_class(cls, specification: Specification) -> Self:
        """Return the specification if it is one of this class."""
        if not isinstance(specification, cls):
            message = (
                f"{cls.__name__}.from_dict reads the specification of {cls.name!r}; got that of {specification.name!r}."
            )
            raise SpecificationError(message)
        return specification

    @classmethod
    def parameter_fields(cls) -> tuple[Field[Any], ...]:
        """Return the fields that the text holds: those that count when two specifications are compared."""
        return tuple(field for field in fields(cls) if field.compare)

    def __str__(self) -> str:
        return self._text()

    def _text(self, *, without: Container[str] = ()) -> str:
        """Return the text without some parameters."""
        names = [field.name for field in self.parameter_fields() if field.name not in without]
        return f"{self.name}({', '.join(f'{name}={_to_text(getattr(self, name))}' for name in names)})"


@cache
def _hints(of: type) -> dict[str, Any]:
    """Return the types of a class's fields; cached, since a study asks for them hundreds of times."""
    return get_type_hints(of)


def of_declared_type(of: type, values: Mapping[str, Any], /) -> dict[str, Any]:
    """Return values from outside, such as a file, after a check against the types that a dataclass declares."""
    # An integer becomes a float where a float is declared: 1 and 1.0 mean the same and must have one text, since the
    # text is part of the key of a run. A bool does not count as an int.
    try:
        hints = _hints(of)
    except NameError:
        # The annotations of a user's class may name things that cannot be looked up here.
        return dict(values)
    for name, value in values.items():
        if not _admits(hints[name], value):
            raise ArgumentError(name, f"must be {_describe(hints[name])}", reprlib.repr(value))
    return {n: _float(n, v) if hints[n] is float else v for n, v in values.items()}


def _float(name: str, value: float) -> float:
    try:
        return float(value)
    except OverflowError as error:
        raise ArgumentError(name, "must be a number within the range of a float", reprlib.repr(value)) from error


def _admits(hint: Any, value: Any) -> bool:
    kind, inner = get_origin(hint), get_args(hint)
    if kind in {Union, UnionType}:
        return any(_admits(option, value) for option in inner)
    if kind is Literal:
        # The class itself checks the word, and suggests a correction.
        return isinstance(value, str)
    if kind is tuple:
        return isinstance(value, tuple) and all(_admits(inner[0], item) for item in value)
    if hint in {int, float}:
        return isinstance(value, int if hint is int else int | float) and not isinstance(value, bool)
    return not isinstance(hint, type) or hint not in _TYPES or isinstance(value, hint)


def _describe(hint: Any) -> str:
    kind, inner = get_origin(hint), get_args(hint)
    if kind in {Union, UnionType}:
        return " or ".join(map(_describe, inner))
    if kind is tuple:
        return f"a list, each item {_describe(inner[0])}"
    return "a word" if kind is Literal else _TYPES.get(hint, str(hint))


_TYPES = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "none"}

_WORDS = {"true": True, "false": False, "none": None}


def _value(node: ast.expr, wrong: str) -> Any:
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id.lower(), node.id)
    try:
        return _freeze(ast.literal_eval(node))
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError) as error:
        raise SpecificationError(wrong) from error


def _freeze(value: Any) -> Any:
    return tuple(_freeze(item) for item in value) if isinstance(value, list | tuple) else value


def _is_bare_word(text: str) -> bool:
    """Return whether a text without quotes is read back as itself."""
    # Python normalises identifiers: the ligature ﬁ would come back as two letters.
    plain = text.isidentifier() and unicodedata.normalize("NFKC", text) == text
    return plain and not iskeyword(text) and text.lower() not in _WORDS


def _to_text(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_to_text, value)) + "]"
    if isinstance(value, str):
        return value if _is_bare_word(value) else repr(value)
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return repr(value)


@lru_cache(4096)
def _canonical(kind: type[Specification], text: str) -> str:
    """Return the canonical text: the runs of a study repeat a few texts thousands of times."""
    return str(kind.unresolved(text))
