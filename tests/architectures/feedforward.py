"""Models without a recurrence, which look like one in some respect."""

import torch
from tests.architectures.architecture import M, N
from torch import nn
from torch.nn import functional


class Perceptron(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(M, N), nn.Tanh(), nn.Linear(N, N), nn.Tanh(), nn.Linear(N, 2))

    @staticmethod
    def inputs():
        return torch.randn(3, M)


class DeepPerceptron(Perceptron):
    """Twelve layers of the same size in nn.Sequential, which loops over them."""

    def __init__(self):
        nn.Sequential.__init__(self, *(nn.Linear(M, M) for _ in range(12)))


class SharedTwice(Perceptron):
    """The same layer is applied twice."""

    def __init__(self):
        shared = nn.Linear(M, M)
        nn.Sequential.__init__(self, shared, nn.Tanh(), shared, nn.Tanh(), nn.Linear(M, 2))


class ResidualBlocks(nn.Module):
    """A loop over blocks with a weight each, and one shared normalization."""

    inputs = staticmethod(Perceptron.inputs)

    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(M, 8), nn.ReLU(), nn.Linear(8, M)) for _ in range(6)])
        self.norm = nn.LayerNorm(M)

    def forward(self, x):
        for block in self.blocks:
            x = x + block(self.norm(x))
        return x


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.0, batch_first=True)
        self.embed, self.encoder = nn.Embedding(11, 8), nn.TransformerEncoder(layer, 4, enable_nested_tensor=False)

    @staticmethod
    def inputs():
        return torch.randint(0, 11, (3, 7))

    def forward(self, tokens):
        return self.encoder(self.embed(tokens)).mean(1)


class Frames(nn.Module):
    """The same convolutional network for every frame, and the mean over the frames."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(48, N)
        )

    @staticmethod
    def inputs():
        return torch.randn(3, 6, 1, 4, 4)

    def forward(self, x):
        return torch.stack([self.net(x[:, t]) for t in range(x.shape[1])], 1).mean(1)


class RunningMean(Frames):
    """The mean over the frames, summed up in the loop."""

    def forward(self, x):
        total, best = 0.0, torch.full((len(x), N), -1e9, dtype=x.dtype)
        for t in range(x.shape[1]):
            features = self.net(x[:, t])
            total = total + features
            best = torch.maximum(best, features)
        return total / x.shape[1] + best


class Convolutions(nn.Module):
    """A dilated causal convolution network."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(M, M, 2, dilation=2**k) for k in range(4)])

    @staticmethod
    def inputs():
        return torch.randn(3, M, 20)

    def forward(self, x):
        for k, conv in enumerate(self.convs):
            x = x + torch.relu(conv(functional.pad(x, (2**k, 0))))
        return x.mean(-1)


class Siamese(nn.Module):
    """The same network for each of four parts of the input."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(M, 8), nn.ReLU(), nn.Linear(8, N))

    @staticmethod
    def inputs():
        return torch.randn(4, 3, M)

    def forward(self, parts):
        a, b, c, d = (self.net(part) for part in parts)
        return (a * b - c * d).sum(-1)


class Normalizations(nn.Module):
    """Sinkhorn's alternation: a loop without parameters and without input."""

    def __init__(self):
        super().__init__()
        self.score = nn.Linear(M, N)

    @staticmethod
    def inputs():
        return torch.randn(3, N, M)

    def forward(self, x):
        log = self.score(x)
        for _ in range(8):
            log = log - log.logsumexp(-1, keepdim=True)
            log = log - log.logsumexp(-2, keepdim=True)
        return log.exp()


FEEDFORWARD = (
    Perceptron, DeepPerceptron, SharedTwice, ResidualBlocks, Transformer, Frames, RunningMean, Convolutions, Siamese,
    Normalizations,
)  # fmt: skip
