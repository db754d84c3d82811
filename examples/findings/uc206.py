"""Ignore it where sequences are shorter than the growth, exp(λT), needs to matter, or chaos is what you study."""

import torch
from subjects.plain import plain
from subjects.reader import inputs

import unitcircle as uc

PICTURE = "divergence"


def before():
    model = plain(1.0, 0.1)
    torch.nn.init.normal_(model.rnn.weight_hh_l0, std=3 / 24**0.5)  # gain 3
    return model, inputs(60)


def after():
    model = plain(1.0, 0.1)
    uc.torch.initialize_(model, recurrent="orthogonal", rng=0)
    return model, inputs(60)
