"""Ignore it where the gate was cut off on purpose, as in a cell that has no recurrence in one gate by design."""

import torch

PICTURE = "matrix"


def before():
    lstm = torch.nn.LSTM(4, 48)
    torch.nn.init.eye_(lstm.weight_hh_l0)  # the identity of the first gate, zeros in the others
    return lstm


def after():
    lstm = torch.nn.LSTM(4, 48)
    for gate in lstm.weight_hh_l0.data.chunk(4):
        torch.nn.init.eye_(gate)
    return lstm
