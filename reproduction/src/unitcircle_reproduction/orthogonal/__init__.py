"""Smerity's text on orthogonal initialization: its claims, and the methods it points to."""

__all__ = ["TEXT"]

from unitcircle_reproduction.orthogonal._text import TEXT as TEXT
