"""Losses and scores over held-out data."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score
from torch.nn import functional

from unitcircle.experiments.models import Network, TrainableCell
from unitcircle.experiments.tasks import Batch, Task, from_data
from unitcircle.experiments.training import Run, initial_parameters, stack_batches
from unitcircle.experiments.training._evaluation import evaluate, held_out_data

EPS, EPS32 = (float(np.finfo(dtype).eps) for dtype in (np.float64, np.float32))
RUNS = [Run("adding", "tanh(size=8)", "orthogonal", seed=seed) for seed in range(2)]


@dataclass(frozen=True)
class Tagging(Task):
    """The class of every symbol, some of which do not count: a task of the tests."""

    name = "tagging_for_tests"
    every_step = True
    inputs = 3
    outputs = 2

    def sample(self, rng, size, /):
        symbols = rng.integers(3, size=(5, size))
        return Batch(symbols, symbols % 2, rng.integers(2, size=symbols.shape).astype(np.float32))

    def held_out(self, split, /):
        rng = np.random.default_rng(0)
        yield from (self.sample(rng, size) for size in (7, 30))


def _network(task):
    network = Network(TrainableCell.parse("tanh(size=8)"), task.inputs, task.outputs, task.every_step)
    drawn = initial_parameters(
        network.parameters(), RUNS, cell=network.cell, dtype=torch.float64, device=torch.device("cpu")
    )
    return network, drawn


def test_every_answer_that_counts_counts_alike():
    task = Tagging()
    network, parameters = _network(task)
    evaluation = evaluate(network, parameters, task, held_out_data(task, "test", torch.device("cpu"), size=8))
    for r in range(2):
        one = {name: value[r : r + 1] for name, value in parameters.items()}
        losses, rights, weights = [], [], []
        for batch in task.held_out("test"):
            outputs = network.outputs_of(one, torch.from_numpy(batch.inputs)[None])[0]
            targets = torch.from_numpy(batch.targets)
            losses += functional.cross_entropy(outputs.reshape(-1, 2), targets.reshape(-1), reduction="none").tolist()
            rights += (outputs.argmax(-1) == targets).reshape(-1).tolist()
            weights += batch.weights.reshape(-1).tolist()
        # The losses of single answers are in single precision; the mean over 185 answers is in double.
        assert evaluation.loss[r] == pytest.approx(np.average(losses, weights=weights), rel=10 * EPS32)
        assert evaluation.score[r] == pytest.approx(np.average(rights, weights=weights), rel=4500 * EPS)


def test_parts_do_not_change_the_result(monkeypatch):
    task = Tagging()
    network, parameters = _network(task)
    whole = evaluate(network, parameters, task, held_out_data(task, "test", torch.device("cpu"), size=8))
    monkeypatch.setattr("unitcircle.experiments.training._evaluation.FEWEST", 1)
    parts = held_out_data(task, "test", torch.device("cpu"), size=2**19 // 20)
    assert len(parts) > 2
    split = evaluate(network, parameters, task, parts)
    assert split.loss == pytest.approx(whole.loss, rel=10 * EPS32)
    assert split.score == pytest.approx(whole.score, rel=4500 * EPS)


def test_a_metric_of_the_users_is_that_of_all_answers_however_they_are_divided(monkeypatch):
    rng = np.random.default_rng(0)
    pairs = [[(rng.normal(size=(t, 3)), rng.integers(2, size=t)) for t in rng.integers(2, 7, size=90)] for _ in "abc"]
    task = from_data(*pairs, classes=2, every_step=True, metric=balanced_accuracy_score, higher_is_better=True)
    network, parameters = _network(task)
    targets, predictions = [], [[], []]
    for x, y in pairs[2]:
        targets += y.tolist()
        inputs = torch.from_numpy(np.stack([x] * 2))[:, :, None]
        for labels, answers in zip(
            predictions, network.outputs_of(parameters, inputs).argmax(-1)[:, :, 0], strict=True
        ):
            labels.extend(answers.tolist())
    for fewest in (1, 32):
        monkeypatch.setattr("unitcircle.experiments.training._evaluation.FEWEST", fewest)
        data = held_out_data(task, "test", torch.device("cpu"), size=2**19 // 20)
        evaluation = evaluate(network, parameters, task, data)
        assert len(data) > 2
        assert evaluation.score.tolist() == [balanced_accuracy_score(targets, labels) for labels in predictions]


def test_numbers_are_scored_by_their_squared_error():
    task = Task.parse("adding(length=5)")
    network, parameters = _network(task)
    constant = {n: torch.zeros_like(v) for n, v in parameters.items()} | {"readout.bias": torch.ones(2, 1).double()}
    evaluation = evaluate(network, constant, task, held_out_data(task, "test", torch.device("cpu"), size=8))
    answers = np.concatenate([batch.targets for batch in task.held_out("test")]).astype(float)
    # 10,000 squares in single precision, summed pairwise.
    assert evaluation.score == pytest.approx(np.full(2, ((answers - 1) ** 2).mean()), rel=100 * EPS32)


def test_stacking_puts_the_runs_in_front():
    task = replace(Tagging())
    batches = [task.sample(np.random.default_rng(seed), 4) for seed in range(3)]
    inputs, targets, weights = stack_batches(batches, torch.device("cpu"))
    assert inputs.shape == targets.shape == weights.shape == (3, 5, 4)
    assert np.array_equal(weights[2], batches[2].weights)
