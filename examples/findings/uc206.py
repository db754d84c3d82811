"""Ignore it where sequences are shorter than the growth, exp(λT), needs to matter, or chaos is what you study."""

import torch

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


class Reader(torch.nn.Module):
    """A recurrent layer, read at its last step."""

    def __init__(self, layer):
        super().__init__()
        self.rnn, self.readout = layer, torch.nn.Linear(layer.hidden_size, 1)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0][:, -1])


def inputs(steps):
    return torch.randn(16, steps, 2, generator=torch.Generator().manual_seed(1))


def plain(gain, scale, activation="tanh"):
    """Return a plain network with an orthogonal weight times gain, and inputs times scale."""
    torch.manual_seed(0)
    model = Reader(torch.nn.RNN(2, 24, batch_first=True, nonlinearity=activation))
    torch.nn.init.orthogonal_(model.rnn.weight_hh_l0, gain)
    model.rnn.weight_ih_l0.data.mul_(scale)
    torch.nn.init.zeros_(model.rnn.bias_ih_l0)
    torch.nn.init.zeros_(model.rnn.bias_hh_l0)
    return model
