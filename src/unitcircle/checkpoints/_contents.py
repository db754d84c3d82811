"""What a reader returns: named tensors, the texts beside them, and what became of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from unitcircle.checkpoints._tensor import StoredTensor


@dataclass(frozen=True, slots=True)
class Contents:
    """The named tensors of a file, and what stands beside them."""

    tensors: Mapping[str, StoredTensor]
    texts: Mapping[str, str] = field(default_factory=dict[str, str])  # Activations and options, by name
    notes: tuple[str, ...] = ()  # Remarks for the coverage
    unread: tuple[str, ...] = ()  # What looks recurrent and was not read
