"""Plain recurrences: one weight, or a structured one, and how it is written."""

import functools

import torch
from tests.architectures.architecture import Architecture, ByTime, M, N
from torch import nn
from torch.nn import functional
from torch.nn.utils import parametrizations


class Elman(ByTime):
    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def step(self, x, h):
        return torch.tanh(self.x2h(x) + self.h2h(h))


class Concatenated(ByTime):
    """The character-level tutorial: one Linear over [x, h]."""

    layer = "i2h"

    def build(self):
        self.i2h = nn.Linear(M + N, N)

    def step(self, x, h):
        return torch.tanh(self.i2h(torch.cat([x, h], 1)))


class Parameters(ByTime):
    layer = "W"

    def build(self):
        self.U, self.W = nn.Parameter(torch.randn(M, N) / 2), nn.Parameter(torch.randn(N, N) / 2)

    def step(self, x, h):
        return torch.tanh(x @ self.U + h @ self.W)


class Columns(Architecture):
    """States as columns: h = tanh(W h + U x), without a batch."""

    batched = False

    def __init__(self):
        super().__init__()
        self.U, self.W = nn.Parameter(torch.randn(N, M) / 2), nn.Parameter(torch.randn(N, N) / 2)

    def forward(self, x):
        h = torch.zeros(N, dtype=x.dtype)
        for x_t in x[:, 0]:
            h = torch.tanh(self.W @ h + self.U @ x_t)
            self.keep("W", h)
        return h


class Residual(ByTime):
    layer = "f"

    def build(self):
        self.f = nn.Sequential(nn.Linear(M + N, 8), nn.ReLU(), nn.Linear(8, N))

    def step(self, x, h):
        return h + 0.3 * self.f(torch.cat([x, h], -1))


class Leaky(ByTime):
    layer = "W"

    def build(self):
        self.U, self.W = nn.Linear(M, N), nn.Linear(N, N, bias=False)

    def step(self, x, h):
        return 0.8 * h + 0.2 * torch.tanh(self.U(x) + self.W(h))


class DecayFirst(ByTime):
    """The state decays by a constant at the beginning of a step."""

    layer = "W"

    def build(self):
        self.U, self.W = nn.Linear(M, N), nn.Linear(N, N)

    def step(self, x, h):
        h = 0.9 * h
        return h + 0.1 * torch.tanh(self.U(x) + self.W(h))


class IndRNN(ByTime):
    layer = "u"

    def build(self):
        self.W, self.u = nn.Linear(M, N), nn.Parameter(torch.rand(N))

    def step(self, x, h):
        return torch.relu(self.W(x) + self.u * h)


