"""Dou and Principe's eigen initializer: dynamics from eigenvalues, spectra after training, rivals, open questions."""

__all__ = ["TEXT"]

from unitcircle_reproduction.eigen._text import TEXT as TEXT
