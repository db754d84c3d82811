"""Known findings: only what is new fails."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from unitcircle._files import written_whole
from unitcircle._json import to_json
from unitcircle.diagnosis import Finding, Severity
from unitcircle.errors import ArgumentError

SCHEMA = 1
"""Version of the file."""


class Known(NamedTuple):
    """What identifies a finding from one release of a model to the next: not its numbers, which training changes."""

    file: str
    code: str
    layer: str
    gate: str
    tensor: str

    def __str__(self) -> str:
        place = f"{self.layer}[{self.gate}]" if self.gate else self.layer or "model"
        return f"{self.file}: {place}: {self.code}" + (f" of {self.tensor}" if self.tensor else "")


@dataclass(frozen=True)
class Baseline:
    """The findings that a project knows, and accepts for now.

    Attributes
    ----------
    path
        The file, from whose folder the paths in it start.
    known
        Each finding, and the severity that was accepted.

    Examples
    --------
    >>> from pathlib import Path
    >>> from unitcircle.linting import Settings, check
    >>> nothing = Baseline(Path("baseline.json"))  # of a project that accepts no finding
    >>> report = check(["examples/popular-lstm.safetensors"], Settings(select=("UC101",)), baseline=nothing)
    >>> report.status, report.summary
    (1, '1 file: 2 warnings')
    """

    path: Path
    known: Mapping[Known, Severity] = field(default_factory=dict[Known, Severity])

    @classmethod
    def read(cls, path: Path, /) -> Baseline:
        """Read a baseline.

        Parameters
        ----------
        path
            A file that ``--write-baseline`` has written.

        Returns
        -------
        Baseline
            Its findings.

        Raises
        ------
        ArgumentError
            The file cannot be read or is no baseline.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return cls(path, _findings(content))
        except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
            rule = f"must be a baseline of schema {SCHEMA}"
            raise ArgumentError("baseline", rule, f"{path} ({error})", "Write one with --write-baseline.") from error

    def knows(self, file: str, finding: Finding, /) -> bool:
        """Return whether a finding of a file is known, with its severity or a higher one."""
        accepted = self.known.get(self.entry(file, finding))
        return accepted is not None and finding.severity <= accepted

    def entry(self, file: str, finding: Finding, /) -> Known:
        """Return what identifies a finding of a file."""
        place = finding.place
        return Known(self._name(file), finding.code, place.layer, place.gate, place.tensor)

    def stale(self, found: Iterable[tuple[str, Finding]], files: Iterable[str], /) -> list[Known]:
        """Return the known findings which are there no more, of files that were looked at or are gone, sorted."""
        names = {self._name(file) for file in files}
        left = self.known.keys() - {self.entry(*item) for item in found}
        return sorted(entry for entry in left if entry.file in names or self._is_gone(entry.file))

    def _is_gone(self, name: str) -> bool:
        # module:factory is no file, nor is an address.
        return ":" not in name and not (self.path.parent / name).exists()

    def write(self, found: Iterable[tuple[str, Finding]], /) -> None:
        """Write the findings of a call as the new baseline; the file is replaced only when it is complete."""
        severities: dict[Known, Severity] = {}
        for file, finding in found:
            entry = self.entry(file, finding)
            severities[entry] = max(finding.severity, severities.get(entry, finding.severity))
        findings = [entry._asdict() | {"severity": str(severities[entry])} for entry in sorted(severities)]
        content = {"schema": SCHEMA, "findings": findings}
        with written_whole(self.path) as file:
            file.write(to_json(content).encode() + b"\n")

    def _name(self, file: str) -> str:
        return file if "://" in file else Path(os.path.relpath(file, self.path.parent)).as_posix()


def _findings(content: Any) -> dict[Known, Severity]:
    if content["schema"] != SCHEMA:
        raise ValueError(f"schema {content['schema']!r}")
    rows = [[entry[name] for name in Known._fields] for entry in content["findings"]]
    if not all(isinstance(value, str) for row in rows for value in row):
        raise TypeError("a finding has a value that is no text")
    # Baselines of version 0.2 hold no severity: they accept any.
    severities = [Severity[str(entry.get("severity", "error")).upper()] for entry in content["findings"]]
    return {Known(*row): severity for row, severity in zip(rows, severities, strict=True)}
