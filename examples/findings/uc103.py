"""Ignore it where two layers share one weight on purpose; a shared tensor under one name is not reported."""

import torch

PICTURE = "matrix"


def before():
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(4, 48)
    block = torch.randn(48, 48) / 48**0.5
    lstm.weight_hh_l0.data = block.repeat(4, 1)  # one draw for every gate
    return lstm


def after():
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(4, 48)
    lstm.weight_hh_l0.data = torch.randn(4 * 48, 48) / 48**0.5
    return lstm
