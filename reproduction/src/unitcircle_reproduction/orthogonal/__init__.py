"""Smerity's text on orthogonal initialization: its claims, and the methods it points to."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.orthogonal._source import SOURCE as SOURCE
