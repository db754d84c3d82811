"""Ignore it where gradients are clipped and the loss falls."""

from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "gradient"


def before():
    return plain(2.0, 1e-12), inputs(40)


def after():
    return plain(1.0, 1e-12), inputs(40)
