"""Weights that are zero except on a few diagonals, made without writing into an array."""

from __future__ import annotations

from typing import Any

from unitcircle._array import namespace


def identity(template: Any, /) -> Any:
    """Return ones on the main diagonal and zeros elsewhere, in the shape of a template ``(..., m, n)``."""
    return _mask(template, 0)


def banded(template: Any, diagonals: dict[int, Any], /) -> Any:
    """Return the square matrix with the diagonals given, offset → a number or an array ``(..., n − |offset|)``."""
    xp = namespace(template)
    total = xp.zeros_like(template)
    for offset, values in diagonals.items():
        entries = values
        if not isinstance(values, int | float):
            rest = xp.zeros_like(template[..., 0, : abs(offset)])
            padded = xp.concat([values, rest], axis=-1)
            # Entry (i, i + k) is values[i] and entry (j + k, j) is values[j]: the axis that counts from 0.
            entries = padded[..., :, None] if offset >= 0 else padded[..., None, :]
        total = total + _mask(template, offset) * entries
    return total


def _mask(template: Any, offset: int) -> Any:
    xp = namespace(template)
    return xp.tril(xp.triu(xp.ones_like(template), k=offset), k=offset)
