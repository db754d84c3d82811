"""The weights that a monitor watches, and where they come from."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, cast

import numpy as np

from unitcircle._array import library, to_numpy
from unitcircle.diagnosis import Place
from unitcircle.errors import ArgumentError, ShapeError

ENTRIES = 1 << 24
"""Most entries of all square weights that are watched without being in ``names``: 64 MiB for each copy in float32."""


class WeightRole(StrEnum):
    """The role of a watched weight, which determines the rules that apply to it."""

    PLAIN = "plain"
    """The recurrent weight of a plain cell: its powers are the dynamics."""
    GATE = "gate"
    """One gate of a gated cell."""
    SQUARE = "square"
    """A square weight that is applied once: its spectral radius does not describe dynamics."""


@dataclass(frozen=True, eq=False)
class WeightBlock:
    """One square weight."""

    place: Place  # Where it is
    # (n, n) in NumPy, float32 or float64 (or complex); it may share memory with the network: read it now.
    value: np.ndarray
    role: WeightRole = WeightRole.PLAIN
    gradient: float = float("nan")  # ‖∂L/∂W‖_F; NaN where there is no gradient

    @property
    def recurrent(self) -> bool:
        """Whether it is applied again and again."""
        return self.role is not WeightRole.SQUARE


@dataclass(frozen=True, eq=False)
class BatchDynamics:
    """Measurements of the dynamics of a model on a batch."""

    scalars: dict[str, float]  # "<layer>/<quantity>" → number
    by_lag: dict[str, np.ndarray]  # Layer → (T + 1,) log-norm of the gradient by lag (nats), mean over the batch


class Weights(ABC):
    """The watched weights of a model, whatever its framework."""

    @abstractmethod
    def blocks(self) -> dict[str, WeightBlock]:
        """Return name → block, as they are now."""

    def gradient_norm(self) -> float:
        """Return the norm of the whole gradient; NaN where the framework gives none."""
        return float("nan")

    def settle(self) -> None:  # noqa: B027  (nothing to wait for on the host)
        """Wait for pending work of the device, so that its time is not counted as measuring."""

    def is_main(self) -> bool:
        """Whether this process is the one that measures."""
        return True

    def sample(self, batch: Any, loss: Callable[..., Any] | None, metrics: Collection[str], /) -> BatchDynamics:
        """Measure what a batch shows of the dynamics; the model is left as it was."""
        raise NotImplementedError

    def wrap(self, array: np.ndarray, /) -> Any:
        """Return a copy of an array, of a kind that the framework's checkpoints hold."""
        return np.array(array)


class NamedWeights(Weights):
    """Weights ``(n, n)`` that a function returns by name."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self._read = read
        self._pending = False

    def blocks(self) -> dict[str, WeightBlock]:
        """Return name → block, as they are now."""
        arrays = self._read()
        if not isinstance(cast("object", arrays), Mapping) or not arrays:
            raise ArgumentError("model", "must be a module, or return a mapping of weights", type(arrays).__name__)
        self._pending = any(library(array) == "jax" for array in arrays.values())
        blocks: dict[str, WeightBlock] = {}
        for name, array in arrays.items():
            value = to_numpy(array, argument=name)
            if value.dtype.kind not in "fc" or value.dtype.itemsize < 4:
                value = value.astype(np.float32)
            if value.ndim != 2 or value.shape[0] != value.shape[1] or not value.size:
                raise ShapeError(name, "must be square", f"shape {value.shape}")
            blocks[name] = WeightBlock(Place(name, tensor=name), value)
        return blocks

    def settle(self) -> None:
        """Wait for JAX, which computes asynchronously; the other libraries have finished."""
        if self._pending:
            sys.modules["jax"].block_until_ready(self._read())


def spread(sizes: Sequence[int], limit: int, /) -> list[int]:
    """Choose weights that are spread evenly over a network."""
    for count in range(min(limit, len(sizes)), 0, -1):
        indices = np.linspace(0, len(sizes) - 1, count).round().astype(int).tolist()
        if sum(sizes[k] for k in indices) <= ENTRIES:
            return indices
    return []
