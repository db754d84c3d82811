"""The linear teacher, and what it is there to show."""

import numpy as np
import pytest
import torch

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import DeepLinearMap
from unitcircle.initializers import Gaussian, Orthogonal

EPS = np.finfo(np.float32).eps


def test_one_linear_map_with_orthonormal_rows_answers_every_batch():
    task = DeepLinearMap(size=12, answers=5, seed=3)
    batch = task.sample(np.random.default_rng(0), 100)
    A = np.linalg.lstsq(batch.inputs[0], batch.targets, rcond=None)[0].T
    np.testing.assert_allclose(A @ A.T, np.eye(5), atol=100 * EPS)
    for other in task.held_out("test"):
        np.testing.assert_allclose(other.inputs[0] @ A.T, other.targets, atol=300 * EPS)
    reseeded = DeepLinearMap(size=12, answers=5, seed=4).sample(np.random.default_rng(0), 100)
    assert not np.allclose(reseeded.targets, batch.targets)


def test_answering_zero_has_the_baseline_within_sampling_error():
    task = DeepLinearMap()
    answers = np.concatenate([batch.targets for batch in task.held_out("test")])
    # The square of a standard normal number has the variance 2.
    assert (answers**2).mean() == pytest.approx(task.baseline, abs=4 * np.sqrt(2 / answers.size))


def steps_to_threshold(task, law, depth, seed, *, most):
    """A plain loop: SGD at rate 0.3, gradient clipped to norm 1, Xavier input and readout."""
    rng = np.random.default_rng(seed)
    n, k = task.inputs, task.outputs
    weights = [rng.normal(size=(n, n)) / np.sqrt(n), *(law.sample(n, rng=rng) for _ in range(depth))]
    weights.append(rng.normal(size=(k, n)) * np.sqrt(2 / (n + k)))
    weights = [torch.tensor(W, dtype=torch.float32, requires_grad=True) for W in weights]
    for step in range(1, most + 1):
        batch = task.sample(rng, 128)
        h, y = torch.from_numpy(batch.inputs[0]).T, torch.from_numpy(batch.targets).T
        for W in weights:
            h = W @ h
        loss = (h - y).square().mean()
        if task.solved(loss.item()):
            return step
        gradients = torch.autograd.grad(loss, weights)
        norm = float(sum(g.square().sum() for g in gradients)) ** 0.5
        with torch.no_grad():
            for W, g in zip(weights, gradients, strict=True):
                W.sub_(0.3 * g / max(1.0, norm))
    return most + 1


@pytest.mark.parametrize("seed", range(3))
def test_orthogonal_stacks_need_few_steps_at_any_depth_and_gaussian_ones_more_and_more(seed):
    task = DeepLinearMap()
    assert max(steps_to_threshold(task, Orthogonal(), depth, seed, most=30) for depth in (2, 32)) <= 25
    assert steps_to_threshold(task, Gaussian(), 32, seed, most=30) > 30


@pytest.mark.parametrize(("size", "answers"), [(4, 5), (4, 0), (1, 1)])
def test_impossible_sizes_are_refused(size, answers):
    with pytest.raises(ArgumentError, match="answers must be at least 1 and at most size"):
        DeepLinearMap(size=size, answers=answers)
