"""Ignore it where training goes well all the same: nothing else speaks for gates that are orthogonal only together."""

import torch

OPTIONS = {"steps": 100}
PICTURE = "eigenvalues"


def before():
    lstm = torch.nn.LSTM(4, 48)
    torch.nn.init.orthogonal_(lstm.weight_hh_l0)  # orthogonal as a (4n, n) stack
    return lstm


def after():
    lstm = torch.nn.LSTM(4, 48)
    for gate in lstm.weight_hh_l0.data.chunk(4):
        torch.nn.init.orthogonal_(gate)
    return lstm
