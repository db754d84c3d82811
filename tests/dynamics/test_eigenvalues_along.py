"""Eigenvalues along a trajectory against those of formed matrices."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.dynamics import as_recurrence, eigenvalues_along
from unitcircle.errors import ArgumentError

EPS = np.finfo(float).eps


def test_jacobians_and_gate_blocks():
    torch.manual_seed(0)
    module, x = nn.LSTM(2, 4, 2), torch.randn(9, 3, 2)
    result = eigenvalues_along(module, x, every=4)
    assert result.at.tolist() == [0, 4, 8]
    recurrence = as_recurrence(module)
    xs, states = recurrence.trajectory(x)
    J = recurrence.linearize(xs, states[:-1]).dense(0, 9)[::4].numpy()
    moduli = -np.sort(-np.abs(np.linalg.eigvals(J)), axis=-1)
    assert np.abs(np.abs(result.jacobian) - moduli).max() <= 16 * EPS**0.5
    assert np.array_equal(result.radius, np.abs(result.jacobian[..., 0]))
    assert np.prod(result.jacobian, -1).real == pytest.approx(np.linalg.det(J), rel=1e6 * EPS, abs=0)
    assert list(result.weight) == [f"l{k}.{gate}" for k in (0, 1) for gate in "ifgo"]
    block = module.weight_hh_l1.detach().double().numpy()[4:8]
    assert sorted(np.abs(result.weight["l1.f"])) == pytest.approx(
        sorted(np.abs(np.linalg.eigvals(block))), abs=16 * EPS
    )


def test_gates_of_other_cells():
    x = torch.randn(3, 1, 2)
    assert list(eigenvalues_along(nn.GRU(2, 3), x).weight) == ["l0.r", "l0.z", "l0.n"]
    assert list(eigenvalues_along(nn.RNN(2, 3), x).weight) == ["l0.h"]
    assert not eigenvalues_along(nn.LSTM(2, 4, proj_size=2), x).weight
    W = torch.diag(torch.tensor([0.5, -0.25], dtype=torch.float64))
    linear = eigenvalues_along(lambda x, s: W @ s, 2, initial=torch.ones(2, dtype=torch.float64))
    assert not linear.weight
    assert linear.jacobian.tolist() == [[[0.5, -0.25]]] * 2


def test_linear_state_space_models():
    # S4D: the n-th mode of Λ = -1/2 + iπn under Δ = 0.1; Mamba: A_n = -n.
    decay = torch.exp(0.1 * (-0.5 + 1j * np.pi * torch.arange(4, dtype=torch.float64)))
    s4d = eigenvalues_along(lambda x, s: decay * s, 1, initial=torch.ones(4, dtype=torch.complex128))
    assert np.abs(s4d.jacobian) == pytest.approx(np.exp(-0.05), abs=16 * EPS)
    mamba = torch.exp(-0.1 * torch.arange(1, 17, dtype=torch.float64))
    result = eigenvalues_along(lambda x, s: mamba * s, 1, initial=torch.ones(16, dtype=torch.float64))
    assert result.jacobian[0, 0, -1] == pytest.approx(np.exp(-1.6), abs=16 * EPS)


def test_every_must_be_positive():
    with pytest.raises(ArgumentError, match="every"):
        eigenvalues_along(nn.RNN(2, 3), torch.zeros(3, 1, 2), every=0)
