"""Gated recurrences that people write by hand, and stacks of them."""

import torch
from tests.architectures.architecture import Architecture, ByTime, M, N
from torch import nn
from torch.utils.checkpoint import checkpoint


class HandGRU(ByTime):
    layer = "h2h"

    def build(self):
        self.x2h, self.h2h = nn.Linear(M, 3 * N), nn.Linear(N, 3 * N)

    def step(self, x, h):
        (a, b, c), (d, e, f) = self.x2h(x).chunk(3, -1), self.h2h(h).chunk(3, -1)
        z, n = torch.sigmoid(b + e), torch.tanh(c + torch.sigmoid(a + d) * f)
        return n + z * (h - n)


class LayerNormGRU(ByTime):
    """The cell of Dreamer."""

    layer = "cell"

    def build(self):
        self.cell = nn.Sequential(nn.Linear(M + N, 3 * N, bias=False), nn.LayerNorm(3 * N))

    def step(self, x, h):
        reset, candidate, update = self.cell(torch.cat([h, x], -1)).chunk(3, -1)
        candidate, update = torch.tanh(torch.sigmoid(reset) * candidate), torch.sigmoid(update - 1)
        return update * candidate + (1 - update) * h


class GateByGate(ByTime):
    """Six Linear modules, as in tutorials."""

    layer = "cell"

    def build(self):
        names = ("xz", "hz", "xr", "hr", "xn", "hn")
        self.cell = nn.ModuleDict({name: nn.Linear(M if name[0] == "x" else N, N) for name in names})

    def step(self, x, h):
        z = torch.sigmoid(self.cell["xz"](x) + self.cell["hz"](h))
        r = torch.sigmoid(self.cell["xr"](x) + self.cell["hr"](h))
        return (1 - z) * h + z * torch.tanh(self.cell["xn"](x) + self.cell["hn"](r * h))


class MinimalGated(ByTime):
    layer = "gate"

    def build(self):
        self.gate, self.new = nn.Linear(M + N, N), nn.Linear(M + N, N)

    def step(self, x, h):
        f = torch.sigmoid(self.gate(torch.cat([x, h], -1)))
        return (1 - f) * h + f * torch.tanh(self.new(torch.cat([x, f * h], -1)))


class PairState(Architecture):
    """Cells with two tensors of state, h and c."""

    layer = "cell"

    def __init__(self):
        super().__init__()
        self.build()
        self.readout = nn.Linear(N, 2)

    def forward(self, x):
        h, c = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N)
        for t in range(len(x)):
            h, c = self.step(x[t], h, c)
            self.keep(self.layer, h, c)
        return self.readout(h)


