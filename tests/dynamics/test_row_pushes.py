"""Jacobians applied to rows in NumPy are those that are formed."""

import numpy as np
import pytest
import torch
from tests.dynamics.single_cells import CELLS
from torch import nn

from unitcircle.dynamics import as_recurrence, lyapunov_exponents

EPS = np.finfo(float).eps


@pytest.mark.parametrize("k", [1, 5, 7])
@pytest.mark.parametrize("name", CELLS)
def test_rows_meet_the_jacobians_of_all_steps(name, k):
    # With as many directions as units gates are added up first.
    torch.manual_seed(0)
    recurrence = as_recurrence(CELLS[name]())
    xs, states = recurrence.trajectory(torch.randn(4, 3, 2))
    linearization = recurrence.linearize(xs, states[:-1])
    rows = torch.randn(3, k, recurrence.state_size, dtype=torch.float64)
    pushes = linearization.row_pushes()
    assert pushes is not None
    exact = rows.mT
    for J in linearization.dense(1, 4):
        exact = J @ exact
    found = pushes.through(1, 4, rows.numpy().copy())
    assert np.abs(found - exact.mT.numpy()).max() <= 64 * recurrence.state_size * EPS * float(exact.abs().max())


def test_rows_are_of_doubles_of_one_cell_on_a_cpu():
    x = torch.randn(3, 1, 2)
    for module, dtype in ((nn.RNN(2, 4, 2), torch.float64), (nn.RNN(2, 4), None)):
        recurrence = as_recurrence(module, dtype=dtype)
        xs, states = recurrence.trajectory(x)
        assert recurrence.linearize(xs, states[:-1]).row_pushes() is None


@pytest.mark.parametrize("size", [1e-5, 1e-200])
@pytest.mark.parametrize("k", [1, 2])
def test_directions_that_shrink_beyond_the_exponents_of_doubles_keep_their_digits(k, size):
    cell = nn.RNN(1, 3, nonlinearity="relu", bias=False).double()
    with torch.no_grad():
        cell.weight_hh_l0.copy_(size * torch.diag(torch.tensor([1.0, 0.5, 0.25]).double()))
        cell.weight_ih_l0.fill_(1.0)
    found = lyapunov_exponents(cell, torch.ones(400, 1, 1), k=k)
    assert np.abs(found.exponents[0] - np.log([size, size / 2])[:k]).max() <= 64 * EPS * abs(np.log(size))
