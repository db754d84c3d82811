"""How much memory a run needs, and how much there is: what bounds a stack."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from unitcircle.experiments.models import Cell
from unitcircle.experiments.tasks import Batch, Split, Task
from unitcircle.experiments.training import Run, axis_of_sequences, network_of, penalties, stacked, width_of_part

BACKWARD = 1.5
"""Peak of a backward pass against what the forward pass has saved for it; 0.9 to 1.5 measured."""
COPIES = 8
"""Parameters, gradients, those of the best and the last step, at most two moments, and what an update allocates."""
ITEM = {"float32": 4, "float64": 8, "bfloat16": 2}


def memory_of(run: Run, /) -> float:
    """Estimate the memory that one more run of a stack needs, in bytes."""
    #     1.5 s + transients,  for the largest batch: of training, or a part of the held-out data
    #     + 8 numbers for every parameter
    #
    # s is what a forward pass saves for the backward pass, counted for two sequences in double precision, whose
    # passes through time are those of a GPU; it is proportional to sequences and steps. Measured peaks are
    # between half of the estimate and all of it.
    return _memory_of(replace(run.stack, learning_rate=1.0, measure_at=()))


@cache
def _memory_of(run: Run) -> float:
    task, cell, device = Task.parse(run.task), Cell.parse(run.cell), torch.device(run.device)
    batch = task.sample(np.random.default_rng(0), run.batch_size)
    places = run.batch_size * (longest := len(batch.inputs))
    for split in get_args(Split):
        for part in task.held_out(split):
            steps = len(part.inputs)
            longest = max(longest, steps)
            width = min(width_of_part(steps, cell.size, device), len(part))
            places = max(places, width * steps, run.batch_size * longest)
    passing = 2 * task.inputs + (2 * cell.features + 4 * task.outputs if task.every_step else 0)
    each = BACKWARD * _saved(run, task, cell, batch) / 8 + passing
    return ITEM[run.precision] * each * places + memory_of_parameters(run)


def memory_of_parameters(run: Run, /) -> float:
    """Return the part of :func:`memory_of` that needs no batch, in bytes; nothing is allocated for it."""
    specified = network_of(Task.parse(run.task), Cell.parse(run.cell)).parameters()
    numbers = sum(math.prod(parameter.shape) for parameter in specified.values())
    return max(ITEM[run.precision], 4) * COPIES * numbers


def _saved(run: Run, task: Task, cell: Cell, batch: Batch) -> float:
    """Return the bytes, for each sequence and step, that a backward pass in double precision keeps."""
    one, two = (_saved_by(run, task, cell, _first(batch, task, count)) for count in (1, 2))
    return (two - one) / len(batch.inputs)


def _first(batch: Batch, task: Task, count: int) -> Batch:
    """Return the first sequences of a batch, which is repeated where it has fewer."""
    places = np.arange(count) % len(batch)
    axis = axis_of_sequences(task, batch.targets)
    weights = None if batch.weights is None else np.take(batch.weights, places, axis)
    return Batch(batch.inputs[:, places], np.take(batch.targets, places, axis), weights)


def _saved_by(run: Run, task: Task, cell: Cell, batch: Batch) -> int:
    network = network_of(task, cell)
    parameters = {
        name: torch.zeros(1, *p.shape, dtype=torch.float64, requires_grad=p.trainable)
        for name, p in network.parameters().items()
    }
    inputs, targets, weights = stacked([batch], torch.device("cpu"))
    own = {value.untyped_storage().data_ptr() for value in parameters.values()}
    kept: dict[int, Tensor] = {}

    def keep(x: Tensor) -> Tensor:
        # Held until all are counted, so that no other one takes its place in memory.
        kept.setdefault(x.untyped_storage().data_ptr(), x)
        return x

    def loss(outputs: Tensor) -> Tensor:
        return task.losses(outputs, targets, weights)

    with saved_tensors_hooks(keep, lambda x: x):
        penalties(network, parameters, inputs, loss, run)
    return sum(x.untyped_storage().nbytes() for place, x in kept.items() if place not in own)
