"""Ignore it where a paper that you follow swaps them on purpose; none that we know of does."""

import numpy as np

from unitcircle.recurrence import from_keras

PICTURE = "activations"
KERNEL = np.random.default_rng(0).standard_normal((16, 64)) / 4


def before():
    return from_keras(KERNEL, cell="lstm", activation="sigmoid", recurrent_activation="tanh")


def after():
    return from_keras(KERNEL, cell="lstm", activation="tanh", recurrent_activation="sigmoid")
