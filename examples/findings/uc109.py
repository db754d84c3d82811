"""Ignore it where the network is low-rank by design, or was pruned; name it as such, and it is not reported."""

import numpy as np

from unitcircle.recurrence import from_torch

PICTURE = "singular_values"


def before():
    left, right = np.random.default_rng(0).standard_normal((2, 48, 10))
    return from_torch(left @ right.T / 48, cell="rnn_tanh")  # rank 10 of 48


def after():
    return from_torch(np.random.default_rng(0).standard_normal((48, 48)) / 48**0.5, cell="rnn_tanh")
