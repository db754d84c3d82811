"""The settings of a project: ``[tool.unitcircle]`` in pyproject.toml, or unitcircle.toml."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, get_args

from unitcircle.diagnosis import MAX_STEPS, FailOn, Finding, Severity, check_codes, selected_codes
from unitcircle.errors import ArgumentError, UnknownNameError

FILES = ("unitcircle.toml", "pyproject.toml")
"""Names of the files that may hold settings; in one folder the first one counts."""


@dataclass(frozen=True)
class Settings:
    """What is judged, how severely, and what makes a call fail.

    Attributes
    ----------
    select
        Codes, or beginnings of codes, of the rules that run; all but those on request where it is empty.
    extend_select
        Codes to run besides.
    ignore
        Codes to leave out of what is selected.
    per_file_ignores
        Glob of paths → codes to leave out in these files. A glob without a slash is held against the file's name,
        another one against its path from ``folder``.
    severity
        Code, or beginning of codes → severity that its findings get. The longest beginning counts.
    steps
        The length T that the task needs (steps).
    fail_on
        The severity from which the exit status is 1; ``"never"`` for none.
    allow_unread
        Whether the exit status may be 0 where something that looks recurrent was not read.
    baseline
        File of known findings.
    folder
        Folder of the file of settings; paths in it start here.

    Raises
    ------
    ArgumentError
        A value breaks a rule.
    UnknownNameError
        A code matches no rule, or a severity does not exist.

    Examples
    --------
    >>> Settings(steps=100).fail_on
    'warning'
    """

    select: tuple[str, ...] = ()
    extend_select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    severity: Mapping[str, Severity] = field(default_factory=dict)
    steps: int | None = None
    fail_on: FailOn = "warning"
    allow_unread: bool = False
    baseline: Path | None = None
    folder: Path = Path()

    def __post_init__(self) -> None:
        check_codes([*self.select, *self.extend_select, *self.ignore])
        for code in self.severity:
            # One code a severity: a list, or nothing, would be held against the codes as it stands.
            if not code.isalnum():
                raise ArgumentError("severity", "must be of one code, or beginning of codes, each", repr(code))
        check_codes(self.severity)
        for codes in self.per_file_ignores.values():
            check_codes(codes)
        if self.steps is not None and not 1 <= self.steps <= MAX_STEPS:
            rule = f"must be a positive number of steps, at most {MAX_STEPS:,}"
            raise ArgumentError("steps", rule, repr(self.steps))
        if self.fail_on not in get_args(FailOn):
            raise UnknownNameError("fail-on", self.fail_on, get_args(FailOn))

    @classmethod
    def load(cls, path: Path, /) -> Settings:
        """Read a file of settings.

        Parameters
        ----------
        path
            A TOML file. In ``pyproject.toml`` the table ``tool.unitcircle`` is read, in another file the whole.

        Returns
        -------
        Settings
            The settings, with ``folder`` set.

        Raises
        ------
        ArgumentError
            The file cannot be read, or a value breaks a rule.
        UnknownNameError
            The file holds what is no setting.
        """
        table = _table(path)
        unknown = sorted(set(table) - _KEYS.keys())
        if unknown:
            raise UnknownNameError(f"{path}: setting", unknown[0], _KEYS)
        values: dict[str, Any] = {}
        for key, value in table.items():
            convert, rule = _KEYS[key]
            try:
                values[key.replace("-", "_")] = convert(value)
            except (TypeError, ValueError, KeyError):
                raise ArgumentError(f"{path}: {key}", rule, repr(value)) from None
        if "baseline" in values:
            values["baseline"] = path.parent / values["baseline"]
        return cls(**values, folder=path.parent)

    def overridden(self, **given: Any) -> Settings:
        """Return these settings with the values that a call gives; None and empty values are not given."""
        names = {item.name for item in fields(self)}
        given = {
            name: value
            for name, value in given.items()
            if value is not None and value is not False and value not in ((), {})
        }
        assert given.keys() <= names, "an option of the command without a setting"
        if "severity" in given:
            given["severity"] = {**self.severity, **given["severity"]}
        return replace(self, **given)

    def codes_for(self, path: str, /) -> list[str]:
        """Return the codes of the rules to run on a file, sorted."""
        ignored = [
            code for pattern, codes in self.per_file_ignores.items() if self._fits(path, pattern) for code in codes
        ]
        return selected_codes(self.select, [*self.ignore, *ignored], extend=self.extend_select)

    def judged(self, finding: Finding, /) -> Finding:
        """Return a finding with the severity that it has in this project."""
        prefixes = [prefix for prefix in self.severity if finding.code.startswith(prefix.upper())]
        if not prefixes:
            return finding
        return replace(finding, severity=self.severity[max(prefixes, key=len)])

    def fails(self, findings: Sequence[Finding], /) -> bool:
        """Return whether the findings make a call fail."""
        if self.fail_on == "never":
            return False
        threshold = Severity[self.fail_on.upper()]
        return any(finding.severity >= threshold for finding in findings)

    def _fits(self, path: str, pattern: str) -> bool:
        if "/" not in pattern:
            return fnmatch(Path(path).name, pattern)
        if "://" in path:
            return fnmatch(path, pattern)
        absolute, folder = Path(os.path.abspath(path)), Path(os.path.abspath(self.folder))  # noqa: PTH100  (no link is followed)
        relative = absolute.relative_to(folder) if absolute.is_relative_to(folder) else absolute
        return fnmatch(relative.as_posix(), pattern)


def find_settings(start: Path | None = None, /) -> Path | None:
    """Return the nearest file of settings, from a folder upwards.

    Parameters
    ----------
    start
        The folder to begin with; the working directory by default.

    Returns
    -------
    pathlib.Path or None
        The file: ``unitcircle.toml``, or a ``pyproject.toml`` that has a table ``tool.unitcircle``.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "pyproject.toml").write_text("[tool.unitcircle]")
    >>> find_settings(folder).name
    'pyproject.toml'
    """
    folder = (start or Path()).absolute()
    for place in (folder, *folder.parents):
        for name in FILES:
            if (place / name).is_file() and (name == FILES[0] or _has_table(place / name)):
                return place / name
    return None


def _has_table(path: Path) -> bool:
    # Every project has a pyproject.toml, most of them without a word about unitcircle: those need no parser.
    text = path.read_text(encoding="utf-8", errors="replace")
    return "unitcircle" in text and "unitcircle" in _tools(path)


def _document(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ArgumentError("settings", "must be a readable TOML file", f"{path} ({error})") from error


def _tools(path: Path) -> dict[str, Any]:
    tools = _document(path).get("tool", {})
    return tools if isinstance(tools, dict) else {}


def _table(path: Path) -> dict[str, Any]:
    if path.name != "pyproject.toml":
        return _document(path)
    table = _tools(path).get("unitcircle")
    if not isinstance(table, dict):
        raise ArgumentError("settings", "must have a table [tool.unitcircle]", str(path))
    return table


def _codes(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(code, str) for code in value):
        raise TypeError
    return tuple(value)


def _ignores(value: Any) -> dict[str, tuple[str, ...]]:
    return {pattern: _codes(codes) for pattern, codes in _exactly(dict)(value).items()}


def _severities(value: Any) -> dict[str, Severity]:
    return {code: Severity[str(name).upper()] for code, name in _exactly(dict)(value).items()}


def _exactly(kind: type) -> Any:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise TypeError
        return value

    return convert


_LIST = (_codes, 'must be a list of codes, such as ["UC101", "UC2"]')
_SEVERITIES = ", ".join(str(severity) for severity in Severity)
_KEYS: dict[str, tuple[Any, str]] = {
    "select": _LIST,
    "extend-select": _LIST,
    "ignore": _LIST,
    "per-file-ignores": (_ignores, 'must be a table of globs and lists of codes, such as "old/*.pt" = ["UC101"]'),
    "severity": (_severities, f"must be a table of codes and severities, each of {_SEVERITIES}"),
    "steps": (_exactly(int), "must be a whole number of steps"),
    "fail-on": (_exactly(str), "must be a text"),
    "allow-unread": (_exactly(bool), "must be true or false"),
    "baseline": (_exactly(str), "must be the path of a file"),
}
"""Name of a setting → its conversion and its rule."""
