"""Ignore it where the sequence ends with padding that the loss does not read."""

from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "state_norm"


def before():
    x = inputs(40)
    x[:, 10:] = 0  # nothing arrives after ten steps
    return plain(0.5, 1.0), x


def after():
    x = inputs(40)
    x[:, 10:] = 0
    return plain(1.0, 1.0), x
