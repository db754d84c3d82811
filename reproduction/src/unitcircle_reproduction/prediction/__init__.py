"""The product's own bet: that a diagnosis at initialization says something about training."""

__all__ = ["TEXT"]

from unitcircle_reproduction.prediction._text import TEXT as TEXT
