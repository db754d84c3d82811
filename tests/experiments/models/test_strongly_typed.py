"""The T-RNN: the averages its gates promise."""

import torch
from tests.experiments.models.cases import parameters_of, sequences

from unitcircle.experiments.models import StronglyTyped

EPS = torch.finfo(torch.float64).eps


def test_open_gates_read_and_closed_gates_keep():
    cell = StronglyTyped(size=4)
    values = parameters_of(cell, 2, 3)
    x = sequences(2, 9, 3, 3)
    W = values["input"][:, :4]
    values["input"][:, 4:] = 0
    read = torch.einsum("rnm,rtbm->rtbn", W, x)
    values["bias"].fill_(-40.0)
    assert torch.allclose(cell.forward(values, x), read, atol=32 * EPS)
    values["bias"].fill_(40.0)
    start = (sequences(2, 1, 3, 4)[:, 0],)
    assert torch.allclose(cell.scan(values, x, start)[1][0], start[0], atol=32 * EPS)
    values["bias"].zero_()
    kept = 0.5 ** torch.arange(9, 0, -1).double()
    assert torch.allclose(cell.scan(values, x)[1][0], (kept[:, None, None] * read).sum(1), atol=32 * EPS)


def test_has_no_recurrent_weight():
    cell = StronglyTyped(size=4)
    assert cell.recurrent_weights(parameters_of(cell, 2, 3)) == {}
