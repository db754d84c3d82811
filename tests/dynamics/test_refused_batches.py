"""Batches that a model cannot take: which module, what it takes and what arrived, in the words of the house."""

import pytest
import torch
from torch import nn

from unitcircle.dynamics import gradient_flow
from unitcircle.errors import ArgumentError, ShapeError

M, N = 3, 4


class Reader(nn.Module):
    def __init__(self, before=None):
        super().__init__()
        self.before, self.rnn = before or nn.Identity(), nn.GRU(M, N, batch_first=True)

    def forward(self, x):
        return self.rnn(self.before(x))[0][:, -1]


class Convolved(Reader):
    def __init__(self):
        super().__init__(nn.Conv1d(M, M, 2))

    def forward(self, x):
        return self.rnn(self.before(x).transpose(1, 2))[0]


class ByHand(nn.Module):
    def __init__(self):
        super().__init__()
        self.x2h, self.h2h = nn.Linear(M, N), nn.Linear(N, N)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], N)
        for x_t in x:
            h = torch.tanh(self.x2h(x_t) + self.h2h(h))
        return h


class OfCells(nn.Module):
    def __init__(self):
        super().__init__()
        self.cell = nn.LSTMCell(M, N)

    def forward(self, x):
        state = None
        for x_t in x:
            state = self.cell(x_t, state)
        return state[0]


BATCHES = {
    "wide": torch.randn(4, 6, 5),
    "no features": torch.randn(4, 6),
    "one axis too many": torch.randn(2, 4, 6, M),
    "one axis": torch.randn(6),
    "a number": torch.tensor(1.0),
    "integers": torch.ones(4, 6, M, dtype=torch.long),
    "flags": torch.ones(4, 6, M, dtype=torch.bool),
    "large tokens": torch.full((4, 6), 12),
    "negative tokens": torch.full((4, 6), -1),
    "fractions for tokens": torch.rand(4, 6),
}
TAKES = {
    "rnn": (Reader, "rnn (GRU) takes, %s of shape (B, T, 3)"),
    "embedding": (lambda: Reader(nn.Embedding(10, M)), "before (Embedding) takes, integers from 0 to 9"),
    "normalized": (lambda: Reader(nn.LayerNorm(M)), "before (LayerNorm) takes, %s of shape (..., 3)"),
    "convolved": (Convolved, "before (Conv1d) takes, %s of shape (B, 3, T)"),
    "by hand": (ByHand, "x2h (Linear) takes, %s of shape (..., 3)"),
    "of cells": (OfCells, "cell (LSTMCell) takes, %s of shape (B, 3)"),
}
ELSEWHERE = {
    (
        "normalized",
        "one axis too many",
    ): "rnn (GRU) takes, numbers of shape (B, T, 3); got float64 of shape (2, 4,",
    ("embedding", "integers"): "rnn (GRU) takes, numbers of shape (B, T, 3); got float64 of shape (4, 6, 3, 3)",
    ("by hand", "one axis too many"): "RuntimeError in ByHand.forward, line ",
    ("by hand", "one axis"): "IndexError in ByHand.forward, line ",
    ("by hand", "a number"): "IndexError in ByHand.forward, line ",
    ("of cells", "a number"): "TypeError in OfCells.forward, line ",
}
"""Where another module than the first one refuses, or the model's own code."""


@pytest.mark.parametrize("kind", TAKES)
def test_a_batch_is_refused_by_the_module_that_it_does_not_fit(kind):
    build, takes = TAKES[kind]
    for name, batch in BATCHES.items():
        with pytest.raises(ArgumentError) as caught:
            gradient_flow(build(), batch)
        message = str(caught.value)
        numbers = "floating-point numbers" if name in {"integers", "flags"} and kind != "convolved" else "numbers"
        expected = ELSEWHERE.get((kind, name), takes.replace("%s", numbers))
        assert expected in message, name
        assert f"It is run on the input of shape {tuple(batch.shape)}" in message, name
        assert len(message) <= 300, name
        assert caught.value.__cause__ is not None, name
        if ".forward, line" not in expected:
            assert isinstance(caught.value, ShapeError), name
            for word in ("mat1", "Expected", "RuntimeError", "IndexError", "dimension"):
                assert word not in message, name


def test_what_the_code_of_a_person_says_is_passed_on():
    class Picky(Reader):
        def forward(self, x):
            raise KeyError("the mask is missing")

    with pytest.raises(ArgumentError, match=r"KeyError in Picky\.forward, line \d+: 'the mask is missing'"):
        gradient_flow(Picky(), torch.randn(4, 6, M))
