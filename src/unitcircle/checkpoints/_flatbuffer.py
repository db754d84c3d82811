"""Tables of a flatbuffer, read by the numbers of their fields, each checked to lie inside the file."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from unitcircle.checkpoints._contents import MAX_DEPTH
from unitcircle.checkpoints._room import work
from unitcircle.errors import CheckpointError

# Why not the flatbuffers package: what is needed of it are three functions, and those do not check a place against the
# file: a negative one reads from its end.


MAX_ENTRIES = 100_000
"""Tables of one list."""
STEPS_OF_TABLE = 8


@dataclass(frozen=True, slots=True)
class Table:
    """A table at a place of a flatbuffer."""

    memory: memoryview
    place: int
    depth: int = 0

    @classmethod
    def root(cls, memory: memoryview, /) -> Table:
        """Return the table that a file starts with."""
        return cls(memory, _number(memory, "<I", 0))

    def number(self, field: int, code: str, default: int | float = 0) -> int | float:
        """Return a number."""
        place = self._field(field)
        return default if place is None else _number(self.memory, code, place)

    def integer(self, field: int, code: str, default: int = 0) -> int:
        """Return an integer."""
        return int(self.number(field, code, default))

    def table(self, field: int) -> Table | None:
        """Return a table inside this one."""
        place = self._field(field)
        return None if place is None else self._at(place)

    def tables(self, field: int) -> Iterator[Table]:
        """Iterate over a list of tables."""
        for place in self._entries(field, 4, MAX_ENTRIES):
            work(STEPS_OF_TABLE, "its tables")
            yield self._at(place)

    def numbers(self, field: int, code: str, *, most: int = 100_000) -> tuple[int | float, ...]:
        """Return a list of numbers."""
        size = struct.calcsize(code)
        places = self._entries(field, size, most)
        return struct.unpack(f"<{len(places)}{code[-1]}", self.memory[places.start : places.start + size * len(places)])

    def content(self, field: int) -> memoryview:
        """Return a list of bytes as a view of the file."""
        places = self._entries(field, 1)
        return self.memory[places.start : places.stop]

    def text(self, field: int) -> str:
        """Return a text."""
        return str(self.content(field)[:200], "utf-8", "replace")

    def _at(self, place: int) -> Table:
        if self.depth > MAX_DEPTH:
            message = "its tables lie in each other without end: hostile"
            raise CheckpointError(message)
        return Table(self.memory, place + _number(self.memory, "<I", place), self.depth + 1)

    def _entries(self, field: int, size: int, most: int = sys.maxsize) -> range:
        place = self._field(field)
        if place is None:
            return range(0)
        start = place + _number(self.memory, "<I", place)
        count = _number(self.memory, "<I", start)
        work(count if size > 1 else 1, "its lists")
        if count * size > len(self.memory) - start - 4 or count > most:
            message = f"a list of {count} entries is too long for the file: truncated or hostile"
            raise CheckpointError(message)
        return range(start + 4, start + 4 + count * size, size)

    def _field(self, field: int) -> int | None:
        offsets = self.place - _number(self.memory, "<i", self.place)
        if 4 + 2 * field >= _number(self.memory, "<H", offsets):
            return None
        offset = _number(self.memory, "<H", offsets + 4 + 2 * field)
        return self.place + offset if offset else None


def _number(memory: memoryview, code: str, place: int) -> int:
    if not 0 <= place <= len(memory) - struct.calcsize(code):
        message = "a table points outside of the file: truncated or hostile"
        raise CheckpointError(message)
    return struct.unpack_from(code, memory, place)[0]
