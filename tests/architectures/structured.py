"""Recurrences with memories, attention, images, graphs, time constants and scans."""

import torch
from tests.architectures.architecture import Architecture, ByTime, M, N
from torch import nn
from torch.nn import functional


class ConvLSTM(Architecture):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1 + 2, 4 * 2, 3, padding=1)

    @staticmethod
    def inputs():
        return torch.randn(3, 8, 1, 4, 4)

    def forward(self, x):
        h = c = torch.zeros(len(x), 2, 4, 4, dtype=x.dtype)
        for t in range(x.shape[1]):
            i, f, o, g = self.conv(torch.cat([x[:, t], h], 1)).chunk(4, 1)
            c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            h = o.sigmoid() * c.tanh()
            self.keep("conv", h, c)
        return h


class ConvGRU(Architecture):
    def __init__(self):
        super().__init__()
        self.gates, self.new = (nn.Conv1d(1 + 2, size, 3, padding=1) for size in (4, 2))

    @staticmethod
    def inputs():
        return torch.randn(3, 8, 1, 6)

    def forward(self, x):
        h = x.new_zeros(len(x), 2, 6)
        for x_t in x.unbind(1):
            z, r = torch.sigmoid(self.gates(torch.cat([x_t, h], 1))).chunk(2, 1)
            h = (1 - z) * h + z * torch.tanh(self.new(torch.cat([x_t, r * h], 1)))
            self.keep("gates", h)
        return h


class NeuralGPU(Architecture):
    """A convolutional gated recurrence in depth, over the memory that the input fills."""

    def __init__(self):
        super().__init__()
        self.gates, self.new = nn.Conv1d(M, 2 * M, 3, padding=1), nn.Conv1d(M, M, 3, padding=1)

    @staticmethod
    def inputs():
        return torch.randn(3, M, 7)

    def forward(self, x):
        s = x + 0
        for _ in range(7):
            u, r = torch.sigmoid(self.gates(s)).chunk(2, 1)
            s = u * s + (1 - u) * torch.tanh(self.new(r * s))
            self.keep("gates", s)
        return s


class RSSM(Architecture):
    """A deterministic and a stochastic state; the posterior sees the observation."""

    def __init__(self):
        super().__init__()
        self.model = nn.ModuleDict({"mix": nn.Linear(2 + M, N), "gru": nn.Linear(2 * N, 3 * N),
                                    "posterior": nn.Linear(N + M, 4)})  # fmt: skip

    def forward(self, x):
        h, z = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], 2)
        outputs, divergence = [], 0.0
        for x_t in x:
            mixed = functional.elu(self.model["mix"](torch.cat([z, x_t], -1)))
            r, c, u = self.model["gru"](torch.cat([h, mixed], -1)).chunk(3, -1)
            u = torch.sigmoid(u - 1)
            h = u * torch.tanh(torch.sigmoid(r) * c) + (1 - u) * h
            mean, std = self.model["posterior"](torch.cat([h, x_t], -1)).chunk(2, -1)
            z = mean + functional.softplus(std) * 0.1
            divergence = divergence + mean.square().sum()
            self.keep("model", h, z)
            outputs.append(torch.cat([h, z], -1))
        return torch.stack(outputs) + divergence


