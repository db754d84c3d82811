"""Ignore it where sequences are short, or the loss falls: where any gradient arrives, a bias is learned."""

import torch

import unitcircle as uc

OPTIONS = {"steps": 100}
PICTURE = "retention"


def before():
    lstm = torch.nn.LSTM(4, 48)
    torch.nn.init.zeros_(lstm.bias_ih_l0)
    torch.nn.init.zeros_(lstm.bias_hh_l0)
    return lstm


def after():
    lstm = before()
    uc.torch.initialize_(lstm, bias="chrono(max_steps=100)", rng=0)
    return lstm
