"""Ignore it where the length you gave is longer than what your task has to remember."""

import numpy as np

from unitcircle.initializers import parse
from unitcircle.recurrence import from_torch

OPTIONS = {"steps": 60}
PICTURE = "powers"


def before():
    return from_torch(0.8 * parse("orthogonal").sample(48, rng=0), cell="rnn_tanh", weight_ih=0.01 * np.eye(48))


def after():
    return from_torch(parse("orthogonal").sample(48, rng=0), cell="rnn_tanh", weight_ih=0.01 * np.eye(48))
