"""The plain network of the examples of UC2xx."""

import torch
from subjects.reader import Reader


def plain(gain, scale, activation="tanh"):
    """Return a plain network with an orthogonal weight times gain, and inputs times scale."""
    torch.manual_seed(0)
    model = Reader(torch.nn.RNN(2, 24, batch_first=True, nonlinearity=activation))
    torch.nn.init.orthogonal_(model.rnn.weight_hh_l0, gain)
    model.rnn.weight_ih_l0.data.mul_(scale)
    torch.nn.init.zeros_(model.rnn.bias_ih_l0)
    torch.nn.init.zeros_(model.rnn.bias_hh_l0)
    return model
