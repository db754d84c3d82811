"""Ignore it where the target depends on the last steps only; with a target in the batch it is then a note."""

from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "gradient"


def before():
    return plain(0.5, 1e-3), inputs(40)


def after():
    return plain(1.0, 1e-3), inputs(40)
