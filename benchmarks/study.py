"""Runs per hour of the quick study against the same trainings as a plain loop over torch layers, on the same cores."""

import os
import time
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context

import numpy as np
import torch
from torch import nn

from benchmarks._row import Row
from unitcircle.experiments.models import Cell
from unitcircle.experiments.studies import Study, stack_limit
from unitcircle.experiments.tasks import Task
from unitcircle.experiments.training import Run, train
from unitcircle.initializers import Initializer

CORES = os.cpu_count() or 1


class PlainNetwork(nn.Module):
    """What anyone would write: a torch layer and a linear readout."""

    def __init__(self, run):
        super().__init__()
        task, cell = Task.parse(run.task), Cell.parse(run.cell)
        self.recurrent, self.every_step, self.symbols = cell.recurrent, task.every_step, task.inputs
        if cell.recurrent:
            self.body = nn.RNN(task.inputs, cell.size)
            with torch.no_grad():
                self.body.weight_hh_l0.copy_(torch.as_tensor(Initializer.parse(run.recurrent).sample(cell.size, rng=0)))
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


def _plain_training(run):
    """Train one run with the same data, optimizer, clipping and evaluations, and nothing else."""
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


def _train(runs):
    torch.set_num_threads(1)
    began = time.perf_counter()
    train(runs)
    return time.perf_counter() - began


def _side_by_side(task, cell, options, label):
    # Neither stops before its last step.
    run = Run(task, cell, "orthogonal", learning_rate=1e-3, **options | {"patience": None})
    short = replace(run, steps=max(run.steps // 10, 10), measure_at=())
    # A plain loop has torch's own threads, as many as there are cores.
    torch.set_num_threads(CORES)
    torch.set_flush_denormal(True)
    _plain_training(replace(short, steps=3))
    began = time.perf_counter()
    _plain_training(short)
    plain = (time.perf_counter() - began) * run.steps / short.steps
    size = stack_limit(run)
    stacks = [[replace(run, seed=size * k + j) for j in range(size)] for k in range(CORES)]
    with get_context("spawn").Pool(CORES) as pool:
        # The first optimizer step of a process imports three seconds of torch.
        pool.map(_train, [[replace(short, steps=2)]] * CORES, chunksize=1)
        began = time.perf_counter()
        pool.map(_train, stacks, chunksize=1)
        ours = (time.perf_counter() - began) / (CORES * size)
    return Row(
        f"{label}: {3600 / ours:,.0f} runs an hour against {3600 / plain:,.0f}",
        f"one run of {run.steps} steps as a plain loop, {CORES} threads (a tenth of it timed)",
        f"{CORES} processes, stacks of {size}, diagnostics included",
        plain,
        ours,
        3,
    )


def rows():
    """Claims of issue 6: the quick study at least three times as fast as a plain loop."""
    for experiment in Study.load("quick").experiments:
        # Of the sweep of depths the deepest stands for all.
        for cell in experiment.cells[-1:]:
            sized = str(replace(Cell.parse(cell), size=experiment.sizes[0]))
            yield _side_by_side(experiment.task, sized, dict(experiment.options), f"{experiment.task}, {cell}")
