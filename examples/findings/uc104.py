"""Ignore it where the task needs no more than the last few steps: such networks learn as well as they are."""

import torch

import unitcircle as uc

PICTURE = "eigenvalues"


def before():
    torch.manual_seed(0)
    return torch.nn.RNN(4, 48)  # uniform on ±1/√n


def after():
    torch.manual_seed(0)
    rnn = torch.nn.RNN(4, 48)
    uc.torch.initialize_(rnn, recurrent="orthogonal", rng=0)
    return rnn
