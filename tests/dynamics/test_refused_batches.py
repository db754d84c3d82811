"""Batches that a model cannot take: which module, what it takes and what arrived, in the words of the house."""

import re
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from unitcircle.dynamics import gradient_flow
from unitcircle.errors import ArgumentError, DtypeError, ShapeError

M, N = 3, 4
EPS = np.finfo(float).eps


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
    ("by hand", "one axis too many"): "`; got h of shape (4, 4), x_t of shape (4, 6, 3).",
    ("by hand", "one axis"): "`h = x.new_zeros(x.shape[1], N)`; got x of shape (6,).",
    ("by hand", "a number"): "`h = x.new_zeros(x.shape[1], N)`; got x of shape ().",
    ("of cells", "a number"): "`for x_t in x:`; got x of shape ().",
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
        assert isinstance(caught.value, ShapeError) is (", forward, line" not in message), name
        assert str(caught.value.__cause__) not in message, name
        for word in ("mat1", "Expected", "dimension", "must match", "iteration", "out of range"):
            assert word not in message, name


class Picky(Reader):
    def forward(self, x):
        raise KeyError("the mask is missing")


class Asserting(Reader):
    def forward(self, x):
        assert x.shape[1] == 7, "seven steps"
        return super().forward(x)


class Nested(nn.Module):
    def __init__(self):
        super().__init__()
        self.decoder, self.rnn = ByHand(), nn.GRU(M, N)

    def forward(self, x):
        return glued(self.decoder, self.rnn(x)[0])


def glued(decoder, h):
    return torch.cat([decoder(h[..., :M]), h])


class Unpacking(Reader):
    def forward(self, x):
        first, second = x.shape
        return super().forward(x[first, second])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Picky, r"KeyError in Picky\.forward, line \d+: 'the mask is missing'"),
        (Asserting, r"AssertionError in Asserting\.forward, line \d+: seven steps"),
    ],
)
def test_what_the_code_of_a_person_says_is_passed_on(model, words):
    with pytest.raises(ArgumentError, match=words):
        gradient_flow(model(), torch.randn(4, 6, M))


@pytest.mark.parametrize(
    ("model", "batch", "words", "cause"),
    [
        (
            Nested,
            (9, 6, M),
            "of decoder (ByHand), glued, line {glued}, `return torch.cat([decoder(h[..., :M]), h])`; got h of shape",
            RuntimeError,
        ),
        (
            Unpacking,
            (4, 6, M),
            "`first, second = x.shape`; got x of shape (4, 6, 3). It is run on the input",
            ValueError,
        ),
    ],
)
def test_what_torch_or_python_says_of_the_code_of_a_person_is_the_cause_alone(model, batch, words, cause):
    with pytest.raises(ArgumentError) as caught:
        gradient_flow(model(), torch.randn(batch))
    message = str(caught.value)
    assert words.format(glued=glued.__code__.co_firstlineno + 1) in message
    assert type(caught.value.__cause__) is cause
    assert str(caught.value.__cause__) not in message
    assert f"The {cause.__name__} of that line is the cause of this error." in message


class OfGraph(nn.Module):
    """A recurrence over a graph, whose edges are a sparse matrix: a buffer, or a parameter."""

    def __init__(self, edges, *, learned=False):
        super().__init__()
        torch.manual_seed(0)
        self.x2h, self.h2h = nn.Linear(M, N).double(), nn.Linear(N, N).double()
        self.register_buffer("edges", edges)
        if learned:
            del self.edges
            self.edges = nn.Parameter(edges)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], N)
        for x_t in x:
            h = torch.tanh(self.x2h(x_t) + self.h2h(torch.sparse.mm(self.edges, h)))
        return h


def test_sparse_buffers_are_measured_and_sparse_weights_and_batches_refused():
    edges, x = torch.eye(3, dtype=torch.float64).roll(1, 0), torch.randn(5, 3, M, dtype=torch.float64)
    flow, dense = gradient_flow(OfGraph(edges.to_sparse()), x), gradient_flow(OfGraph(edges), x)
    np.testing.assert_allclose(flow.log_norms, dense.log_norms, rtol=0, atol=1e3 * EPS)
    with pytest.raises(DtypeError, match=r"dense weights; got edges, which is torch.sparse_coo.*to_dense"):
        gradient_flow(OfGraph(edges.to_sparse(), learned=True), x)
    with pytest.raises(ShapeError, match=r"rnn .GRU. takes, dense numbers.*torch.sparse_coo: x.to_dense"):
        gradient_flow(Reader(), torch.randn(4, 6, M).to_sparse())


