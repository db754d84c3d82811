"""Dou and Principe's eigen initializer: dynamics from eigenvalues, spectra after training, rivals, open questions."""

__all__ = ["SOURCE"]

from unitcircle.experiments.reproduce.eigen._source import SOURCE as SOURCE
