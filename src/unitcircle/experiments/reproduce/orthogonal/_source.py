"""Smerity's text on orthogonal initialization: its claims, and the methods it points to."""

from __future__ import annotations

__all__ = ["SOURCE"]

from collections.abc import Iterator

from unitcircle.experiments.reproduce._claim import Claim, Source
from unitcircle.experiments.reproduce._context import Context
from unitcircle.experiments.reproduce.orthogonal import (
    _clipping,
    _depth,
    _drive,
    _fibonacci,
    _memory,
    _powers,
    _rotation,
    _stabilizer,
)


def _claims(context: Context) -> Iterator[Claim]:
    yield from _fibonacci.claims()
    yield _rotation.claim()
    yield _powers.claim(context)
    yield _drive.claim(context)
    yield _depth.claim(context)
    yield from _clipping.claims(context)
    yield _stabilizer.claim(context)
    yield from _memory.claims(context)


SOURCE = Source(
    "orthogonal",
    "Explaining and illustrating orthogonal initialization for recurrent neural networks",
    "S. Merity, smerity.com, 27 June 2016. We could read its beginning; what it points to is taken from the papers.",
    _claims,
)
"""The source ``orthogonal``."""
