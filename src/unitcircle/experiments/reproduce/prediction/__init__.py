"""The product's own bet: that a diagnosis at initialization says something about training."""

__all__ = ["SOURCE"]

from unitcircle.experiments.reproduce.prediction._source import SOURCE as SOURCE
