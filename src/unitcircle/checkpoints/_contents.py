"""What a reader finds in a file, before names decide which tensors are which layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import RecurrentLayer

MAX_DEPTH = 64
"""Levels of a tree of names."""


@dataclass(frozen=True)
class Contents:
    """The named tensors of a file, and what the format itself says about them."""

    tensors: Mapping[str, StoredTensor]
    texts: Mapping[str, str] = field(default_factory=dict[str, str])  # Texts beside them by name: activations, options
    layers: Sequence[RecurrentLayer] = ()  # Layers that the format describes, which no name need tell
    notes: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()  # What looks recurrent and was not read, one sentence each
    by_name: bool = True  # Whether further layers may be told by the names of tensors
    suspects: tuple[str, ...] = ()  # The same, where no layer is found at all


class Names:
    """The names of a tree of tensors, bounded: a long key at every level would take the square of the file."""

    def __init__(self, size: int, separator: str) -> None:
        self._left = 2 * size + (64 << 20)
        self._separator = separator

    def join(self, parent: str, part: object) -> str:
        """Return the name of an entry of a named branch."""
        name = f"{parent}{self._separator}{part}" if parent else str(part)
        self._left -= len(name) + 700  # and the tensor that it may be the name of
        if self._left < 0:
            message = "its names take more room than the file: refused as hostile"
            raise CheckpointError(message)
        return name
