"""Diagnosing a live model costs a few training steps."""

import torch
from torch import nn

from benchmarks._row import Row, least_time
from unitcircle import diagnose
from unitcircle.dynamics import gradient_flow

CELLS = {nn.LSTM: "LSTM", nn.GRU: "GRU", nn.RNN: "RNN"}
MOST = 15
MOST_TRIED = 150
MOST_FLOW = 2.5


class _Reader(nn.Module):
    """A layer and a readout of its last state."""

    def __init__(self, layer, size):
        super().__init__()
        self.rnn, self.head = layer(3, size, batch_first=True), nn.Linear(size, 2)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1])


def _training(layer, size, x, y):
    trained = _Reader(layer, size)
    optimizer = torch.optim.Adam(trained.parameters())

    def step():
        optimizer.zero_grad()
        nn.functional.cross_entropy(trained(x), y).backward()
        optimizer.step()

    return step


def live_row(layer, size, steps, batch, *, tried=()):
    torch.manual_seed(0)
    model, x, y = _Reader(layer, size), torch.randn(batch, steps, 3), torch.randint(0, 2, (batch,))
    training = _training(layer, size, x, y)
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


def _flow_row(size, dtype, steps=1000, batch=8):
    torch.manual_seed(0)
    model, x, y = _Reader(nn.LSTM, size), torch.randn(batch, steps, 3), torch.randint(0, 2, (batch,))
    training = _training(nn.LSTM, size, x, y)
    step, ours = least_time(5, training, lambda: gradient_flow(model, (x, y), dtype=dtype))
    precision = str(dtype).removeprefix("torch.")
    return Row(
        f"gradient_flow: nn.LSTM, n = {size}, T = {steps}, batch {batch}, {precision}; {ours / step:.3g} steps, "
        f"goal {MOST_FLOW}",
        f"{MOST_FLOW} training steps of the fused layer (Adam, float32), from one",
        f"gradient_flow ({precision})",
        MOST_FLOW * step,
        ours,
        1,
    )


def rows():
    """Goals of issue 15 on cost.

    A training step of an LSTM in float32 is one oneDNN kernel on some processors, five times faster than that of a GRU:
    there twenty draws of the remedies, each with its QR factorizations, take more than the goal. For the same reason a
    gradient flow in double precision misses its goal at n = 64: two products of 8 × 64 by 64 × 256 (20 µs) and eleven
    elementwise operations a time step (20 µs), each at the least time of one call, are two of these steps of 21 ms, and
    the calls of a Python loop over them, with a view of every step, another. Fewer views, in buffers that are used
    again, made 5 of 77 ms; one sigmoid for all gates (tanh x = 2 σ(2x) − 1) less than one.
    """
    for size in (64, 256):
        for dtype in (torch.float64, torch.float32):
            yield _flow_row(size, dtype)
    for size, steps, batch in ((64, 100, 16), (128, 200, 16), (64, 1000, 8), (256, 1000, 8)):
        for layer in CELLS:
            yield live_row(layer, size, steps, batch)
    for layer in CELLS:
        yield live_row(layer, 64, 100, 16, tried=["remedies"])
