"""What the hand-written architectures have in common: they keep the states that their authors mean."""

import torch
from torch import nn

M, N = 4, 5
"""Features of the input and units of the state."""


class Architecture(nn.Module):
    """A model that shows its true states: ``record`` has layer → state after each step, a tuple of tensors."""

    record = None
    axis, sequences = 0, 3
    """Axis of the batch in the tensors of the state, and its length."""

    def keep(self, layer, *state):
        if self.record is not None:
            for part in state:
                if part.requires_grad:
                    part.retain_grad()
            self.record.setdefault(layer, []).append(state)

    @staticmethod
    def inputs():
        """A batch of three sequences of 12 steps, time first."""
        return torch.randn(12, 3, M)


class ByTime(Architecture):
    """A model of the usual form: step by step over the first axis, a readout of what the last step returns."""

    def __init__(self):
        super().__init__()
        self.build()
        self.readout = nn.Linear(N, 2)

    def initial(self, x):
        return x.new_zeros(x.shape[1], N)

    def forward(self, x):
        h = self.initial(x)
        for t in range(len(x)):
            h = self.step(x[t], h)
            self.keep(self.layer, h)
        return self.readout(h)