class TiedWeights(Architecture):
    """The same Linear maps the input and the state."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(M, M)

    def forward(self, x):
        h = torch.zeros_like(x[0])
        for t in range(x.shape[0]):
            h = torch.tanh(self.linear(x[t]) + self.linear(h))
            self.keep("linear", h)
        return h


class EchoState(Architecture):
    """A reservoir: fixed weights in buffers; only the readout is trained."""

    def __init__(self):
        super().__init__()
        self.register_buffer("W", torch.randn(N, N) / 2)
        self.register_buffer("W_in", torch.randn(M, N))
        self.readout = nn.Linear(N, 1)
        self.start = nn.Parameter(torch.zeros(N))

    def forward(self, x):
        h = self.start.expand(x.shape[1], N)
        for x_t in x:
            h = torch.tanh(x_t @ self.W_in + h @ self.W)
            self.keep("W", h)
        return self.readout(h)


class UnitaryFFT(ByTime):
    """A unitary recurrence of diagonal phases, Fourier transforms and a permutation, with modReLU."""

    layer = "phase"

    def build(self):
        self.U = nn.Linear(M, 2 * N)
        self.phase, self.bias = nn.Parameter(torch.rand(2, N) * 3), nn.Parameter(torch.zeros(N))
        self.register_buffer("order", torch.randperm(N))

    def initial(self, x):
        return torch.complex(*x.new_ones(2, x.shape[1], N).unbind(0))

    def step(self, x, h):
        h = torch.fft.fft(torch.polar(torch.ones_like(self.phase[0]), self.phase[0]) * h, norm="ortho")
        h = torch.fft.ifft(torch.polar(torch.ones_like(self.phase[1]), self.phase[1]) * h[:, self.order], norm="ortho")
        z = h + torch.complex(*self.U(x).chunk(2, -1))
        size = z.abs() + 1e-3
        return z * torch.relu(size + self.bias) / size

    def forward(self, x):
        h = self.initial(x)
        for t in range(len(x)):
            h = self.step(x[t], h)
            self.keep("phase", h)
        return self.readout(h.real)


class Antisymmetric(ByTime):
    layer = "W"

    def build(self):
        self.W, self.V = nn.Parameter(torch.randn(N, N)), nn.Linear(M, N)

    def step(self, x, h):
        A = self.W - self.W.T - 0.1 * torch.eye(N, dtype=h.dtype)
        return h + 0.2 * torch.tanh(h @ A.T + self.V(x))


class OrthogonalParametrized(ByTime):
    layer = "h2h"

    def build(self):
        self.x2h = nn.Linear(M, N)
        self.h2h = parametrizations.orthogonal(nn.Linear(N, N, bias=False))

    def step(self, x, h):
        return torch.tanh(self.x2h(x) + self.h2h(h))


class WeightNormed(ByTime):
    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, N), parametrizations.weight_norm(nn.Linear(N, N))

    def step(self, x, h):
        return torch.tanh(self.x2h(x) + self.h2h(h))


class WeightDropped(ByTime):
    """The recurrent weight is dropped once per sequence, before the loop."""

    layer = "raw"

    def build(self):
        self.raw, self.x2h = nn.Parameter(torch.randn(N, N) / 2), nn.Linear(M, N)

    def forward(self, x):
        W = functional.dropout(self.raw, 0.5, training=self.training)
        h = torch.zeros(x.shape[1], N)
        for t in range(len(x)):
            h = torch.tanh(self.x2h(x[t]) + functional.linear(h, W))
            self.keep("raw", h)
        return self.readout(h)


class LowRank(ByTime):
    layer = "n"

    def build(self):
        self.U, self.m, self.n = nn.Linear(M, N), nn.Parameter(torch.randn(N, 2)), nn.Parameter(torch.randn(N, 2))

    def step(self, x, h):
        return 0.7 * h + 0.3 * ((torch.tanh(h) @ self.n) @ self.m.T / N + self.U(x))


class InReverse(ByTime):
    layer = "cell"

    def build(self):
        self.cell = nn.Linear(M + N, N)

    def forward(self, x):
        h = None
        for t in reversed(range(x.size(0))):
            if h is None:
                h = torch.zeros(x.size(1), N, dtype=x.dtype)
            h = self.cell(torch.cat((x[t], h), dim=-1)).tanh()
            self.keep("cell", h)
        return self.readout(h)


class While(ByTime):
    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def forward(self, x):
        t, h = 0, torch.zeros(x.shape[1], N, dtype=x.dtype)
        drive = self.x2h(x)
        while t < len(x):
            h = torch.tanh(drive[t] + self.h2h(h))
            self.keep("h2h", h)
            t += 1
        return self.readout(h)


class Reduced(ByTime):
    """The loop is functools.reduce."""

    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def step(self, h, x):
        h = torch.tanh(self.x2h(x) + self.h2h(h))
        self.keep("h2h", h)
        return h

    def forward(self, x):
        return self.readout(functools.reduce(self.step, x.unbind(0), torch.zeros(x.shape[1], N, dtype=x.dtype)))


class SubclassedCell(ByTime):
    """A leaky cell made by subclassing nn.RNNCell."""

    layer = "cell"

    class LeakyCell(nn.RNNCell):
        def forward(self, x, h):
            return 0.9 * h + 0.1 * super().forward(x, h)

    def build(self):
        self.cell = self.LeakyCell(M, N)

    def step(self, x, h):
        return self.cell(x, h)


class BatchFirst(ByTime):
    layer = "cell"

    def build(self):
        self.cell = nn.Linear(M + N, N)

    @staticmethod
    def inputs():
        return torch.randn(3, 12, M)

    def forward(self, x):
        outputs, h = [], x.new_zeros(len(x), N)
        for t in range(x.shape[1]):
            h = torch.tanh(self.cell(torch.cat([x[:, t], h], -1)))
            self.keep("cell", h)
            outputs.append(h)
        return self.readout(torch.stack(outputs, 1)).mean(1)


class Preallocated(ByTime):
    """Every step writes its output into a tensor made before the loop."""

    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def forward(self, x):
        outputs = torch.zeros(len(x), x.shape[1], N, dtype=x.dtype)
        h = outputs.new_zeros(x.shape[1], N)
        for t, x_t in enumerate(x):
            h = torch.tanh(self.x2h(x_t) + self.h2h(h))
            self.keep("h2h", h)
            outputs[t] = h
        return self.readout(outputs)


PLAIN = (
    Elman, Concatenated, Parameters, Columns, Residual, Leaky, DecayFirst, IndRNN, TiedWeights, EchoState, UnitaryFFT,
    Antisymmetric, OrthogonalParametrized, WeightNormed, WeightDropped, LowRank, InReverse, While, Reduced,
    SubclassedCell, BatchFirst, Preallocated,
)  # fmt: skip
