"""Depth flow against autograd layer by layer, and against source 5's picture."""

import numpy as np
import pytest
import torch
from tests.oracles.dynamics_mean_field import fixed_variance, slope_variance
from torch import nn

from unitcircle.dynamics import depth_flow
from unitcircle.errors import ArgumentError, UnknownNameError

EPS = np.finfo(float).eps
TEN_DECIMALS = 0.5e-10
"""Rounding of reference numbers that are written with ten decimals."""


def stack(depth, n, fill, activation=None):
    generator = torch.Generator().manual_seed(0)
    layers = []
    for _ in range(depth):
        linear = nn.Linear(n, n).double()
        with torch.no_grad():
            linear.weight.copy_(fill(torch.randn(n, n, generator=generator, dtype=torch.float64)))
            linear.bias.zero_()
        layers += [linear] if activation is None else [linear, activation()]
    return nn.Sequential(*layers)


def inputs(n, batch=4):
    return torch.randn(batch, n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_gradients_and_jacobians_are_those_of_autograd():
    model = stack(3, 6, lambda z: z / 6**0.5, nn.Tanh)
    x, y = inputs(6), inputs(6)
    flow = depth_flow(model, (x, y))
    assert flow.layers == ("4", "2", "0")
    activations = [x.clone().requires_grad_()]
    for k in (0, 2, 4):
        activations.append(model[k + 1](model[k](activations[-1])))
    grads = torch.autograd.grad(nn.functional.mse_loss(activations[-1], y), activations, retain_graph=True)
    expected = np.log([g.norm(dim=-1).numpy() for g in grads[::-1]])
    assert np.abs(flow.log_norms - expected).max() <= 64 * 6 * EPS
    for j, k in enumerate((4, 2, 0)):
        for b in range(4):
            piece = nn.Sequential(model[k], model[k + 1])
            J = torch.autograd.functional.jacobian(piece, activations[k // 2][b].detach())
            largest, frobenius = torch.linalg.matrix_norm(J, 2).item(), torch.linalg.norm(J).item()
            assert flow.jacobian_norms[j, b] == pytest.approx(largest, rel=64 * EPS, abs=0)
            assert flow.jacobian_frobenius[j, b] == pytest.approx(frobenius / 6**0.5, rel=64 * EPS, abs=0)
    assert (flow.log_norms <= flow.log_bound + 16 * EPS).all()


def test_gaussian_explodes_and_orthogonal_stays():
    n, depth = 20, 24
    gaussian = depth_flow(stack(depth, n, lambda z: 1.5 * z / n**0.5), inputs(n))
    orthogonal = depth_flow(stack(depth, n, lambda z: torch.linalg.qr(z)[0]), inputs(n))
    assert np.abs(orthogonal.log_norms - orthogonal.log_norms[0]).max() <= n * depth * EPS
    assert np.abs(orthogonal.log_bound - orthogonal.log_norms).max() <= n * depth * EPS
    assert np.isinf(orthogonal.horizon(10.0))
    # E log of a χ²-ratio: log 1.5 per layer to leading order, less 1/(2n); 4 standard errors.
    assert gaussian.growth_rate == pytest.approx(np.log(1.5) - 1 / (2 * n), abs=4 * gaussian.growth_rate_stderr + 1 / n)
    assert gaussian.growth_rate_stderr > 0
    # The bound grows with σ₁ ≈ 2 · 1.5 per layer, far above what the gradient does.
    assert (gaussian.log_bound[-1] - gaussian.log_norms[-1]).min() > depth * np.log(1.5)
    assert gaussian.horizon(10.0) < depth


@pytest.mark.parametrize(("std_w", "q", "chi"), [(0.9, 0.2165246343, 0.6003712547), (1.3, 0.6070467919, 0.9398074287)])
def test_wide_tanh_networks_follow_the_mean_field(std_w, q, chi):
    assert fixed_variance(std_w, 0.3) == pytest.approx(q, abs=TEN_DECIMALS + 1e4 * EPS)
    assert slope_variance(std_w, 0.3) == pytest.approx(chi, abs=TEN_DECIMALS + 1e4 * EPS)
    n, depth = 300, 30
    model = stack(depth, n, lambda z: std_w * z / n**0.5, nn.Tanh)
    biases = torch.randn(depth, n, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    with torch.no_grad():
        for linear, bias in zip(model[::2], biases, strict=True):
            linear.bias.copy_(0.3 * bias)
    flow = depth_flow(model, inputs(n), jacobians=False)
    # The last layer starts from its output, without the nonlinearity's own statistics: leave two layers out.
    rate = (flow.log_norms[-1] - flow.log_norms[2]).mean() / (depth - 2)
    assert abs(rate - 0.5 * np.log(chi)) <= 4 * flow.growth_rate_stderr + 1 / n


def test_convolutions_named_layers_and_no_jacobians():
    model = nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 4))
    x = torch.randn(5, 2, 6)
    flow = depth_flow(model, x)
    assert flow.layers == ("3", "0")
    assert np.isfinite(flow.jacobian_norms).all()
    named = depth_flow(model, x, layers=["0"], jacobians=False)
    assert named.layers == ("0",)
    assert np.isnan(named.jacobian_norms).all()
    assert np.abs(named.log_norms[-1] - flow.log_norms[-1]).max() <= 64 * EPS
    keyed = depth_flow(model, {"input": x}, lambda output: output.square().sum())
    assert keyed.log_norms.shape == (3, 5)


def test_the_model_is_left_as_found():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), nn.Linear(4, 2))
    state = {k: v.clone() for k, v in model.state_dict().items()}
    x = torch.randn(6, 4)
    before = torch.random.get_rng_state()
    depth_flow(model, x)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert all(part.training for part in model.modules())
    assert not x.requires_grad
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(part._forward_pre_hooks for part in model.modules())


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: depth_flow(nn.Tanh(), torch.zeros(2, 3)), ArgumentError, "at least one layer"),
        (lambda: depth_flow(nn.RNN(3, 4), torch.zeros(2, 1, 3)), ArgumentError, "at least one layer"),
        (lambda: depth_flow(nn.Sequential(nn.Linear(2, 2)), torch.zeros(1, 2), layers=["7"]), UnknownNameError, "7"),
    ],
)
def test_misuse_is_refused_in_words(call, error, words):
    with pytest.raises(error, match=words):
        call()