class AttentionDecoder(Architecture):
    """An encoder, and a decoder that attends to its states."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = nn.Linear(M + N, N), nn.Linear(2 * N, N)
        self.query, self.out = nn.Linear(N, N), nn.Linear(2 * N, 2)

    def forward(self, x):
        h, memory = x.new_zeros(x.shape[1], N), []
        for x_t in x:
            h = torch.tanh(self.encoder(torch.cat([x_t, h], -1)))
            self.keep("encoder", h)
            memory.append(h)
        memory = torch.stack(memory, 1)
        s, outputs = h, []
        for _ in range(6):
            weights = torch.softmax((memory @ self.query(s)[:, :, None]).squeeze(-1), -1)
            context = (weights[:, :, None] * memory).sum(1)
            s = torch.tanh(self.decoder(torch.cat([context, s], -1)))
            self.keep("decoder", s)
            outputs.append(self.out(torch.cat([s, context], -1)))
        return torch.stack(outputs)


class InputFeeding(Architecture):
    """A decoder that reads its last output, an attention vector: a function of its state."""

    def __init__(self):
        super().__init__()
        self.cell, self.mix = nn.Linear(M + 2 * N, N), nn.Linear(2 * N, N)
        self.memory = nn.Parameter(torch.randn(7, N))

    def forward(self, x):
        s, attention = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N)
        for x_t in x:
            s = torch.tanh(self.cell(torch.cat([x_t, attention, s], -1)))
            context = torch.softmax(s @ self.memory.T, -1) @ self.memory
            attention = torch.tanh(self.mix(torch.cat([context, s], -1)))
            self.keep("cell", s)
        return attention


class PointerNetwork(Architecture):
    """A decoder whose next input is the soft choice among the encoded inputs."""

    def __init__(self):
        super().__init__()
        self.embed, self.cell = nn.Linear(M, N), nn.Linear(2 * N, N)
        self.keys, self.query, self.v = nn.Linear(N, N), nn.Linear(N, N), nn.Linear(N, 1)

    @staticmethod
    def inputs():
        return torch.randn(3, 6, M)

    def forward(self, x):
        items = self.embed(x)
        keys, s, chosen, logits = self.keys(items), items.mean(1), items[:, 0], []
        for _ in range(6):
            s = torch.tanh(self.cell(torch.cat([chosen, s], -1)))
            score = self.v(torch.tanh(keys + self.query(s)[:, None])).squeeze(-1)
            chosen = (torch.softmax(score, -1)[:, :, None] * items).sum(1)
            logits.append(score)
            self.keep("cell", s)
        return torch.stack(logits, 1)


class NTM(Architecture):
    """A controller with an external memory, read and written by content."""

    def __init__(self):
        super().__init__()
        self.cell = nn.ModuleDict({"controller": nn.Linear(M + 3 + N, N), "head": nn.Linear(N, 9)})

    def forward(self, x):
        h, memory = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], 4, 3) + torch.linspace(-1, 1, 12).view(4, 3)
        read = x.new_zeros(x.shape[1], 3)
        for x_t in x:
            h = torch.tanh(self.cell["controller"](torch.cat([x_t, read, h], -1)))
            key, erase, add = self.cell["head"](h).chunk(3, -1)
            w = torch.softmax(functional.cosine_similarity(memory, key[:, None], dim=-1), -1)[:, :, None]
            memory = memory * (1 - w * torch.sigmoid(erase)[:, None]) + w * add[:, None]
            read = (w * memory).sum(1)
            self.keep("cell", h, memory, read)
        return read


class FastWeights(ByTime):
    """A matrix of fast weights, decayed and written to by every state."""

    def build(self):
        self.cell = nn.Linear(M + N, N)

    def forward(self, x):
        h, A = (x.new_zeros(x.shape[1], *size).requires_grad_() for size in ((N,), (N, N)))
        for x_t in x:
            drive = self.cell(torch.cat([x_t, h], -1))
            A = 0.9 * A + 0.3 * h[:, :, None] * h[:, None, :]
            s = torch.tanh(drive)
            h = torch.tanh(drive + (A @ s[:, :, None]).squeeze(-1))
            self.keep("cell", h, A)
        return self.readout(h)


class Clockwork(Architecture):
    """Modules that are updated every 1, 2 and 4 steps, in one state."""

    def __init__(self):
        super().__init__()
        self.hh, self.xh = nn.Linear(6, 6), nn.Linear(M, 6)

    def forward(self, x):
        h, periods = x.new_zeros(x.shape[1], 6), torch.tensor([1, 1, 2, 2, 4, 4])
        for t in range(len(x)):
            h = torch.where(t % periods == 0, torch.tanh(self.hh(h) + self.xh(x[t])), h)
            self.keep("hh", h)
        return h


class SlowAndFast(Architecture):
    """Two modules, of which one is updated at every third step only."""

    def __init__(self):
        super().__init__()
        self.cells = nn.ModuleDict({"fast": nn.Linear(M + 2 * N, N), "slow": nn.Linear(2 * N, N)})

    def forward(self, x):
        fast, slow = (x.new_zeros(x.shape[1], N).requires_grad_() for _ in range(2))
        for t in range(len(x)):
            fast = torch.tanh(self.cells["fast"](torch.cat([x[t], fast, slow], -1)))
            if t % 3 == 2:
                slow = torch.tanh(self.cells["slow"](torch.cat([fast, slow], -1)))
            self.keep("cells", fast, slow)
        return fast + slow


class Skipping(ByTime):
    """A shortcut over two steps."""

    layer = "cell"

    def build(self):
        self.cell = nn.Linear(M + 2 * N, N)

    def forward(self, x):
        states = [self.initial(x), self.initial(x)]
        for x_t in x:
            states.append(torch.tanh(self.cell(torch.cat([x_t, states[-1], states[-2]], -1))))
            self.keep("cell", states[-1])
        return self.readout(states[-1])


class ODERNN(ByTime):
    """Euler steps between observations, a gated update at each."""

    def build(self):
        self.f, self.cell = nn.Sequential(nn.Linear(N, 8), nn.Tanh(), nn.Linear(8, N)), nn.Linear(M + N, 2 * N)

    def forward(self, x):
        h = self.initial(x)
        for x_t in x:
            for _ in range(4):
                h = h + 0.1 * self.f(h)
            z, n = self.cell(torch.cat([x_t, h], -1)).chunk(2, -1)
            h = torch.sigmoid(z) * h + (1 - torch.sigmoid(z)) * torch.tanh(n)
            self.keep("cell", h)
        return self.readout(h)


class MinGRU(ByTime):
    """Gates without the state, computed for all steps before the loop."""

    def build(self):
        self.gate, self.new = nn.Linear(M, N), nn.Linear(M, N)

    def forward(self, x):
        z, new, h = torch.sigmoid(self.gate(x)), self.new(x), self.initial(x)
        for t in range(len(x)):
            h = (1 - z[t]) * h + z[t] * new[t]
            self.keep("gate", h)
        return self.readout(h)


class QRNN(Architecture):
    """Convolutional gates, and a first step of its own."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(M, 3 * N, 2, padding=1)

    @staticmethod
    def inputs():
        return torch.randn(3, 10, M)

    def forward(self, x):
        gates = self.conv(x.transpose(1, 2))[..., :-1].transpose(1, 2)
        c, outputs = None, []
        for z, f, o in (row.chunk(3, -1) for row in gates.unbind(1)):
            keep = torch.sigmoid(f)
            new = (1 - keep) * torch.tanh(z)
            c = new if c is None else keep * c + new
            self.keep("conv", c)
            outputs.append(torch.sigmoid(o) * c)
        return torch.stack(outputs, 1)


