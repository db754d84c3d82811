"""Daniel Rapp's notes on the spectral radius of random weights, beside the exact law."""

__all__ = ["TEXT"]

from unitcircle_reproduction.radius._text import TEXT as TEXT
