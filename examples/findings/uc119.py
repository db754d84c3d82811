"""Ignore it where the eigenvalues are not trained, or have a learning rate of their own."""

import numpy as np

from unitcircle.recurrence import from_diagonal

PICTURE = "eigenvalues"


def before():
    return from_diagonal(np.array([0.5, 0.999]))  # the parameter is the eigenvalue itself


def after():
    return from_diagonal(np.array([0.5, 0.9]))