class HandLSTM(PairState):
    def build(self):
        self.cell = nn.Linear(M + N, 4 * N)

    def step(self, x, h, c):
        i, f, g, o = self.cell(torch.cat([x, h], -1)).chunk(4, -1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c


class LayerNormLSTM(PairState):
    def build(self):
        self.cell = nn.ModuleList([nn.Linear(M + N, 4 * N, bias=False), nn.LayerNorm(4 * N), nn.LayerNorm(N)])

    def step(self, x, h, c):
        linear, of_gates, of_cell = self.cell
        i, f, g, o = of_gates(linear(torch.cat([x, h], -1))).chunk(4, -1)
        c = torch.sigmoid(f + 1) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(of_cell(c)), c


class Peephole(PairState):
    def build(self):
        self.cell = nn.ParameterDict({"W": torch.randn(M + N, 4 * N) / 3, "p": torch.randn(3, N) / 3})

    def step(self, x, h, c):
        i, f, g, o = (torch.cat([x, h], -1) @ self.cell["W"]).chunk(4, -1)
        p = self.cell["p"]
        new = torch.sigmoid(f + p[1] * c) * c + torch.sigmoid(i + p[0] * c) * torch.tanh(g)
        return torch.sigmoid(o + p[2] * new) * torch.tanh(new), new


class Coupled(PairState):
    """Coupled input and forget gates."""

    def build(self):
        self.cell = nn.Linear(M + N, 3 * N)

    def step(self, x, h, c):
        f, g, o = self.cell(torch.cat((x, h), -1)).split(N, -1)
        c = f.sigmoid() * c + (1 - f.sigmoid()) * g.tanh()
        return o.sigmoid() * c.tanh(), c


class SLSTM(Architecture):
    """The sLSTM of xLSTM: exponential gates, with a normalizer and a stabilizer in the state."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(M + N, 4 * N)

    def forward(self, x):
        h, c, n, m = (x.new_zeros(x.shape[1], N) for _ in range(4))
        for x_t in x:
            i, f, z, o = self.cell(torch.cat([x_t, h], -1)).chunk(4, -1)
            new = torch.maximum(f + m, i)
            i, f = torch.exp(i - new), torch.exp(f + m - new)
            c, n, m = f * c + i * torch.tanh(z), f * n + i, new
            h = torch.sigmoid(o) * c / n.clamp_min(1e-6)
            self.keep("cell", h, c, n, m)
        return h


class GRUD(Architecture):
    """Missing values: input and state decay with the time since the last observation."""

    def __init__(self):
        super().__init__()
        self.decay, self.cell = nn.Linear(M, N), nn.ModuleList([nn.Linear(2 * M + N, N) for _ in range(3)])
        self.input_decay = nn.Parameter(torch.rand(M))

    @staticmethod
    def inputs():
        x, mask, gap = torch.randn(3, 12, M), (torch.rand(3, 12, M) > 0.4).float(), torch.rand(3, 12, M)
        return torch.stack([x, mask, gap], 1)

    def forward(self, inputs):
        x, mask, gap = inputs.unbind(1)
        h, last = x.new_zeros(len(x), N), x.new_zeros(len(x), M)
        for t in range(x.shape[1]):
            seen = mask[:, t]
            last = seen * x[:, t] + (1 - seen) * last
            x_t = seen * x[:, t] + (1 - seen) * torch.exp(-torch.relu(self.input_decay * gap[:, t])) * last
            h = torch.exp(-torch.relu(self.decay(gap[:, t]))) * h
            z, r = (torch.sigmoid(self.cell[k](torch.cat([x_t, h, seen], -1))) for k in (0, 1))
            h = (1 - z) * h + z * torch.tanh(self.cell[2](torch.cat([x_t, r * h, seen], -1)))
            self.keep("cell", h)
        return h


class CfC(ByTime):
    """Closed-form continuous time."""

    layer = "cell"

    def build(self):
        self.cell = nn.ModuleDict(
            {"backbone": nn.Linear(M + N, 8)} | {k: nn.Linear(8, N) for k in ("f1", "f2", "a", "b")}
        )

    def step(self, x, h):
        z = 1.7159 * torch.tanh(0.666 * self.cell["backbone"](torch.cat([x, h], 1)))
        f1, f2 = torch.tanh(self.cell["f1"](z)), torch.tanh(self.cell["f2"](z))
        s = torch.sigmoid(self.cell["a"](z) * 0.7 + self.cell["b"](z))
        return f1 * (1 - s) + s * f2


class LTC(ByTime):
    """Liquid time constants: six fused solver steps inside every step."""

    layer = "cell.state"

    def build(self):
        self.cell = nn.ModuleDict({"input": nn.Linear(M, N), "state": nn.Linear(N, N)})
        self.tau, self.A = nn.Parameter(torch.rand(N) + 0.5), nn.Parameter(torch.randn(N))

    def step(self, x, h):
        drive = self.cell["input"](x)
        for _ in range(6):
            f = torch.sigmoid(self.cell["state"](h) + drive)
            h = (h + 0.1 * f * self.A) / (1 + 0.1 * (1 / self.tau + f))
        return h


class ZoneOut(ByTime):
    """Zoneout in evaluation mode: a fixed share of the state is kept."""

    layer = "cell"

    def build(self):
        self.cell = nn.Linear(M + N, N)

    def step(self, x, h):
        new = torch.tanh(self.cell(torch.cat([x, h], -1)))
        if self.training:
            return torch.where(torch.rand_like(h) < 0.1, h, new)
        return 0.1 * h + 0.9 * new


class Masked(Architecture):
    """Padded sequences: the state stands still after the end of each."""

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(M + N, N)

    def forward(self, x):
        h, lengths = x.new_zeros(x.shape[1], N), torch.tensor([12, 7, 4])
        for t in range(len(x)):
            new = torch.tanh(self.cell(torch.cat([x[t], h], -1)))
            h = torch.where((t < lengths)[:, None], new, h)
            self.keep("cell", h)
        return h


class Stack(Architecture):
    """Two layers in one loop, in a list of states."""

    def __init__(self, layers=2):
        super().__init__()
        self.cells = nn.ModuleList([nn.Linear((N if k else M) + N, N) for k in range(layers)])

    def forward(self, x):
        h = [x.new_zeros(x.shape[1], N) for _ in self.cells]
        for t in range(len(x)):
            below = x[t]
            for k, cell in enumerate(self.cells):
                h[k] = below = torch.tanh(cell(torch.cat([below, h[k]], -1)))
                self.keep(f"cells.{k}", h[k])
        return below


class DeepStack(Stack):
    """Four layers, and nothing but the inner loop in the outer one."""

    def __init__(self):
        super().__init__(4)

    def forward(self, x):
        h = [x.new_zeros(x.shape[1], N) for _ in self.cells]
        for t in range(len(x)):
            for k, cell in enumerate(self.cells):
                h[k] = torch.tanh(cell(torch.cat([h[k - 1] if k else x[t], h[k]], -1)))
                self.keep(f"cells.{k}", h[k])
        return h[-1]


class LayerByLayer(Stack):
    """One layer after the other over the whole sequence."""

    def forward(self, x):
        sequence = list(x)
        for k, cell in enumerate(self.cells):
            h, outputs = x.new_zeros(x.shape[1], N), []
            for x_t in sequence:
                h = torch.tanh(cell(torch.cat([x_t, h], -1)))
                self.keep(f"cells.{k}", h)
                outputs.append(h)
            sequence = outputs
        return h


class LSTMStack(Architecture):
    """Cells of LSTM with a list of pairs as state."""

    class Cell(nn.Module):
        def __init__(self, size):
            super().__init__()
            self.linear = nn.Linear(size + N, 4 * N)

        def forward(self, x, state):
            h, c = state
            i, f, g, o = self.linear(torch.cat([x, h], -1)).chunk(4, -1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            return o.sigmoid() * c.tanh(), c

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList([self.Cell(M), self.Cell(N)])

    def forward(self, x):
        states = [(x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N)) for _ in self.layers]
        for x_t in x:
            below = x_t
            for k, layer in enumerate(self.layers):
                states[k] = layer(below, states[k])
                self.keep(f"layers.{k}.linear", *states[k])
                below = states[k][0]
        return below


class Bidirectional(Architecture):
    def __init__(self):
        super().__init__()
        self.ahead, self.back = nn.Linear(M + N, N), nn.Linear(M + N, N)

    def run(self, cell, xs, name):
        h, outputs = xs[0].new_zeros(xs[0].shape[0], N), []
        for x in xs:
            h = torch.tanh(cell(torch.cat([x, h], -1)))
            self.keep(name, h)
            outputs.append(h)
        return outputs

    def forward(self, x):
        xs = list(x)
        ahead = self.run(self.ahead, xs, "ahead")
        back = self.run(self.back, xs[::-1], "back")[::-1]
        return torch.stack([torch.cat(pair, -1) for pair in zip(ahead, back, strict=True)]).mean(0)


class Checkpointed(ByTime):
    layer = "cell"

    def build(self):
        self.cell = nn.Linear(M + N, N)

    def body(self, x, h):
        return torch.tanh(self.cell(torch.cat([x, h], -1)))

    def step(self, x, h):
        return checkpoint(self.body, x, h, use_reentrant=False)


GATED = (
    HandGRU, LayerNormGRU, GateByGate, MinimalGated, HandLSTM, LayerNormLSTM, Peephole, Coupled, SLSTM, GRUD, CfC, LTC,
    ZoneOut, Masked, Stack, DeepStack, LayerByLayer, LSTMStack, Bidirectional, Checkpointed,
)  # fmt: skip
