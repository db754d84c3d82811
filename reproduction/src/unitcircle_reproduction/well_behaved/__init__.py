"""Harshal Rudra's well-behaved matrices: orthogonal weights, the gradients they pass on, and whether they stay."""

__all__ = ["TEXT"]

from unitcircle_reproduction.well_behaved._text import TEXT as TEXT
