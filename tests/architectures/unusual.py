"""Recurrences with unusual loops: stages of a solver, a loop in the step, two clocks, dictionaries, own outputs."""

import torch
from tests.architectures.architecture import Architecture, ByTime, M, N
from torch import nn
from torch.nn import functional


class RungeKutta(ByTime):
    """A neural differential equation: four evaluations of one field a step, of the classical Runge-Kutta method."""

    layer = "field"

    def build(self):
        self.field, self.x2h = nn.Sequential(nn.Linear(N, N), nn.Tanh(), nn.Linear(N, N)), nn.Linear(M, N)

    def step(self, x, h):
        def slope(h):
            return self.field(h) - h + self.x2h(x)

        a = slope(h)
        b = slope(h + 0.1 * a)
        c = slope(h + 0.1 * b)
        d = slope(h + 0.2 * c)
        return h + 0.2 / 6 * (a + 2 * b + 2 * c + d)


class FastWeights(Architecture):
    """A matrix of fast weights that a step decays and writes, and an inner loop that settles in it (Ba et al. 2016)."""

    def __init__(self):
        super().__init__()
        self.h2h, self.x2h = nn.Linear(N, N), nn.Linear(M, N, bias=False)
        self.readout, self.start = nn.Linear(N, 2), nn.Parameter(torch.randn(N))

    def forward(self, x):
        h, fast = self.start.expand(x.shape[1], N), x.new_zeros(x.shape[1], N, N)
        for x_t in x:
            fast = 0.9 * fast + 0.5 * h[:, :, None] * h[:, None, :]
            drive = self.h2h(h) + self.x2h(x_t)
            h = torch.tanh(drive)
            for _ in range(2):
                h = torch.tanh(drive + (fast @ h[:, :, None])[:, :, 0])
            self.keep("h2h", h, fast)
        return self.readout(h)


class TwoClocks(Architecture):
    """A layer that steps at each input, and one above it that steps at every third and tells the first what to do."""

    def __init__(self):
        super().__init__()
        self.fast, self.slow = nn.Linear(M + 2 * N, N), nn.Linear(2 * N, N)
        self.readout, self.start = nn.Linear(2 * N, 2), nn.Parameter(torch.randn(2, 3, N))

    def forward(self, x):
        fast, slow = self.start.unbind(0)
        for t, x_t in enumerate(x):
            fast = torch.tanh(self.fast(torch.cat([x_t, fast, slow], -1)))
            if t % 3 == 2:
                slow = torch.tanh(self.slow(torch.cat([fast, slow], -1)))
            self.keep("fast", fast, slow)
        return self.readout(torch.cat([fast, slow], -1))


class Population(Architecture):
    """States of three populations by name, of other sizes and time constants, made anew by a comprehension."""

    def __init__(self):
        super().__init__()
        self.sizes = {"pyramidal": 4, "basket": 2, "chandelier": 3}
        self.mix = nn.ModuleDict({name: nn.Linear(9, size) for name, size in self.sizes.items()})
        self.x2h = nn.Linear(M, 4)
        self.readout = nn.Linear(4, 2)

    def forward(self, x):
        states = {name: x.new_zeros(x.shape[1], size) for name, size in self.sizes.items()}
        for x_t in x:
            rates = torch.cat([torch.tanh(states[name]) for name in self.sizes], -1)
            inputs = {"pyramidal": self.x2h(x_t)}
            states = {
                name: state + (k + 1) / 6 * (self.mix[name](rates) + inputs.get(name, 0) - state)
                for k, (name, state) in enumerate(states.items())
            }
            self.keep("mix", *states.values())
        return self.readout(states["pyramidal"])


class ScheduledSampling(Architecture):
    """An encoder, and a decoder with attention that reads the true word at some steps and its own at others."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(M + N, N), nn.Linear(N + N + 3, N)
        self.key, self.words = nn.Linear(N, N, bias=False), nn.Linear(N, 3)

    def forward(self, x):
        h, memory = x.new_zeros(x.shape[1], N), []
        for x_t in x:
            h = torch.tanh(self.encoder(torch.cat([x_t, h], -1)))
            self.keep("encoder", h)
            memory.append(h)
        keys = torch.stack(memory, 1)
        s, word, outputs = h, x.new_zeros(x.shape[1], 3), []
        for t in range(8):
            context = (torch.softmax((keys * self.key(s)[:, None]).sum(-1), -1)[:, :, None] * keys).sum(1)
            s = torch.tanh(self.decoder(torch.cat([word, context, s], -1)))
            self.keep("decoder", s)
            scores = self.words(s)
            outputs.append(scores)
            true = functional.one_hot(torch.full((x.shape[1],), t % 3), 3).to(x.dtype)
            word = true if t % 2 else torch.softmax(scores, -1)
        return torch.stack(outputs)


UNUSUAL = [RungeKutta, FastWeights, TwoClocks, Population, ScheduledSampling]