class SelectiveScan(Architecture):
    """The sequential scan of Mamba: a diagonal state per channel, whose step depends on the input."""

    def __init__(self):
        super().__init__()
        self.A, self.delta, self.BC = nn.Parameter(torch.rand(M, 3)), nn.Linear(M, M), nn.Linear(M, 6)

    @staticmethod
    def inputs():
        return torch.randn(3, 10, M)

    def forward(self, x):
        delta = functional.softplus(self.delta(x))
        B, C = self.BC(x).chunk(2, -1)
        A = torch.exp(-delta[..., None] * self.A)
        drive = (delta * x)[..., None] * B[:, :, None]
        h, outputs = x.new_zeros(len(x), M, 3), []
        for t in range(x.shape[1]):
            h = A[:, t] * h + drive[:, t]
            self.keep("delta", h)
            outputs.append((h * C[:, t, None]).sum(-1))
        return torch.stack(outputs, 1)


class LinearAttention(Architecture):
    """Linear attention as a recurrence, with its normalizer."""

    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(M, 3 * N)

    @staticmethod
    def inputs():
        return torch.randn(3, 10, M)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, -1)
        q, k = functional.elu(q) + 1, functional.elu(k) + 1
        S, z, outputs = x.new_zeros(len(x), N, N), x.new_zeros(len(x), N), []
        for t in range(x.shape[1]):
            S = 0.95 * S + k[:, t, :, None] * v[:, t, None]
            z = 0.95 * z + k[:, t]
            self.keep("qkv", S)
            self.keep("qkv#2", z)
            outputs.append((q[:, t, None] @ S).squeeze(1) / (q[:, t] * z).sum(-1, keepdim=True))
        return torch.stack(outputs, 1)


class DeltaRule(Architecture):
    """DeltaNet: a matrix that each key corrects."""

    def __init__(self):
        super().__init__()
        self.qkv, self.beta = nn.Linear(M, 3 * N), nn.Linear(M, 1)

    def forward(self, x):
        S, outputs = x.new_zeros(x.shape[1], N, N), []
        for x_t in x:
            q, k, v = self.qkv(x_t).chunk(3, -1)
            k = functional.normalize(k, dim=-1)
            S = (
                S
                + torch.sigmoid(self.beta(x_t))[..., None]
                * (v - (S @ k[..., None]).squeeze(-1))[..., None]
                * k[:, None]
            )
            self.keep("qkv", S)
            outputs.append((S @ q[..., None]).squeeze(-1))
        return torch.stack(outputs)


