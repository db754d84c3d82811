"""Harshal Rudra's well-behaved matrices: orthogonal weights, the gradients they pass on, and whether they stay."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.well_behaved._source import SOURCE as SOURCE
