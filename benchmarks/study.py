"""Runs per hour of the quick study against the same trainings as a plain loop over torch layers, on the same cores."""

import os
from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from torch import nn

from benchmarks._row import Row, best_of
from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.studies import Store, Study, execute
from unitcircle.experiments.tasks import Task
from unitcircle.initializers import Initializer

CORES = os.cpu_count() or 1
LAYERS = {"gru": nn.GRU, "lstm": nn.LSTM}
"""The layer of a gated cell; that of any other is nn.RNN, the fastest."""


class PlainNetwork(nn.Module):
    """What anyone would write: a torch layer and a linear readout."""

    def __init__(self, run):
        super().__init__()
        task, cell = Task.parse(run.task), TrainableCell.parse(run.cell)
        self.recurrent, self.every_step, self.symbols = cell.recurrent, task.every_step, task.inputs
        if cell.recurrent:
            self.body = LAYERS.get(cell.name, nn.RNN)(task.inputs, cell.size)
            W = torch.as_tensor(Initializer.parse(run.recurrent).sample(cell.size, rng=0))
            with torch.no_grad():
                for gate in self.body.weight_hh_l0.split(cell.size):
                    gate.copy_(W)
        else:
            widths = [task.inputs, *[cell.size] * cell.depth]
            self.body = nn.Sequential(*[nn.Linear(a, b, bias=False) for a, b in pairwise(widths)])
        self.readout = nn.Linear(cell.size, task.outputs)

    def forward(self, x):
        x = x if x.is_floating_point() else nn.functional.one_hot(x, self.symbols).float()
        if not self.recurrent:
            return self.readout(self.body(x[-1]))
        states, _ = self.body(x)
        return self.readout(states if self.every_step else states[-1])


def _tensors(batch):
    """Return inputs, and targets and weights of one run as a task takes them."""
    weights = None if batch.weights is None else torch.from_numpy(batch.weights)[None]
    return torch.from_numpy(batch.inputs), torch.from_numpy(np.ascontiguousarray(batch.targets))[None], weights


def plain_training(run):
    """Train one run with the same task, optimizer, clipping and evaluations, and nothing else."""
    task = Task.parse(run.task)
    torch.manual_seed(run.seed)
    network = PlainNetwork(run)
    kinds = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    optimizer = kinds[run.optimizer](network.parameters(), lr=run.learning_rate)
    rng = np.random.default_rng(run.seed)
    validation = [_tensors(part) for part in task.held_out("validation")]
    for step in range(1, run.steps + 1):
        inputs, *asked = _tensors(task.sample(rng, run.batch_size))
        optimizer.zero_grad()
        task.losses(network(inputs)[None], *asked).sum().backward()
        nn.utils.clip_grad_norm_(network.parameters(), run.clip)
        optimizer.step()
        if step % run.evaluate_every == 0:
            with torch.no_grad():
                for inputs, *asked in validation:
                    task.scores(network(inputs)[None], *asked)


def _plain_seconds(run):
    """Return what a step of a plain loop takes at its best, its share of the evaluations included."""
    torch.set_flush_denormal(True)
    short = replace(run, steps=run.evaluate_every * max(1, run.steps // (10 * run.evaluate_every)))

    def with_threads(count):
        torch.set_num_threads(count)
        plain_training(short)

    # Threads that wait for each other are slow on a busy machine: the plain loop has the better number of them.
    return min(best_of(2, *(partial(with_threads, count) for count in {1, CORES}))) / short.steps


def _side_by_side(study):
    """Return seconds of a study as a plain loop and with the engine, and its number of runs."""
    with TemporaryDirectory() as folder:
        ours = execute(study, folder).seconds
        records = list(Store(Path(folder)).records())
    steps, one = Counter(), {}
    for record in records:
        steps[record.run.cell] += record.summary["steps"]
        one[record.run.cell] = record.run
    return sum(steps[cell] * _plain_seconds(run) for cell, run in one.items()), ours, len(records)


def _row(label, plain, ours, runs, at_least):
    return Row(
        f"{label}: {3600 * runs / ours:,.0f} runs an hour against {3600 * runs / plain:,.0f}",
        f"the same {runs} runs to the same step as a plain loop, 1 or {CORES} threads (a tenth of one of a kind timed)",
        f"the study with its diagnostics, {CORES} processes",
        plain,
        ours,
        at_least,
    )


def rows():
    """Claim of issue 6: the quick study as a whole at least three times as fast as a plain loop; its parts, faster."""
    quick = Study.load("quick")
    found = []
    for experiment in quick.experiments:
        found.append(_side_by_side(replace(quick, experiments=(experiment,))))
        yield _row(f"{experiment.task}, {', '.join(experiment.cells)}", *found[-1], 1)
    yield _row("the quick study", *map(sum, zip(*found, strict=True)), 3)
