"""The product of a chain of matrices against torch's own, and a linear stack's answers against its layers."""

import numpy as np
import pytest
import torch
from tests.experiments.models.cases import close, parameters_of, random_loss, sequences

from unitcircle.experiments.models import Network, Stack
from unitcircle.experiments.models._product import product


def _numbers(*shape):
    return torch.from_numpy(np.random.default_rng(len(shape)).standard_normal(shape)).requires_grad_()


@pytest.mark.parametrize("layers", [0, 1, 4])
def test_is_the_product_and_has_its_gradient(layers):
    V, inner, W = _numbers(3, 2, 5), _numbers(3, layers * 5, 5), _numbers(3, 5, 4)
    factors = [V, *reversed(inner.split(5, 1) if layers else ()), W]
    expected = factors[0]
    for factor in factors[1:]:
        expected = expected @ factor
    found = product(V, inner, W)
    given = [V, inner, W] if layers else [V, W]
    grads = [torch.autograd.grad(random_loss([P]), given) for P in (found, expected)]
    assert close(found, expected, multiple=16 * (layers + 1))
    for ours, theirs in zip(*grads, strict=True):
        assert close(ours, theirs, multiple=64 * (layers + 1))


@pytest.mark.parametrize("depth", [1, 2, 5])
@pytest.mark.parametrize("answers", [2, 40])
def test_a_linear_stack_answers_as_its_layers_do(depth, answers):
    # Forty answers are more than there are sequences: the batch is the narrow end.
    network = Network(Stack(size=6, depth=depth), 4, answers)
    cell = parameters_of(network.cell, 3, 4)
    values = {f"cell.{name}": value for name, value in cell.items()}
    values |= {"readout.weight": _numbers(3, answers, 6), "readout.bias": _numbers(3, answers)}
    x = sequences(3, 2, 5, 4)
    expected = network.read(values, network.hidden(values, x))
    assert expected.shape == (3, 5, answers)
    assert close(network.outputs_of(values, x), expected, multiple=64 * depth)
