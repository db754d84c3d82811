"""Ignore it where the target is one number: one direction is then enough."""

import torch
from subjects.plain import plain
from subjects.reader import inputs

PICTURE = "directions"


def before():
    model = plain(1.0, 0.1)
    torch.nn.init.eye_(model.rnn.weight_hh_l0)
    model.rnn.weight_ih_l0.data[:, 1] = 0  # one input, one direction
    return model, inputs(40)


def after():
    return plain(1.0, 0.1), inputs(40)