class LRU(Architecture):
    """A complex diagonal state."""

    def __init__(self):
        super().__init__()
        self.nu, self.theta = nn.Parameter(torch.rand(N)), nn.Parameter(torch.rand(N))
        self.B, self.C = nn.Linear(M, 2 * N), nn.Linear(N, 2)

    def forward(self, x):
        radius = torch.exp(-torch.exp(self.nu))
        lam = torch.polar(radius, self.theta)
        h, outputs = torch.zeros(x.shape[1], N, dtype=lam.dtype), []
        for x_t in x:
            h = lam * h + torch.complex(*self.B(x_t).chunk(2, -1))
            self.keep("nu", h)
            outputs.append(self.C(h.real))
        return torch.stack(outputs)


class GraphNetwork(Architecture):
    """A gated graph network: the same message passing at every step."""

    batched = False

    def __init__(self):
        super().__init__()
        self.message, self.update = nn.Linear(M, M), nn.Linear(2 * M, M)
        self.register_buffer("adjacency", (torch.rand(9, 9) < 0.4).float())

    @staticmethod
    def inputs():
        return torch.randn(9, M)

    def forward(self, x):
        h = torch.tanh(x)
        for _ in range(5):
            h = torch.tanh(self.update(torch.cat([self.adjacency @ self.message(h), h], -1)))
            self.keep("update", h)
        return h


class Generator(Architecture):
    """A language model that embeds tokens and feeds its state to a readout at every step."""

    def __init__(self):
        super().__init__()
        self.embed, self.cell, self.head = nn.Embedding(11, M), nn.Linear(M + N, N), nn.Linear(N, 11)

    @staticmethod
    def inputs():
        return torch.randint(0, 11, (3, 12))

    def forward(self, tokens):
        h, outputs = torch.zeros(len(tokens), N), []
        for t in range(tokens.shape[1]):
            h = torch.tanh(self.cell(torch.cat([self.embed(tokens[:, t]), h], -1)))
            self.keep("cell", h)
            outputs.append(self.head(h))
        return torch.stack(outputs, 1)


class FreeRunning(Architecture):
    """A decoder that reads its own last output."""

    def __init__(self):
        super().__init__()
        self.encode, self.cell, self.head = nn.Linear(M, N), nn.Linear(2 + N, N), nn.Linear(N, 2)

    @staticmethod
    def inputs():
        return torch.randn(3, M)

    def forward(self, x):
        h, y, outputs = self.encode(x), x.new_zeros(len(x), 2), []
        for _ in range(10):
            h = torch.tanh(self.cell(torch.cat([y, h], -1)))
            y = self.head(h)
            self.keep("cell", h)
            outputs.append(y)
        return torch.stack(outputs, 1)


class InChunks(ByTime):
    """The loop over the steps is inside a loop over chunks."""

    def build(self):
        self.cell = nn.Linear(M + N, N)

    def chunk(self, xs, h):
        for x in xs:
            h = torch.tanh(self.cell(torch.cat([x, h], -1)))
            self.keep("cell", h)
        return h

    def forward(self, x):
        h = self.initial(x)
        for chunk in x.split(3):
            h = self.chunk(chunk, h)
        return self.readout(h)


class OneByOne(Architecture):
    """One sequence after the other."""

    separate = True

    def __init__(self):
        super().__init__()
        self.cell = nn.Linear(M + N, N)

    def forward(self, x):
        ends, states = [], []
        for k in range(x.shape[1]):
            h = x.new_zeros(N)
            states.append([])
            for x_t in x[:, k]:
                h = torch.tanh(self.cell(torch.cat([x_t, h])))
                states[-1].append(h)
            ends.append(h)
        for state in zip(*states, strict=True):
            self.keep("cell", *state)
        return torch.stack(ends)


class Spiking(Architecture):
    """Leaky integrate-and-fire with a smooth spike: a membrane, and the spike that resets it."""

    def __init__(self):
        super().__init__()
        self.input, self.recurrent = nn.Linear(M, N), nn.Linear(N, N)

    def forward(self, x):
        membrane, spike, total = x.new_zeros(x.shape[1], N), x.new_zeros(x.shape[1], N), 0.0
        for x_t in x:
            membrane = 0.9 * membrane + self.input(x_t) + self.recurrent(spike) - 0.5 * spike
            spike = torch.sigmoid(4 * (membrane - 1))
            total = total + spike
            self.keep("recurrent", membrane)
        return total


STRUCTURED = (
    ConvLSTM, ConvGRU, NeuralGPU, RSSM, AttentionDecoder, InputFeeding, PointerNetwork, NTM, FastWeights, Clockwork,
    SlowAndFast, Skipping, ODERNN, MinGRU, QRNN,
    SelectiveScan, LinearAttention, DeltaRule, LRU, GraphNetwork, Generator,
    FreeRunning, InChunks, OneByOne, Spiking,
)  # fmt: skip
