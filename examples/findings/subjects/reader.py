"""What the examples of UC2xx share: a layer that is read at its last step, and inputs for it."""

import torch


class Reader(torch.nn.Module):
    """A recurrent layer, read at its last step."""

    def __init__(self, layer):
        super().__init__()
        self.rnn, self.readout = layer, torch.nn.Linear(layer.hidden_size, 1)

    def forward(self, inputs):
        return self.readout(self.rnn(inputs)[0][:, -1])


def inputs(steps):
    return torch.randn(16, steps, 2, generator=torch.Generator().manual_seed(1))
