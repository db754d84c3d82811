"""Where the watched weights come from: any mapping of arrays, whatever the framework."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np

from unitcircle._array import library, to_numpy
from unitcircle.diagnosis import Place
from unitcircle.errors import ArgumentError, ShapeError

ENTRIES = 1 << 24
"""Most entries of all the square weights that are watched though nobody named them: 64 MiB for each copy in float32."""


class Role(StrEnum):
    """What a watched weight does, which decides about the rules that look at it."""

    PLAIN = "plain"
    """The recurrent weight of a plain cell: its powers are the dynamics."""
    GATE = "gate"
    """One gate of a gated cell."""
    SQUARE = "square"
    """A square weight that is applied once: its spectral radius says nothing about time."""


@dataclass(frozen=True, eq=False)
class Block:
    """One square weight."""

    place: Place  # Where it is
    # (n, n) in NumPy, float32 or float64 (or complex); it may share memory with the network: read it now.
    value: np.ndarray
    role: Role = Role.PLAIN  # What it does
    gradient: float = float("nan")  # ‖∂L/∂W‖_F; NaN where there is no gradient

    @property
    def recurrent(self) -> bool:
        """Whether it is applied again and again."""
        return self.role is not Role.SQUARE


@runtime_checkable
class Weights(Protocol):
    """Gives the watched weights as they are now."""

    def blocks(self) -> dict[str, Block]:
        """Return name → block."""
        ...

    def gradient_norm(self) -> float:
        """Return the norm of the whole gradient; NaN where there is none."""
        ...

    def settle(self) -> None:
        """Wait for what the device still has to do, so that its time is not counted as ours."""


class NamedWeights:
    """Weights that a function returns."""

    # Shapes: read (n, n)

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read
        self._pending = False

    def blocks(self) -> dict[str, Block]:
        """Return name → block."""
        found = self._read()
        if not isinstance(cast("object", found), Mapping) or not found:
            raise ArgumentError("model", "must be a module, or return a mapping of weights", type(found).__name__)
        self._pending = any(library(array) == "jax" for array in found.values())
        blocks: dict[str, Block] = {}
        for name, array in found.items():
            value = to_numpy(array, argument=name)
            if value.dtype.kind not in "fc" or value.dtype.itemsize < 4:
                value = value.astype(np.float32)
            if value.ndim != 2 or value.shape[0] != value.shape[1] or not value.size:
                raise ShapeError(name, "must be square", f"shape {value.shape}")
            blocks[name] = Block(Place(name, tensor=name), value)
        return blocks

    def gradient_norm(self) -> float:
        """Return NaN: a function of weights has no gradient to show."""
        return float("nan")

    def settle(self) -> None:
        """Wait for JAX, which may still be computing what the function returns; others have done so."""
        if self._pending:
            sys.modules["jax"].block_until_ready(self._read())


def spread(sizes: Sequence[int], limit: int, /) -> list[int]:
    """Choose weights that are spread evenly over a network."""
    for count in range(min(limit, len(sizes)), 0, -1):
        chosen = np.linspace(0, len(sizes) - 1, count).round().astype(int).tolist()
        if sum(sizes[k] for k in chosen) <= ENTRIES:
            return chosen
    return []
