"""The product's own bet: that a diagnosis at initialization says something about training."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.prediction._source import SOURCE as SOURCE
