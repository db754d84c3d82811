"""Lines that repeat the names of one before them: one pattern reads them, and only the numbers kept are parsed."""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

# A whole number of more digits may overflow. The quantifiers with + give nothing back: a line is read once.
_NUMBER = rb"-?(?:0|[1-9][0-9]{0,299}+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_STEP = rb"-?(?:0|[1-9][0-9]{0,14}+)"
"""Every whole number of 15 digits is a float."""


def quoted(line: bytes, /) -> tuple[bytes, ...]:
    """Return the texts in quotes of a line."""
    return tuple(line.split(b'"')[1::2])


@dataclass(frozen=True, eq=False)
class RepeatedLine:
    """A line of numbers with their names, after the name of the run if it has one."""

    names: tuple[bytes, ...]  # Of the numbers; the step comes first
    run: bytes | None  # Name of the run
    kept: frozenset[bytes]  # Names of the numbers that are kept

    @classmethod
    def of(cls, line: bytes, record: Mapping[str, Any], kept: Sequence[str], /) -> Self | None:
        """Return what lines of the same texts in quotes share with that of a record; None where it is not numbers."""
        run, names = None, list(record)
        if names[0] == "run":
            run = record[names.pop(0)].encode()
        # The names of the record are not the texts in the line where there are escapes, or a name twice.
        if b"\\" in line or not line.decode(errors="replace").isprintable() or names[:1] != ["step"]:
            return None
        if not all(type(record[name]) in {int, float} and math.isfinite(record[name]) for name in names):
            return None
        written = tuple(name.encode() for name in names)
        if quoted(line) != (() if run is None else (b"run", run)) + written:
            return None
        return cls(written, run, frozenset(name.encode() for name in kept))

    @cached_property
    def _pattern(self) -> re.Pattern[bytes]:
        """The line with its end; its groups are the step and the numbers that are kept."""
        head = b"" if self.run is None else re.escape(b'"run": "' + self.run + b'", ')
        numbers = [
            re.escape(b'"' + name + b'": ')
            + (b"(" + _STEP + b")" if name == b"step" else b"(" + _NUMBER + b")" if name in self.kept else _NUMBER)
            for name in self.names
        ]
        return re.compile(rb"\{" + head + b", ".join(numbers) + rb"\}\n")

    def read(self, buffer: bytes, place: int, /) -> tuple[array[float], array[int]]:
        """Return the step and the numbers kept of every line from a place on, and the ends, while lines repeat."""
        numbers, ends, match = array("d"), array("q"), self._pattern.match
        while (found := match(buffer, place)) is not None:
            numbers.extend(map(float, found.groups()))
            place = found.end()
            ends.append(place)
        return numbers, ends
