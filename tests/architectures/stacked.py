"""Recurrences whose states are stacks: layers, tokens, covariances; over depth, hops, segments and pondering steps."""

import torch
from tests.architectures.architecture import Architecture, M, N
from torch import nn


class StackedStates(Architecture):
    """Three layers whose states are one tensor, made anew at each step: as many layers as sequences."""

    axis = 1

    def __init__(self):
        super().__init__()
        self.cells = nn.ModuleList(nn.Linear(size + N, N) for size in (M, N, N))
        self.readout = nn.Linear(N, 2)

    def forward(self, x):
        states = torch.zeros(3, x.shape[1], N)
        for below in x:
            new = []
            for cell, state in zip(self.cells, states, strict=True):
                below = torch.tanh(cell(torch.cat([below, state], -1)))  # noqa: PLW2901
                new.append(below)
            states = torch.stack(new)
            self.keep("cells", states)
        return self.readout(states[-1])


class UniversalTransformer(Architecture):
    """One block of a transformer, six times: the batch is the second axis, and tokens act on one another."""

    axis, sequences = 1, 2

    def __init__(self):
        super().__init__()
        self.embedding, self.readout = nn.Linear(M, 8), nn.Linear(8, 2)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1)

    @staticmethod
    def inputs():
        return torch.randn(12, 2, M)

    def forward(self, x):
        z = self.embedding(x)
        for _ in range(6):
            z = self.block(z)
            self.keep("block", z)
        return self.readout(z.mean(0))


class SegmentMemory(Architecture):
    """Tokens of memory that a transformer hands from segment to segment: as many segments as sequences."""

    axis = 1

    def __init__(self):
        super().__init__()
        self.embedding, self.readout, self.memory = nn.Linear(M, 8), nn.Linear(8, 2), nn.Parameter(torch.randn(2, 1, 8))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0)

    def forward(self, x):
        memory = self.memory.expand(2, x.shape[1], 8)
        for segment in self.embedding(x).split(4):
            memory = self.block(torch.cat([memory, segment]))[:2]
            self.keep("block", memory)
        return self.readout(memory.mean(0))


class MemoryNetwork(Architecture):
    """Five hops of attention over a memory: as many as units and sequences."""

    sequences = N

    def __init__(self):
        super().__init__()
        self.keys, self.values, self.hop = nn.Linear(M, N), nn.Linear(M, N), nn.Linear(N, N, bias=False)
        self.question, self.readout = nn.Parameter(torch.randn(N)), nn.Linear(N, 2)

    @staticmethod
    def inputs():
        return torch.randn(12, N, M)

    def forward(self, x):
        keys, values, u = self.keys(x), self.values(x), self.question.expand(x.shape[1], N)
        for _ in range(5):
            weights = torch.softmax((keys * u).sum(-1), 0)
            u = self.hop(u) + (weights[..., None] * values).sum(0)
            self.keep("hop", u)
        return self.readout(u)


class Coverage(Architecture):
    """A decoder whose attention sees how much it has attended to each word before (See et al. 2017)."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder, self.score = nn.Linear(M, N), nn.Linear(2 * N, N), nn.Linear(2 * N + 1, 1)
        self.readout = nn.Linear(N, 2)

    def forward(self, x):
        words = torch.tanh(self.encoder(x)).transpose(0, 1)
        h, covered, outputs = words.mean(1), torch.zeros(x.shape[1], x.shape[0]), []
        for _ in range(7):
            scores = self.score(torch.cat([words, h[:, None].expand_as(words), covered[..., None]], -1))
            weights = torch.softmax(scores[..., 0], -1)
            covered = covered + weights
            h = torch.tanh(self.decoder(torch.cat([h, (weights[..., None] * words).sum(1)], -1)))
            self.keep("decoder", h, covered)
            outputs.append(self.readout(h))
        return torch.stack(outputs)


class Pondering(Architecture):
    """Adaptive computation time: up to three steps an input, weighted by what they say of stopping (Graves 2016)."""

    def __init__(self):
        super().__init__()
        self.cell, self.halt, self.readout = nn.Linear(M + 1 + N, N), nn.Linear(N, 1), nn.Linear(N, 2)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], N)
        for x_t in x:
            spent, mean = x.new_zeros(x.shape[1], 1), torch.zeros_like(h)
            for k in range(3):
                first = torch.full((x.shape[1], 1), float(k == 0))
                h = torch.tanh(self.cell(torch.cat([x_t, first, h], -1)))
                weight = 1 - spent if k == 2 else torch.minimum(torch.sigmoid(self.halt(h)), 1 - spent)
                mean, spent = mean + weight * h, spent + weight
            h = mean
            self.keep("cell", h)
        return self.readout(h)


class KalmanFilter(Architecture):
    """A filter that is learned: the covariance is a state of its own, of which the last is read by nothing."""

    def __init__(self):
        super().__init__()
        self.A, self.C = nn.Parameter(0.9 * torch.eye(N) + 0.05 * torch.randn(N, N)), nn.Parameter(torch.randn(M, N))
        self.noise, self.readout = nn.Parameter(torch.zeros(N)), nn.Linear(N, 2)

    def forward(self, x):
        mean, P = x.new_zeros(x.shape[1], N), torch.eye(N).expand(x.shape[1], N, N)
        for y in x:
            mean, P = mean @ self.A.T, self.A @ P @ self.A.T + torch.diag(self.noise.exp())
            gain = P @ self.C.T @ torch.linalg.inv(self.C @ P @ self.C.T + torch.eye(M))
            mean, P = mean + (gain @ (y - mean @ self.C.T)[..., None])[..., 0], P - gain @ self.C @ P
            self.keep("A", mean)
            self.keep("A#2", P)
        return self.readout(mean)


class HyperNetwork(Architecture):
    """A small recurrence that scales the weights of a large one, and reads it (Ha et al. 2017)."""

    def __init__(self):
        super().__init__()
        self.hyper, self.scale = nn.Linear(M + 3 + N, 3), nn.Linear(3, N)
        self.main, self.x2h, self.readout = nn.Linear(N, N), nn.Linear(M, N), nn.Linear(N, 2)

    def forward(self, x):
        h, z = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], 3)
        for x_t in x:
            z = torch.tanh(self.hyper(torch.cat([x_t, z, h], -1)))
            h = torch.tanh(self.scale(z) * self.main(h) + self.x2h(x_t))
            self.keep("hyper", z, h)
        return self.readout(h)


STACKED = [
    *(StackedStates, UniversalTransformer, SegmentMemory, MemoryNetwork, Coverage, Pondering, KalmanFilter),
    HyperNetwork,
]
