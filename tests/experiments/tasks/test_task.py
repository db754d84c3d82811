"""What every task keeps: one text, data from the generator alone, held-out data of their own, documented shapes."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from unitcircle.errors import UnknownNameError
from unitcircle.experiments.tasks import Batch, DelayedDigits, Task, from_data

SMALL = [
    "adding(length=7)",
    "copying(delay=3)",
    "deep_linear_map(size=5, answers=2)",
    "delayed_digits(blank=2)",
    "digits",
    "mackey_glass(tau=2, horizon=3, length=4)",
    *(f"tomita(grammar={g})" for g in range(1, 8)),
]


def arrays(batch):
    return [batch.inputs, batch.targets, batch.weights if batch.weights is not None else np.zeros(0)]


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(arrays(a), arrays(b), strict=True))


@pytest.mark.parametrize("text", SMALL)
def test_a_text_stands_for_one_task(text):
    task = Task.parse(text)
    assert Task.parse(str(task)) == task
    assert Task.from_dict(task.to_dict()) == task


@pytest.mark.parametrize("text", SMALL)
def test_training_data_come_from_the_generator_alone(text):
    task = Task.parse(text)
    first, again = (task.sample(np.random.default_rng(3), 6) for _ in range(2))
    other = task.sample(np.random.default_rng(4), 6)
    assert equal(first, again)
    assert not equal(first, other)
    assert len(first) == 6


@pytest.mark.parametrize("text", SMALL)
def test_held_out_data_are_the_same_whenever_asked_and_differ_between_splits(text):
    task = Task.parse(text)
    before = list(task.held_out("test"))
    task.sample(np.random.default_rng(0), 5)
    assert all(equal(a, b) for a, b in zip(before, Task.parse(text).held_out("test"), strict=True))
    assert not equal(before[0], next(iter(task.held_out("validation"))))


@pytest.mark.parametrize("text", SMALL)
def test_shapes_are_those_of_the_contract(text):
    task = Task.parse(text)
    for batch in (task.sample(np.random.default_rng(0), 6), *task.held_out("validation"), *task.held_out("test")):
        steps, size = batch.inputs.shape[:2]
        assert size == len(batch)
        if np.issubdtype(batch.inputs.dtype, np.integer):
            assert batch.inputs.ndim == 2
            assert 0 <= batch.inputs.min() <= batch.inputs.max() < task.inputs
        else:
            assert batch.inputs.shape == (steps, size, task.inputs)
            assert batch.inputs.dtype == np.float32
        answers = (steps, size) if task.every_step else (size,)
        assert batch.targets.shape == (answers if task.classes else (*answers, task.outputs))
        assert batch.targets.dtype == (np.int64 if task.classes else np.float32)
        if task.classes:
            assert 0 <= batch.targets.min() <= batch.targets.max() < task.outputs
        if batch.weights is not None:
            assert batch.weights.shape == answers
        assert np.isfinite(batch.inputs).all()


def test_names_are_known_and_others_refused():
    assert Task.parse("delayed_digits") == DelayedDigits(blank=100)
    with pytest.raises(UnknownNameError, match="task must be one of adding"):
        Task.parse("subtracting")
    with pytest.raises(UnknownNameError, match="parameter of adding"):
        Task.parse("adding(steps=3)")


@pytest.fixture
def classes():
    rng = np.random.default_rng(0)
    part = rng.normal(size=(4, 5, 2)), rng.integers(3, size=(4, 5))
    return from_data(part, part, part, classes=3, every_step=True)


def test_the_loss_of_classes_is_the_weighted_cross_entropy_in_nats_of_every_run(classes):
    rng = np.random.default_rng(1)
    outputs, targets = rng.normal(size=(2, 5, 4, 3)), rng.integers(3, size=(2, 5, 4))
    weights = rng.random((2, 5, 4))
    found = classes.losses(*map(torch.from_numpy, (outputs, targets, weights)))
    plain = classes.losses(torch.from_numpy(outputs), torch.from_numpy(targets), None)
    for run in range(2):
        odds = np.exp(outputs[run].reshape(-1, 3))
        arguments = targets[run].ravel(), odds / odds.sum(1, keepdims=True)
        # Two float64 evaluations of twenty logarithms.
        expected = log_loss(*arguments, sample_weight=weights[run].ravel(), labels=range(3))
        assert float(found[run]) == pytest.approx(expected, rel=100 * np.finfo(float).eps)
        assert float(plain[run]) == pytest.approx(log_loss(*arguments, labels=range(3)), rel=100 * np.finfo(float).eps)


def test_the_score_of_classes_is_the_weighted_accuracy_of_every_run(classes):
    outputs = torch.tensor([[[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 3.0]]] * 2)[:, None]
    targets = torch.tensor([[[0, 1, 0]], [[1, 1, 2]]])
    assert classes.scores(outputs, targets, None).tolist() == pytest.approx([2 / 3, 2 / 3])
    weights = torch.tensor([[[1.0, 0.0, 1.0]], [[0.0, 1.0, 3.0]]])
    assert classes.scores(outputs, targets, weights).tolist() == [0.5, 1.0]


def test_numbers_have_the_mean_squared_error_for_loss_and_score():
    task = Task.parse("adding(length=4)")
    outputs, targets = torch.tensor([[[1.0], [2.0]], [[0.0], [4.0]]]), torch.tensor([[[0.0], [0.0]], [[0.0], [1.0]]])
    assert task.losses(outputs, targets, None).tolist() == [2.5, 4.5]
    assert task.scores(outputs, targets, None).tolist() == [2.5, 4.5]


def test_solved_is_on_the_right_side_of_the_threshold_and_never_without_one():
    higher, lower = Task.parse("digits"), Task.parse("adding")
    assert higher.solved(0.9)
    assert not higher.solved(0.89)
    assert lower.solved(0.01)
    assert not lower.solved(0.02)
    part = np.zeros((2, 3, 1)), np.zeros(2)
    without = from_data(part, part, part)
    assert math.isnan(without.threshold)
    assert not without.solved(0.0)


def test_the_length_of_a_batch_is_its_number_of_sequences():
    assert len(Batch(np.zeros((7, 3, 2)), np.zeros(3))) == 3
