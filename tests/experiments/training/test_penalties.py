"""What regularizers add to the loss."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import Network, TrainableCell, select
from unitcircle.experiments.training import Run, initial_parameters, loss_and_penalty, train
from unitcircle.torch import soft_orthogonality

EPS, EPS32 = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))
RUNS = [Run("adding", "tanh(size=5)", "gaussian", seed=seed) for seed in range(2)]
NETWORK = Network(TrainableCell.parse("tanh(size=5)"), 2, 1)


@pytest.fixture
def case():
    drawn = initial_parameters(
        NETWORK.parameters(), RUNS, cell=NETWORK.cell, dtype=torch.float64, device=torch.device("cpu")
    )
    inputs = torch.randn(2, 6, 4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return {name: value.requires_grad_() for name, value in drawn.items()}, inputs


def _loss(outputs):
    return outputs.square().flatten(1).mean(1)


def _penalties(case, **weights):
    return loss_and_penalty(NETWORK, *case, _loss, Run("adding", "tanh(size=5)", "zeros", **weights))


def test_none_costs_nothing(case):
    loss, added = _penalties(case)
    assert torch.equal(loss, _loss(NETWORK.outputs_of(*case)))
    assert not added.any()


def test_the_loss_is_the_same_beside_a_regularizer(case):
    plain = _penalties(case)[0]
    for name in ("omega", "norm_stabilizer", "soft_orthogonality"):
        torch.testing.assert_close(_penalties(case, **{name: 1.0})[0], plain)


def test_soft_orthogonality_is_that_of_each_run(case):
    _, added = _penalties(case, soft_orthogonality=3.0)
    expected = [3 * soft_orthogonality(W) for W in case[0]["cell.recurrent"]]
    torch.testing.assert_close(added, torch.stack(expected))


def test_norm_stabilizer_is_the_mean_of_the_squared_changes_of_the_norm(case):
    parameters, inputs = case
    _, added = _penalties(case, norm_stabilizer=2.0)
    for r in range(2):
        hidden = NETWORK.hidden(select(parameters, r), inputs[r : r + 1])[0].detach().numpy()
        norms = np.linalg.norm(np.concatenate([np.zeros_like(hidden[:1]), hidden]), axis=-1)
        assert added[r].item() == pytest.approx(2 * (np.diff(norms, axis=0) ** 2).mean(), rel=500 * EPS)


def test_omega_asks_each_step_to_keep_the_gradient(case):
    parameters, inputs = case
    _, added = _penalties(case, omega=1.0)
    W, ratios = parameters["cell.recurrent"], []
    for r in range(2):
        states = NETWORK.cell.unrolled(NETWORK.cell_parameters(select(parameters, r)), inputs[r : r + 1])
        h = [state[0][0] for state in states]
        last = h[-1].detach().requires_grad_()
        readout = last @ parameters["readout.weight"][r].T + parameters["readout.bias"][r]
        (delta,) = torch.autograd.grad(readout.square().mean(), last)
        for t in range(len(h) - 1, 0, -1):
            back = (delta * (1 - h[t] ** 2)) @ W[r]
            ratios.append((back.norm(dim=-1) / delta.norm(dim=-1) - 1) ** 2)
            delta = back
    # The mean over the batch of both runs, summed over the steps; ratios near 1 lose some digits.
    assert added[0].item() == pytest.approx(torch.stack(ratios).mean().item() * 6, rel=1e4 * EPS)


@pytest.mark.parametrize("name", ["omega", "norm_stabilizer", "soft_orthogonality"])
def test_training_with_it_changes_what_is_learned(name):
    def final(**weights):
        run = Run("adding(length=6)", "tanh(size=5)", "gaussian", steps=10, evaluate_every=10, measure_at=(), **weights)
        return train([run])[0]

    assert final(**{name: 10.0}).summary["final_train_loss"] != final().summary["final_train_loss"]
    if name == "soft_orthogonality":
        curve = final(soft_orthogonality=10.0, learning_rate=0.03).curves["orthogonality[h]"]
        assert curve[-1] < curve[0]


def test_soft_orthogonality_of_a_unitary_weight_costs_nothing():
    run = Run("adding(length=6)", "unitary_evolution(size=5)", "zeros", steps=5, evaluate_every=5, measure_at=())
    free, held = (train([replace(run, soft_orthogonality=weight)])[0] for weight in (0.0, 10.0))
    # It is 0 whatever its factors are: only rounding is added, in single precision, of 5 units; none was measured.
    assert held.summary["final_train_loss"] == pytest.approx(free.summary["final_train_loss"], rel=8 * 5 * EPS32)


def test_soft_orthogonality_of_no_weight_is_refused():
    run = Run("adding(length=6)", "strongly_typed(size=5)", "zeros", soft_orthogonality=0.1, steps=1)
    with pytest.raises(ArgumentError, match=r"must be 0 for a cell without recurrent weights; got strongly_typed"):
        train([run])
