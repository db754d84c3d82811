"""Dou and Principe's eigen initializer: dynamics from eigenvalues, spectra after training, rivals, open questions."""

__all__ = ["SOURCE"]

from unitcircle_reproduction.eigen._source import SOURCE as SOURCE
