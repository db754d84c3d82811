"""Diagnosing a live model costs a few training steps."""

import torch
from torch import nn

from benchmarks._row import Row, least_time
from unitcircle import diagnose

CELLS = {nn.LSTM: "LSTM", nn.GRU: "GRU", nn.RNN: "RNN"}
MOST = 15
MOST_TRIED = 150


class _Reader(nn.Module):
    """A layer and a readout of its last state."""

    def __init__(self, layer, size):
        super().__init__()
        self.rnn, self.head = layer(3, size, batch_first=True), nn.Linear(size, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def _row(layer, size, steps, batch, *, tried=()):
    torch.manual_seed(0)
    model, x, y = _Reader(layer, size), torch.randn(batch, steps, 3), torch.randint(0, 2, (batch,))
    trained = _Reader(layer, size)
    optimizer = torch.optim.Adam(trained.parameters())

    def training():
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(x), y).backward()
        optimizer.step()

    step, ours = least_time(3, training, lambda: diagnose(model, (x, y), try_initializers=tried))
    most = MOST_TRIED if tried else MOST
    what = "diagnose with the remedies tried" if tried else "diagnose"
    return Row(
        f"{what}: nn.{CELLS[layer]}, n = {size}, T = {steps}, batch {batch}; {ours / step:.3g} steps, goal {most}",
        f"{most} training steps of the fused layer (Adam, float32), from one",
        f"{what} (float64)",
        most * step,
        ours,
        1,
    )


def rows():
    """Goals of issue 15 on cost.

    A training step of an LSTM in float32 is one oneDNN kernel on some processors, five times faster than that of a GRU:
    there twenty draws of the remedies, each with its QR factorizations, take more than the goal.
    """
    for size, steps, batch in ((64, 100, 16), (128, 200, 16), (64, 1000, 8), (256, 1000, 8)):
        for layer in CELLS:
            yield _row(layer, size, steps, batch)
    for layer in CELLS:
        yield _row(layer, 64, 100, 16, tried=["remedies"])
