"""Ignore it where the network is meant to integrate: a chain of integrators is this defect on purpose."""

import numpy as np

from unitcircle.recurrence import from_torch

PICTURE = "powers"


def before():
    return from_torch(np.array([[1.0, 1.0], [0.0, 1.0]]), cell="rnn_relu")


def after():
    return from_torch(np.eye(2), cell="rnn_relu")
