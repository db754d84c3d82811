"""How long the heads of a linear recurrence remember at rest, in tokens."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.recurrence import RecurrentLayer

ENDLESS = 5e6
"""From this memory on (tokens), a head never decays: it is 300 times the longest that authors initialize."""


@dataclass(frozen=True)
class HeadMemory:
    """The memory of the heads (or channels) of one layer at rest.

    Attributes
    ----------
    unit
        ``"head"``, ``"channel"`` or ``"mode"``.
    median, shortest, longest
        Tokens after which 1/e of a write is left, over all eigenvalues; inf where |λ| = 1.
    shortest_in, longest_in
        The heads that they are in, from 0.
    endless
        The heads in which an eigenvalue never decays.
    momentary
        The heads of which no eigenvalue keeps 1/1000 of a write over one token.
    along_key
        Of a delta rule: the smallest and largest eigenvalue α(1 − β) along the key, at β = 1/2; else None.
    channels
        The eigenvalues of a head that are stored; with one, it is that of all entries of the head's state.
    """

    unit: str
    median: float
    shortest: float
    longest: float
    shortest_in: int
    longest_in: int
    endless: tuple[int, ...]
    momentary: tuple[int, ...]
    along_key: tuple[float, float] | None
    channels: int = 1

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return dict(vars(self))

    def __str__(self) -> str:
        text = f"median {tokens(self.median)}, shortest {tokens(self.shortest)} ({self.unit} {self.shortest_in}), "
        text += f"longest {tokens(self.longest)} ({self.unit} {self.longest_in})"
        for heads, what in ((self.endless, "never decay"), (self.momentary, "forget in one token")):
            if heads:
                text += f"; {len(heads)} {what} ({self.unit} {listed(heads)})"
        if self.along_key is not None:
            low, high = (f"{value:.3g}" for value in self.along_key)
            text += f"; along the key α(1 − β) = {low}" + ("" if low == high else f" to {high}")
            others = f"the other {self.channels - 1}" if self.channels > 1 else "all other"
            text += f", with multiplicity 1, and α in {others} directions of a head's key"
        elif self.unit == "head" and self.channels == 1:
            text += "; one λ a head, for all entries of its state"
        return text


def head_memory(layer: RecurrentLayer, /) -> HeadMemory | None:
    """Return the memory of the heads of a layer; None where it is no linear recurrence, or is not finite."""
    linear = layer.linear
    if linear is None or np.isnan(linear.memory).any():
        return None
    memory = linear.memory.reshape(linear.units, -1)
    along = linear.along_key
    return HeadMemory(
        unit=linear.family.unit,
        median=float(np.median(memory)),
        shortest=float(memory.min()),
        longest=float(memory.max()),
        shortest_in=int(memory.min(1).argmin()),
        longest_in=int(memory.max(1).argmax()),
        endless=tuple(np.flatnonzero((memory > ENDLESS).any(1)).tolist()),
        momentary=tuple(np.flatnonzero((memory <= -1 / math.log(LOST)).all(1)).tolist()),
        along_key=None if along is None else (float(along.min()), float(along.max())),
        channels=memory.shape[1],
    )


def memory_of_all(layers: Sequence[RecurrentLayer], /) -> dict[str, float] | None:
    """Return median, shortest and longest memory (tokens) over all heads, where every layer has heads."""
    found = [layer.linear.memory.ravel() for layer in layers if layer.linear is not None and head_memory(layer)]
    if not found or len(found) < len(layers):
        return None
    values = np.concatenate(found)
    return {"median": float(np.median(values)), "shortest": float(values.min()), "longest": float(values.max())}


def tokens(memory: float, /) -> str:
    """Return a memory for people: 3.5e+33 rather than thirty digits that no one reads and no float holds."""
    if math.isinf(memory):
        return "forever"
    if memory >= 1e7:
        return f"{memory:.2g}"
    return f"{memory:,.0f}" if memory >= 100 else f"{memory:.3g}"


def listed(numbers: Sequence[int], /) -> str:
    """Return the first numbers of a list: ``"0, 3, 5 and 9 more"``."""
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    return ", ".join(map(str, numbers[:5])) + more
