"""Smerity's text on orthogonal initialization: its claims, and the methods it points to."""

from __future__ import annotations

__all__ = ["ORTHOGONAL"]

from collections.abc import Iterator

from unitcircle.experiments.reproduce import (
    _orthogonal_clipping,
    _orthogonal_depth,
    _orthogonal_drive,
    _orthogonal_fibonacci,
    _orthogonal_memory,
    _orthogonal_powers,
    _orthogonal_rotation,
    _orthogonal_stabilizer,
)
from unitcircle.experiments.reproduce._claim import Claim, Source
from unitcircle.experiments.reproduce._context import Context


def _claims(context: Context) -> Iterator[Claim]:
    yield from _orthogonal_fibonacci.claims()
    yield _orthogonal_rotation.claim()
    yield _orthogonal_powers.claim(context)
    yield _orthogonal_drive.claim(context)
    yield _orthogonal_depth.claim(context)
    yield from _orthogonal_clipping.claims(context)
    yield _orthogonal_stabilizer.claim(context)
    yield from _orthogonal_memory.claims(context)


ORTHOGONAL = Source(
    "orthogonal",
    "Explaining and illustrating orthogonal initialization for recurrent neural networks",
    "S. Merity, smerity.com, 27 June 2016. We could read its beginning; what it points to is taken from the papers.",
    _claims,
)
"""The source ``orthogonal``."""