def other_sizes(output, target):
    return (output - torch.zeros(9)).mean()


def other_key(output, target):
    return output["logits"].mean() + target.sum()


def own_words(output, target):
    raise ValueError("five classes are needed")


def divided(output, target):
    return output.sum() / (target.numel() - 4) + 1 // (target.numel() - 4)


class Weighted(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("weights", torch.ones(3))

    def forward(self, output, target):
        return (output * self.weights).mean()


def three(output, target, mask):
    return output.mean()


CLASSES = torch.tensor([0, 1, 2, 0])
LOSSES = {
    other_sizes: "loss must be computable in other_sizes, line {line}, `return (output - torch.zeros(9)).mean()`; got "
    "output of shape (4, 4). It is run on an output of shape (4, 4) and a target of shape (4,).",
    other_key: "target.sum()`; got output of shape (4, 4), target of shape (4,), [0, 1, 2, 0].",
    own_words: "got ValueError in own_words, line {line}: five classes are needed.",
    divided: "computable in divided, line {line}, `return output.sum() / (target.numel() - 4)",
    Weighted(): "computable in Weighted.forward, line",
    three: "must be a function of output and target; got one that takes 3 arguments",
    nn.CTCLoss(): "got one that takes 4 arguments",
    nn.CrossEntropyLoss: "got the class CrossEntropyLoss. Pass an instance, CrossEntropyLoss().",
    nn.CrossEntropyLoss(torch.ones(3)): "must have a weight for each of the 4 outputs of the model; got 3 weights",
    partial(nn.functional.cross_entropy, weight=torch.ones(5)): "got 5 weights",
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_that_fails_is_named_by_its_line_and_what_it_holds(loss):
    with pytest.raises(ArgumentError) as caught:
        gradient_flow(Reader(), (torch.randn(4, 6, M), CLASSES), loss)
    line = getattr(getattr(loss, "__code__", None), "co_firstlineno", 0) + 1
    message = str(caught.value)
    assert LOSSES[loss].format(line=line) in message
    for word in ("must match", "too many indices", "division by zero", "missing", "should be defined"):
        assert word not in message
    if caught.value.__cause__ is not None and loss is not own_words:
        assert f"The {type(caught.value.__cause__).__name__} of that line is the cause of this error." in message


@pytest.mark.parametrize(
    ("target", "words"),
    [
        (torch.tensor([0, -5, 1, 1]), "must hold classes from 0 on; got class -5"),
        (torch.tensor([0, 9, 1, 1]), "must hold classes below the 4 outputs; got class 9"),
        (torch.rand(4), "must hold classes as integers, or a probability for each output; got numbers of shape (4,)"),
        (["a", "b"], "must hold a target of numbers; got a list"),
    ],
)
def test_classes_that_are_none_are_refused(target, words):
    loss = None if isinstance(target, list) else nn.CrossEntropyLoss()
    with pytest.raises(ArgumentError, match=re.escape(words)):
        gradient_flow(Reader(), (torch.randn(4, 6, M), target), loss)


def test_a_class_that_is_ignored_is_none():
    target = torch.tensor([0, -100, 1, 1])
    assert gradient_flow(Reader(), (torch.randn(4, 6, M), target), nn.CrossEntropyLoss()).steps == 6
    assert gradient_flow(Reader(), (torch.randn(4, 6, M), target.clamp_min(-1)), nn.CrossEntropyLoss(ignore_index=-1))


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        ("some text", "got str for the input. Pass its tokens, as integers."),
        (None, "got NoneType for the input."),
        ({1, 2}, "got set for the input."),
        (iter([torch.zeros(4, 6, M)]), "got list_iterator for the input. Pass a batch: next(batches)."),
        (TensorDataset(torch.zeros(4, 6, M)), "got TensorDataset for the input. Pass a DataLoader of it, or a batch."),
        (torch.zeros(4, 6, M) + 0j, "real numbers of shape (B, T, 3); got complex64 of shape (4, 6, 3) there."),
    ],
)
def test_what_is_no_batch_is_named_by_its_kind(batch, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        gradient_flow(Reader(), batch)
