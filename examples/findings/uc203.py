"""Ignore it where units are meant to be switches, as in a trained network that holds bits."""

from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "states"


def before():
    return plain(1.0, 100.0), inputs(40)


def after():
    return plain(1.0, 0.3), inputs(40)
