"""Where the watched weights come from: any mapping of arrays, whatever the framework."""

from __future__ import annotations

__all__ = ["Block", "NamedWeights", "Weights", "is_module"]

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np

from unitcircle._array import library, to_numpy
from unitcircle.diagnosis import Place
from unitcircle.errors import ArgumentError, ShapeError


@dataclass(frozen=True, eq=False)
class Block:
    """One square weight.

    Attributes
    ----------
    place
        Where it is.
    value
        ``(n, n)`` in NumPy, float32 or float64 (or complex); it may share memory with the network: read it now.
    gates
        Whether it is one gate of a gated cell.
    gradient
        ‖∂L/∂W‖_F; NaN where there is no gradient.
    """

    place: Place
    value: np.ndarray
    gates: bool = False
    gradient: float = float("nan")


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
    """Weights that a function returns.

    Parameters
    ----------
    read
        Called without arguments: a mapping from names to square arrays ``(n, n)`` of any library.
    """

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read
        self._pending = False

    def blocks(self) -> dict[str, Block]:
        """Return name → block.

        Returns
        -------
        dict
            In the order of the mapping.

        Raises
        ------
        ArgumentError
            The function returned no mapping, or an empty one.
        ShapeError
            A weight is not square.
        """
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


def is_module(model: object, /) -> bool:
    """Whether this is a ``torch.nn.Module``, found out without importing torch."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)
