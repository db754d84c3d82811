"""Harshal Rudra's well-behaved matrices: orthogonal weights, the gradients they pass on, and whether they stay."""

__all__ = ["SOURCE"]

from unitcircle.experiments.reproduce.well_behaved._source import SOURCE as SOURCE
