"""The tensors of a file while layers are made of them: which are free, which are taken, and what is to be said."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from unitcircle.checkpoints._counted_layer import source_of
from unitcircle.checkpoints._layer_names import distinct, layer_name
from unitcircle.checkpoints._reparametrized import restored
from unitcircle.checkpoints._room import work
from unitcircle.checkpoints._tensor import StoredTensor
from unitcircle.recurrence import Cell, RecurrentLayer, Source

ASSUMED_TANH = "plain cells whose file does not name the activation are taken as tanh"


@dataclass
class Inventory:
    """The tensors of a file, reparametrized weights under their plain names, and what became of them so far."""

    stored: Mapping[str, StoredTensor]
    file: str
    texts: Mapping[str, str]
    tensors: Mapping[str, StoredTensor] = field(init=False)
    free: dict[str, StoredTensor] = field(init=False)
    layers: list[RecurrentLayer] = field(default_factory=list[RecurrentLayer])
    taken: dict[str, str] = field(default_factory=dict[str, str])
    skipped: dict[str, tuple[str, bool]] = field(default_factory=dict[str, tuple[str, bool]])
    notes: dict[str, None] = field(default_factory=dict[str, None])
    unread: dict[str, None] = field(default_factory=dict[str, None])
    rates: dict[str, bool] = field(default_factory=dict[str, bool])  # Prefix → whether a time constant stands there
    squares: dict[tuple[str, int], list[str]] = field(default_factory=dict[tuple[str, int], list[str]])
    _parts: dict[str, tuple[str, ...]] = field(init=False)
    _prefixes: dict[str, str] = field(default_factory=dict[str, str])
    _labels: set[str] = field(default_factory=set[str])

    def __post_init__(self) -> None:
        found = restored(self.stored)
        self.tensors, self._parts = found.tensors, found.parts
        self.free = dict(found.tensors)
        self._made_of: dict[str, list[str]] = {}
        for plain, parts in self._parts.items():
            for part in parts:
                self._made_of.setdefault(part, []).append(plain)
        self._sorted = sorted({*self.stored, *found.tensors})
        self.unread |= dict.fromkeys(found.unread)
        self._restoring = found.notes

    def keep(self, layer: RecurrentLayer) -> None:
        """Record a layer under a name of its own, and that its tensors are no longer free."""
        layer = distinct(layer, self._labels)
        self._labels.add(layer.label)
        self.layers.append(layer)
        for name in layer.source.tensors:
            self.taken[name] = layer.name
            self.free.pop(name, None)
            for plain in self._made_of.get(name, ()):
                self.free.pop(plain, None)
                self.notes |= dict.fromkeys(self._restoring)

    def skip(self, name: str, reason: str, *, undecided: bool) -> None:
        """Record why a tensor goes into no layer."""
        self.skipped[self.stored_names([name])[0]] = reason, undecided
        self.free.pop(name, None)

    def load(self, name: str | None) -> Any:
        """Return the values of a tensor that is there."""
        return None if name is None else self.tensors[name].load()

    def below(self, prefix: str) -> Iterator[str]:
        """Yield the names that start with a prefix."""
        for index in range(bisect_left(self._sorted, prefix), len(self._sorted)):
            name = self._sorted[index]
            if not name.startswith(prefix):
                return
            work(1 + (len(name) >> 6), "the names beside its layers")
            yield name

    def free_below(self, prefix: str) -> Iterator[str]:
        """Yield the free names that start with a prefix."""
        return (name for name in self.below(prefix) if name in self.free)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor."""
        return self.tensors[name].shape

    def is_matrix(self, name: str) -> bool:
        """Whether a free tensor is a matrix of real numbers."""
        return name in self.free and self.free[name].is_matrix

    def stored_names(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the names in the file of tensors, or of the parts that they are computed from."""
        return tuple(stored for name in names for stored in self._parts.get(name, (name,)))

    def source(self, names: Sequence[str], layout: str = "") -> Source:
        """Return the source of a layer whose recurrent weight is the first of some tensors."""
        return source_of(self.file, self.stored_names(names), layout, self.tensors[names[0]].dtype)

    def layer_name(self, prefix: str, cell: Cell, weight: str = "") -> str:
        """Return the name of a layer: short, unless the file holds another layer of the same short name."""
        name, full = layer_name(prefix, cell, weight), prefix.rstrip("./_")
        index = bisect_left(self._sorted, name)
        if (
            name != full
            and full.endswith(name)
            and index < len(self._sorted)
            and self._sorted[index].startswith((f"{name}.", f"{name}/"))
        ):
            name = full or name
        known = self._prefixes.setdefault(name, prefix)
        return name if known == prefix else full or name

    def plain_activation(self, prefix: str) -> str:
        """Return the activation of a plain cell: that which the file names, or tanh."""
        for switch in ("mode", "nonlinearity"):
            text = self.texts.get(prefix + switch, "").lower().removeprefix("rnn_")
            if text in {"tanh", "relu"}:
                return text
        self.notes[ASSUMED_TANH] = None
        return "tanh"


def module_of(name: str, /) -> str:
    """Return the part of a name up to the last dot or slash, which is that of the module."""
    return name[: max(name.rfind("."), name.rfind("/")) + 1]
