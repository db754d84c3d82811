"""What reading a file may cost: bytes of memory and steps of work, all counted here before they are spent."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from unitcircle.errors import CheckpointError

# The promise is 4 × file + 200 MB and ten seconds for any file of at most PROMISED bytes. The file itself is one part
# of four, the interpreter with its libraries 50 MB; what is left is for what Python needs beyond what is counted.
PROMISED = 100 << 20
"""Bytes of the largest file for which memory and time are promised."""
ALLOWANCE = 120 << 20
"""Bytes of memory that a file may take beyond three times its size."""
LARGE = 16
"""How many times its size the part of a file beyond PROMISED may take: for weights of few bits, products of factors."""
STEPS = 5_000_000
"""Steps of work for one file; one step is an instruction of a pickle, an entry of a table: about a microsecond."""
REFUSED = (
    "refused in case it is hostile. If it is not, save its recurrent weights alone as .safetensors, at most 10,000 a "
    "file"
)
"""What is said of a file that would take more: an honest one may, such as JSON of millions of short numbers."""


class Room:
    """How much memory and work is left for what is being read."""

    def __init__(self) -> None:
        self._files: set[Path] = set()
        self._size = self._taken = self._steps = 0

    @property
    def left(self) -> int:
        """Bytes of memory that may still be taken."""
        return 3 * min(self._size, PROMISED) + LARGE * max(self._size - PROMISED, 0) + ALLOWANCE - self._taken

    def admit(self, file: Path) -> None:
        """Add what a further file may take, once."""
        if file not in self._files:
            self._files.add(file)
            self._size += file.stat().st_size

    def next_file(self) -> None:
        """Grant the steps of one file to the next file of a folder."""
        self._steps = 0

    def ask(self, nbytes: int, what: str) -> None:
        """Refuse the file unless there is room for some bytes."""
        if nbytes > self.left:
            message = (
                f"{what} would take {nbytes >> 10} KB of memory, where {max(self.left, 0) >> 10} KB are left of "
                f"{(self._taken + self.left) >> 10} KB for {self._size >> 10} KB of files: {REFUSED}"
            )
            raise CheckpointError(message)

    def take(self, nbytes: int, what: str) -> None:
        """Take some bytes for as long as the file is read, or refuse the file."""
        self.ask(nbytes, what)
        self._taken += max(nbytes, 0)

    def work(self, steps: int, what: str) -> None:
        """Count steps of work, or refuse the file."""
        self._steps += steps
        if self._steps > STEPS:
            message = f"{what} would take more than {STEPS} steps of work: {REFUSED}"
            raise CheckpointError(message)


_OPEN: ContextVar[Room | None] = ContextVar("room", default=None)


@contextmanager
def room() -> Generator[Room]:
    """Open the room in which a file is read; a file inside of another one shares its room."""
    if (outer := _OPEN.get()) is not None:
        yield outer
        return
    token = _OPEN.set(Room())
    try:
        made = _OPEN.get()
        assert made is not None
        yield made
    finally:
        _OPEN.reset(token)


def admit(file: Path, /) -> None:
    """Add what a further file may take to the room that is open; outside of one nothing is counted."""
    if (one := _OPEN.get()) is not None:
        one.admit(file)


def next_file() -> None:
    """Grant the steps of one file to the next file of a folder."""
    if (one := _OPEN.get()) is not None:
        one.next_file()


def ask(nbytes: int, what: str, /) -> None:
    """Refuse the file that is being read unless there is room for bytes that are let go again."""
    if (one := _OPEN.get()) is not None:
        one.ask(nbytes, what)


def take(nbytes: int, what: str, /) -> None:
    """Take bytes of memory of the file that is being read, or refuse it."""
    if (one := _OPEN.get()) is not None:
        one.take(nbytes, what)


def work(steps: int, what: str, /) -> None:
    """Count steps of work on the file that is being read, or refuse it."""
    if (one := _OPEN.get()) is not None:
        one.work(steps, what)


def left() -> int:
    """Return how many bytes of memory may still be taken."""
    one = _OPEN.get()
    return sys.maxsize if one is None else one.left
