"""Ignore it where the sequence is long but what has to be remembered is near."""

import torch

import unitcircle as uc

PICTURE = "gradient"


def before():
    torch.manual_seed(0)
    return Reader(torch.nn.LSTM(2, 24, batch_first=True)), inputs(100)


def after():
    model, batch = before()
    uc.torch.initialize_(model, bias="chrono(max_steps=100)", rng=0)
    return model, batch


class Reader(torch.nn.Module):
    """A recurrent layer, read at its last step."""

    def __init__(self, layer):
        super().__init__()
        self.rnn, self.readout = layer, torch.nn.Linear(layer.hidden_size, 1)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0][:, -1])


def inputs(steps):
    return torch.randn(16, steps, 2, generator=torch.Generator().manual_seed(1))
