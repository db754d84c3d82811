"""Ignore it where the gradient is cut on purpose: truncated backpropagation, with a task that fits into a chunk."""

import torch

PICTURE = "gradient"


class Chunked(torch.nn.Module):
    """A GRU that is run in chunks of ten steps."""

    def __init__(self, detach):
        super().__init__()
        self.rnn, self.readout, self.detach = torch.nn.GRU(2, 24, batch_first=True), torch.nn.Linear(24, 1), detach

    def forward(self, inputs):
        state = None
        for chunk in inputs.split(10, 1):
            output, state = self.rnn(chunk, state)
            state = state.detach() if self.detach else state
        return self.readout(output[:, -1])


def before():
    return build(detach=True), inputs()


def after():
    return build(detach=False), inputs()


def build(detach):
    torch.manual_seed(0)
    model = Chunked(detach)
    model.rnn.bias_hh_l0.data[24:48] = 5.0  # the gate that keeps the state is open
    return model


def inputs():
    return torch.randn(16, 40, 2, generator=torch.Generator().manual_seed(1))
