"""What a reader finds in a file, before names decide which tensors are which layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from unitcircle.checkpoints._room import take, work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.recurrence import RecurrentLayer

MAX_DEPTH = 64
"""Levels of a tree of names."""
COST_OF_TENSOR = 700
"""Bytes that Python keeps for a tensor besides its name."""


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


def joined(parent: str, part: object, separator: str, /) -> str:
    """Return the name of an entry of a named branch; a long key at every level would take the square of the file."""
    name = f"{parent}{separator}{part}" if parent else str(part)
    take(len(name) + COST_OF_TENSOR, "the names of its tensors")
    work(2, "the tree of its tensors")
    return name
