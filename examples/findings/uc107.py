"""Ignore it where amplification is meant, as in chains that store sequences, and training is stable."""

import numpy as np

from unitcircle.recurrence import from_torch

OPTIONS = {"steps": 64}
PICTURE = "powers"


def before():
    return from_torch(np.array([[0.9, 10.0], [0.0, 0.8]]), cell="rnn_tanh")


def after():
    return from_torch(np.array([[0.9, 1.0], [0.0, 0.8]]), cell="rnn_tanh")  # the same eigenvalues, nearer to normal
