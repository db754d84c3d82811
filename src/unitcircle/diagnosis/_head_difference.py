"""What changed in the decay of each head between two files of one model, beside what storage explains."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.diagnosis._head_memory import tokens
from unitcircle.recurrence import LinearRecurrence, RecurrentLayer

SINGLE = 2.0**-20
"""Relative error of a memory that is stored in single precision, some roundings of a logarithm."""


@dataclass(frozen=True)
class HeadDifference:
    """The slowest eigenvalue at rest of one head (or channel) in both files.

    Attributes
    ----------
    head
        Its number, from 0.
    modulus
        |λ| in A and in B.
    memory
        Tokens after which 1/e of a write is left, in A and in B; inf where |λ| = 1.
    storage
        The largest relative change of the memory that the storage of both files explains.
    """

    head: int
    modulus: tuple[float, float]
    memory: tuple[float, float]
    storage: float

    @property
    def changed(self) -> bool:
        """Whether the memory changed by more than its storage explains."""
        before, after = self.memory
        if before == after:
            return False
        with np.errstate(all="ignore"):
            moved = abs(float(np.log(after) - np.log(before)))
        return not moved <= self.storage

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        data = {"head": self.head, "modulus": list(self.modulus), "memory": list(self.memory)}
        return data | {"storage": self.storage, "changed": self.changed}

    def __str__(self) -> str:
        (one, two), (before, after) = self.modulus, self.memory
        text = f"{self.head}: |λ| {one:.6g} -> {two:.6g}, memory {tokens(before)} -> {tokens(after)} tokens"
        return f"{text} (storage explains {self.storage:.1e})"


def head_differences(one: RecurrentLayer, two: RecurrentLayer, /) -> tuple[HeadDifference, ...]:
    """Return the heads of two layers with one decay each; none where they are not of one family and size."""
    a, b = one.linear, two.linear
    if a is None or b is None or a.log_eigenvalues.shape != b.log_eigenvalues.shape:
        return ()
    heads = np.arange(a.units)
    before, after = (linear.memory.reshape(a.units, -1) for linear in (a, b))
    slowest = np.where(np.isnan(before), -1, before).argmax(1)
    error = (_rounding(a) + _rounding(b)).reshape(a.units, -1)[heads, slowest]
    with np.errstate(all="ignore"):
        moduli = [np.exp(np.real(linear.log_eigenvalues)).reshape(a.units, -1)[heads, slowest] for linear in (a, b)]
    return tuple(
        HeadDifference(int(h), (float(x), float(y)), (float(before[h, k]), float(after[h, k])), float(bar))
        for h, k, x, y, bar in zip(heads, slowest, *moduli, error, strict=True)
    )


def _rounding(linear: LinearRecurrence) -> np.ndarray:
    return np.maximum(linear.rounding, SINGLE)
