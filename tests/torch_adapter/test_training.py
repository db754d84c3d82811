"""Filling, parametrizing and regularizing while training."""

import numpy as np
import pytest
import torch
from torch import nn

from unitcircle.errors import ArgumentError, DtypeError, ShapeError, UnknownNameError
from unitcircle.torch import (
    fill_,
    initialize_,
    norm_stabilizer,
    parametrize_orthogonal,
    pascanu_omega,
    soft_orthogonality,
)

N = 6
EPS = torch.finfo(torch.float64).eps


def defect(block, gain=1.0):
    return (block.T @ block / gain**2 - torch.eye(block.shape[-1])).abs().max().item()


def test_fill_leaves_the_graph_alone_and_returns_the_tensor():
    weight = nn.Parameter(torch.zeros(N, N))
    assert fill_(weight, "orthogonal", rng=0) is weight
    assert defect(weight.detach()) < 10 * N * torch.finfo(torch.float32).eps


@pytest.mark.parametrize(
    ("tensor", "spec", "gates", "error"),
    [
        (torch.empty(7, 2), "orthogonal", 4, ShapeError),
        (torch.empty(7), "orthogonal", 1, ShapeError),
        (torch.empty(8, 2), "eigen", 1, ShapeError),
        (torch.empty(2, 2), "ring", 1, ArgumentError),
    ],
)
def test_fill_refuses_what_does_not_fit(tensor, spec, gates, error):
    with pytest.raises(error):
        fill_(tensor, spec, gates=gates)


def test_fill_takes_complex_weights_for_complex_tensors():
    weight = fill_(torch.empty(4, 4, dtype=torch.complex64), "ring(r_min=0.5, r_max=0.9)", rng=0)
    assert (weight.diagonal().abs() < 0.9).all()
    double = fill_(torch.empty(4, 4, dtype=torch.complex128), "orthogonal", rng=0)
    assert double.imag.abs().max() > 0.01
    assert (double.mH @ double - torch.eye(4)).abs().max() < 10 * 4 * torch.finfo(torch.float64).eps


def test_biases_of_double_precision_are_computed_in_it():
    bias = fill_(torch.empty(12, dtype=torch.float64), "chrono(max_steps=50)", gates=4, rng=0)
    assert not torch.equal(bias, bias.float().double())


@pytest.mark.parametrize("orthogonal_map", [None, "cayley", "householder", "matrix_exp"])
@pytest.mark.parametrize(
    ("module", "name", "k"), [(nn.LSTM(3, N), "weight_hh_l0", 4), (nn.GRUCell(3, N), "weight_hh", 3)]
)
def test_gates_stay_orthogonal_while_training(module, name, k, orthogonal_map):
    module = parametrize_orthogonal(type(module)(3, N), name, orthogonal_map=orthogonal_map, gain=0.9)
    start = [block.detach().clone() for block in getattr(module, name).chunk(k)]
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        out = module(torch.ones(4, 3), torch.ones(4, N)) if isinstance(module, nn.GRUCell) else module(torch.ones(4, 3))
        (out[0] if isinstance(out, tuple) else out).square().sum().backward()
        optimizer.step()
    for block, before in zip(getattr(module, name).detach().chunk(k), start, strict=True):
        assert defect(block, 0.9) < 100 * N * torch.finfo(torch.float32).eps
        assert not torch.equal(block, before)


def test_orthogonal_blocks_stay_what_they_are_when_parametrized():
    lstm = nn.LSTM(3, N)
    initialize_(lstm, recurrent="orthogonal", rng=0)
    before = lstm.weight_hh_l0.detach().clone()
    parametrize_orthogonal(lstm)
    torch.testing.assert_close(lstm.weight_hh_l0, before, atol=10 * N * torch.finfo(torch.float32).eps, rtol=0)


def test_a_linear_module_can_be_recurrent():
    linear = parametrize_orthogonal(nn.Linear(N, N), "weight")
    assert defect(linear.weight.detach()) < 100 * N * torch.finfo(torch.float32).eps


def test_every_layer_and_direction_can_be_parametrized():
    lstm = nn.LSTM(3, N, num_layers=2, bidirectional=True)
    for name in ("weight_hh_l0", "weight_hh_l1_reverse"):
        parametrize_orthogonal(lstm, name)
        for block in getattr(lstm, name).detach().chunk(4):
            assert defect(block) < 100 * N * torch.finfo(torch.float32).eps


def test_a_bias_is_filled_gate_by_gate():
    bias = fill_(torch.ones(8), "forget_bias", gates=4)
    assert bias.tolist() == [0, 0, 1, 1, 0, 0, 0, 0]
    i, f, g, o = fill_(torch.ones(8), "chrono(max_steps=50)", gates=4, rng=0).chunk(4)
    assert torch.equal(i, -f)
    assert not (g.any())
    assert not (o.any())
    assert fill_(torch.ones(6), "forget_bias", gates=3).tolist() == [0, 0, 1, 1, 0, 0]
    assert fill_(torch.ones(4), "zeros", gates=4).tolist() == [0] * 4
    with pytest.raises(ArgumentError, match="LSTM"):
        fill_(torch.ones(4), "chrono", gates=2)


