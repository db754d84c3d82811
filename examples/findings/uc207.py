"""Ignore it where a few units of many are dead: the rest does the work."""

from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "variability"


def before():
    model = plain(1.0, 0.1, "relu")
    model.rnn.bias_ih_l0.data[:9] = -1e3  # never above 0
    return model, inputs(40)


def after():
    return plain(1.0, 0.1, "relu"), inputs(40)
