"""Ignore it where the sequence is long but what has to be remembered is near."""

import torch
from subjects.reader import Reader, inputs

import unitcircle as uc

PICTURE = "gradient"


def before():
    torch.manual_seed(0)
    return Reader(torch.nn.LSTM(2, 24, batch_first=True)), inputs(100)


def after():
    model, batch = before()
    uc.torch.initialize_(model, bias="chrono(max_steps=100)", rng=0)
    return model, batch