def test_parametrizing_refuses_early():
    with pytest.raises(UnknownNameError, match="name"):
        parametrize_orthogonal(nn.Sequential(nn.LSTM(3, N)), "0.weight_hh_l0")
    with pytest.raises(DtypeError, match="float32"):
        parametrize_orthogonal(nn.LSTM(3, N, dtype=torch.bfloat16))
    with pytest.raises(UnknownNameError, match="weight_hh_l0"):
        parametrize_orthogonal(nn.LSTM(3, N), "weight_hh_l1")
    with pytest.raises(ShapeError, match="square"):
        parametrize_orthogonal(nn.LSTM(3, N, proj_size=2))


def test_a_parametrized_weight_cannot_be_filled_in_vain():
    lstm = parametrize_orthogonal(nn.LSTM(3, N))
    with pytest.raises(ArgumentError, match="cannot produce such a weight"):
        initialize_(lstm, recurrent="orthogonal(gain=0.5)")


def test_omega_of_a_linear_rnn_is_the_norm_change_of_the_gradient():
    # With h' = W h and L = ⟨a, h_T⟩: δ_T = a and each step multiplies by Wᵀ. For W = 2 Q every ratio is 2, so Ω = T.
    W = fill_(torch.empty(N, N, dtype=torch.float64), "orthogonal(gain=2)", rng=0).requires_grad_()
    states = [torch.randn(3, N, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()]
    for _ in range(4):
        states.append(states[-1] @ W.T)
    omega = pascanu_omega(states, states[-1].sum())
    assert omega.item() == pytest.approx(4.0, rel=10 * N * EPS)
    # dΩ/dgain at gain 2: Ω = T (g − 1)², so T · 2 (g − 1) = 8, along the direction W/g.
    (gradient,) = torch.autograd.grad(omega, W)
    assert (gradient * W.detach() / 2).sum().item() == pytest.approx(8.0, rel=100 * N * EPS)


def test_omega_ignores_states_without_gradient_and_refuses_unconnected_ones():
    a = torch.ones(2, N, requires_grad=True)
    b = 2 * a
    c = 3 * b
    assert pascanu_omega([a, b, c], b.sum()).item() == pytest.approx(1.0)
    with pytest.raises(ArgumentError, match="computed from the one before"):
        pascanu_omega([torch.ones(2, N, requires_grad=True), b], b.sum())
    with pytest.raises(ArgumentError, match="two time steps"):
        pascanu_omega([a], a.sum())


def test_norm_stabilizer_is_the_mean_squared_change_of_norm():
    states = torch.tensor([[[3.0, 4.0]], [[0.0, 1.0]], [[1.0, 0.0]]])
    assert norm_stabilizer(states).item() == pytest.approx((16 + 0) / 2)
    with pytest.raises(ShapeError, match="two steps"):
        norm_stabilizer(states[:1])


def test_soft_orthogonality_is_zero_on_orthogonal_gates_only():
    weight = fill_(torch.empty(4 * N, N, dtype=torch.float64), "orthogonal", gates=4, rng=0)
    # Each of the n² entries of WᵀW − I is a sum of n rounded products, and is squared.
    assert soft_orthogonality(weight, gates=4).item() < 4 * N**2 * (N * EPS) ** 2
    assert soft_orthogonality(2 * weight, gates=4).item() == pytest.approx(4 * N * 9)


def test_soft_orthogonality_of_a_complex_weight_is_real_and_has_a_gradient():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2 * N, N, dtype=torch.complex128, generator=generator).requires_grad_()
    found = soft_orthogonality(weight, gates=2)
    assert not found.is_complex()
    blocks = weight.detach().numpy().reshape(2, N, N)
    expected = sum(np.linalg.norm(W.conj().T @ W - np.eye(N)) ** 2 for W in blocks)
    assert found.item() == pytest.approx(expected, rel=10 * N * EPS)
    found.backward()
    # d‖WᴴW − I‖² = 4 Re⟨W (WᴴW − I), dW⟩
    gradient = np.concatenate([4 * W @ (W.conj().T @ W - np.eye(N)) for W in blocks])
    np.testing.assert_allclose(
        weight.grad.numpy(), gradient, rtol=100 * N * EPS, atol=10 * N * EPS * np.abs(gradient).max()
    )
    unitary = torch.linalg.qr(weight.detach()[:N]).Q
    assert soft_orthogonality(unitary).item() < N**2 * (N * EPS) ** 2
