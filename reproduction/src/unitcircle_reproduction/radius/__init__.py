"""Daniel Rapp's notes on the spectral radius of random weights, beside the exact law."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.radius._source import SOURCE as SOURCE
