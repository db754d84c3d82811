"""Lines that repeat the names of one before them: their numbers are checked, and only those that are kept parsed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from unitcircle.monitor._run_line import LARGEST_STEP

MARK = b"\0"
"""Stands for a text in quotes; JSON has it nowhere."""
# A whole number of more digits may overflow. The quantifiers with + give nothing back: a line is read once.
_NUMBER = rb"-?(?:0|[1-9][0-9]{0,299}+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+"
_NUMBERS = re.compile(rb"\{\0: (?:\0, \0: )?" + _NUMBER + rb"(?:, \0: " + _NUMBER + rb")*+\}")
"""An object of numbers, whose first value may be a text, with marks for the texts in quotes."""


def quoted(parts: list[bytes], /) -> tuple[bytes, ...]:
    """Return the texts in quotes of a line that was split at its quotes."""
    return tuple(parts[1::2])


@dataclass(frozen=True, eq=False)
class RepeatedLine:
    """A line of numbers with their names, after the name of the run if it has one."""

    step: int  # Place of the step among the parts of the line between quotes
    kept: tuple[int, ...]  # Places of the numbers that are kept

    @classmethod
    def of(cls, line: bytes, record: Mapping[str, Any], kept: Sequence[str], /) -> Self | None:
        """Return what lines of the same texts in quotes share with that of a record; None where it is not numbers."""
        text, names = line.decode(errors="replace"), list(record)
        # Otherwise the names of the record are not the texts in the line.
        if "\\" in text or not text.isprintable() or "step" not in names:
            return None
        # Before the value of a name are two quotes, and two more for the text that is the first value.
        places = {name: 2 * (k + (names[0] == "run")) + 2 for k, name in enumerate(names)}
        shared, parts = cls(places["step"], tuple(places[name] for name in kept)), line.split(b'"')
        numbers = shared.numbers(parts)
        repeats = len(parts) == 2 * (len(names) + (names[0] == "run")) + 1
        return shared if repeats and numbers == (record["step"], *(record[name] for name in kept)) else None

    def numbers(self, parts: list[bytes], /) -> tuple[float, ...] | None:
        """Return the step and the numbers that are kept; None where the line is written in another way."""
        if _NUMBERS.fullmatch(MARK.join(parts[::2])) is None:
            return None
        try:
            step = int(parts[self.step].strip(b":, }"))
        except ValueError:
            return None
        return (step, *[float(parts[k].strip(b":, }")) for k in self.kept]) if abs(step) <= LARGEST_STEP else None
