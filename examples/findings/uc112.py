"""Ignore the note of a short memory where no sequence is longer; an eigenvalue outside the circle is never harmless."""

import numpy as np

from unitcircle.recurrence import from_diagonal

OPTIONS = {"steps": 100}
PICTURE = "moduli"
ANGLES = np.exp(1j * np.linspace(0.2, 3.0, 24))


def before():
    return from_diagonal(1.01 * ANGLES)


def after():
    return from_diagonal(0.99 * ANGLES)
