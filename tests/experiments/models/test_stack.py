"""The feed-forward stack against torch's layers, and its gradient through depth."""

import numpy as np
import pytest
import torch
from tests.experiments.models.cases import close, parameters_of, random_loss, sequences

from unitcircle.dynamics import depth_flow
from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import Stack, select
from unitcircle.initializers import Orthogonal

EPS = np.finfo(float).eps


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_is_the_torch_module_of_every_run(depth, activation):
    cell = Stack(size=6, depth=depth, activation=activation)
    values = {key: v.requires_grad_() for key, v in parameters_of(cell, 3, 4).items()}
    x = sequences(3, 2, 5, 4)
    hidden = cell.forward(values, x)
    assert hidden.shape == (3, 1, 5, 6)
    grads = dict(zip(values, torch.autograd.grad(random_loss([hidden]), list(values.values())), strict=True))
    modules = [cell.module(select(values, run)) for run in range(3)]
    expected = torch.stack([module(x[run, -1]) for run, module in enumerate(modules)]).unsqueeze(1)
    random_loss([expected]).backward()
    assert close(hidden, expected, multiple=16 * depth)
    for run, module in enumerate(modules):
        layers = [m for m in module if isinstance(m, torch.nn.Linear)]
        assert len(layers) == depth
        assert close(grads["input"][run], layers[0].weight.grad, multiple=64 * depth)
        if depth > 1:
            stacked = torch.cat([layer.weight.grad for layer in layers[1:]])
            assert close(grads["recurrent"][run], stacked, multiple=64 * depth)
        if activation == "linear":
            assert layers[0].bias is None
        else:
            assert close(grads["bias"][run], torch.cat([m.bias.grad for m in layers]), multiple=64 * depth)


def test_gradient_keeps_its_norm_through_orthogonal_layers():
    cell = Stack(size=6, depth=9)
    values = parameters_of(cell, 2, 6)
    values["recurrent"] = torch.as_tensor(Orthogonal().sample(6, rng=0, size=(2, 8))).flatten(1, 2)
    flow = depth_flow(cell.module(select(values, 1)), sequences(1, 1, 5, 6)[0, 0])
    # All but the first layer, which is not orthogonal here.
    assert np.abs(flow.log_norms[:-1] - flow.log_norms[0]).max() <= 6 * 9 * EPS


def test_module_is_of_one_run():
    cell = Stack(size=6, depth=2)
    with pytest.raises(ArgumentError, match="one run"):
        cell.module(parameters_of(cell, 2, 4))
