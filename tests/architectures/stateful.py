"""Recurrences whose state is kept in containers or on the module, and couplings of several."""

from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from tests.architectures.architecture import Architecture, ByTime, M, N
from torch import Tensor, nn


class Cell(nn.Module):
    """The equations of an LSTM."""

    def __init__(self, size=M):
        super().__init__()
        self.linear = nn.Linear(size + N, 4 * N)

    def forward(self, x, h, c):
        i, f, g, o = self.linear(torch.cat([x, h], -1)).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class InDictionary(Architecture):
    def __init__(self):
        super().__init__()
        self.cell, self.readout = Cell(), nn.Linear(N, 2)

    def forward(self, x):
        state = {name: x.new_zeros(x.shape[1], N) for name in ("hidden", "memory")}
        for row in x.unbind():
            h, c = self.cell(row, state["hidden"], state["memory"])
            state = {**state, "hidden": h, "memory": c}
            self.keep("cell.linear", *state.values())
        return self.readout(state["hidden"])


class Carry(NamedTuple):
    h: Tensor
    c: Tensor


class InNamedTuple(Architecture):
    def __init__(self):
        super().__init__()
        self.cell, self.readout = Cell(), nn.Linear(N, 2)

    def forward(self, x):
        carry = Carry(*(x.new_zeros(x.shape[1], N) for _ in Carry._fields))
        for row in x:
            carry = Carry(*self.cell(row, *carry))
            self.keep("cell.linear", *carry)
        return self.readout(carry.h)


@dataclass
class Belief:
    mean: Tensor
    trace: Tensor


class InDataclass(Architecture):
    """A state of which one part is a running trace of the other."""

    def __init__(self):
        super().__init__()
        self.update, self.readout = nn.Linear(M + 2 * N, N), nn.Linear(2 * N, 2)

    def forward(self, x):
        belief = Belief(x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N))
        for row in x:
            mean = torch.tanh(self.update(torch.cat([row, belief.mean, belief.trace], -1)))
            belief = replace(belief, mean=mean, trace=0.8 * belief.trace + 0.2 * mean)
            self.keep("update", belief.mean, belief.trace)
        return self.readout(torch.cat([belief.mean, belief.trace], -1))


class OnSelf(Architecture):
    """A module that keeps its state as an attribute, and is reset before each sequence."""

    def __init__(self):
        super().__init__()
        self.inner, self.outer, self.readout, self.state = nn.Linear(N, N), nn.Linear(M, N), nn.Linear(N, 2), None

    def advance(self, row):
        self.state = torch.tanh(self.outer(row) + self.inner(self.state))
        self.keep("inner", self.state)

    def forward(self, x):
        self.state = x.new_zeros(x.shape[1], N)
        for row in x:
            self.advance(row)
        return self.readout(self.state)


class Mogrifier(Architecture):
    """Input and state gate each other in turn before an LSTM."""

    def __init__(self):
        super().__init__()
        self.cell, self.q, self.r, self.readout = Cell(), nn.Linear(N, M), nn.Linear(M, N), nn.Linear(N, 2)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], N)
        for row in x:
            gated, read = row, h
            for _ in range(2):
                gated = 2 * torch.sigmoid(self.q(read)) * gated
                read = 2 * torch.sigmoid(self.r(gated)) * read
            h, c = self.cell(gated, read, c)
            self.keep("cell.linear", h, c)
        return self.readout(h)


class SRU(Architecture):
    """Gates of the input alone, with a highway connection: only c is carried."""

    def __init__(self):
        super().__init__()
        self.maps, self.lift, self.readout = nn.Linear(N, 3 * N), nn.Linear(M, N), nn.Linear(N, 2)

    def forward(self, x):
        x = self.lift(x)
        new, f, r = self.maps(x).chunk(3, -1)
        f, r = f.sigmoid(), r.sigmoid()
        c = x.new_zeros(x.shape[1], N)
        outputs = []
        for t in range(len(x)):
            c = f[t] * c + (1 - f[t]) * new[t]
            self.keep("maps", c)
            outputs.append(r[t] * c.tanh() + (1 - r[t]) * x[t])
        return self.readout(torch.stack(outputs).mean(0))


class Branching(ByTime):
    """Scheduled sampling: at some steps the input is the model's own answer."""

    layer = "inner"

    def build(self):
        self.inner, self.outer, self.answer = nn.Linear(N, N), nn.Linear(M, N), nn.Linear(N, M)
        self.taken = 0

    def step(self, x, h):
        self.taken += 1
        if self.taken % 3 == 0:
            x = self.answer(h)
        return torch.tanh(self.outer(x) + self.inner(h))


class Interacting(Architecture):
    """Two recurrences, each of which reads the other's last state: one system."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Linear(M + 2 * N, N), nn.Linear(2 * N, N)
        self.readout = nn.Linear(2 * N, 2)

    def forward(self, x):
        a = b = x.new_zeros(x.shape[1], N)
        for row in x:
            a, b = torch.tanh(self.a(torch.cat([row, a, b], -1))), torch.tanh(self.b(torch.cat([b, a], -1)))
            self.keep("a", a, b)
        return self.readout(torch.cat([a, b], -1))


class TorchCells(Architecture):
    """torch's LSTMCell in a decoder that reads its own context."""

    def __init__(self):
        super().__init__()
        self.cell, self.readout = nn.LSTMCell(M, N), nn.Linear(N, 2)

    def forward(self, x):
        h = c = x.new_zeros(x.shape[1], N)
        for row in x:
            h, c = self.cell(row, (h, c))
            self.keep("cell", h, c)
        return self.readout(h)


STATEFUL = [InDictionary, InNamedTuple, InDataclass, OnSelf, Mogrifier, SRU, Branching, Interacting, TorchCells]
