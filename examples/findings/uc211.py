"""Ignore it where the network learns all the same: it is about the weights before training, on one batch."""

import torch

import unitcircle as uc

PICTURE = "carried"
OPTIONS = {"loss": torch.nn.functional.mse_loss}


def before():
    model = build()
    torch.nn.init.normal_(model.rnn.weight_hh_l0, std=1.5 / 12**0.5)  # ReLU, Gaussian weights, gain 1.5
    return model, batch()


def after():
    model, data = before()
    uc.torch.initialize_(model, recurrent="identity", rng=0)
    return model, data


class Reader(torch.nn.Module):
    """A ReLU network, read at its last step."""

    def __init__(self):
        super().__init__()
        self.rnn = torch.nn.RNN(2, 12, batch_first=True, nonlinearity="relu")
        self.readout = torch.nn.Linear(12, 1)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0][:, -1])


def build():
    torch.manual_seed(1)
    return Reader()


def batch():
    """Return sequences whose first input is the target, 40 steps later."""
    x = torch.randn(32, 40, 2, generator=torch.Generator().manual_seed(0))
    return x, x[:, 0, :1]
