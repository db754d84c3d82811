"""The memory that a run needs, which bounds the number of runs in a stack."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import cache
from typing import get_args

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from unitcircle.experiments.models import TrainableCell
from unitcircle.experiments.tasks import Batch, Split, Task
from unitcircle.experiments.training import (
    Run,
    build_network,
    loss_and_penalty,
    sequence_axis,
    sequences_per_part,
    stack_batches,
)

BACKWARD = 1.5
"""Peak memory of a backward pass over the memory that the forward pass saved for it; 0.9 to 1.5 measured."""
COPIES = 8
"""Numbers per parameter: value, gradient, best and last value, two moments, and two temporaries of an update."""
ITEM = {"float32": 4, "float64": 8, "bfloat16": 2}  # Bytes


def memory_of(run: Run, /) -> float:
    """Estimate the memory that one more run of a stack needs, in bytes."""
    # 1.5 s + temporaries, for the largest batch of training or of held-out data, + 8 numbers for each parameter.
    # s is what a forward pass saves for the backward pass. It is proportional to sequences × steps, so it is counted
    # on two sequences, and in double precision, for which the processor takes the same path through time as a GPU.
    # Measured peaks are between half of the estimate and all of it. Where runs go forward and backward one after the
    # other (TrainableCell.is_faster_alone) s is taken once for all of them, and the estimate is a bound: it may make
    # stacks smaller, which are as fast there.
    return _memory_of(replace(run.stack, learning_rate=1.0, measure_at=()))


@cache
def _memory_of(run: Run) -> float:
    task, cell, device = Task.parse(run.task), TrainableCell.parse(run.cell), torch.device(run.device)
    batch = task.sample(np.random.default_rng(0), run.batch_size)
    places = run.batch_size * (longest := len(batch.inputs))
    for split in get_args(Split):
        for part in task.held_out(split):
            steps = len(part.inputs)
            longest = max(longest, steps)
            width = min(sequences_per_part(steps, cell.size, device), len(part))
            places = max(places, width * steps, run.batch_size * longest)
    temporaries = 2 * task.inputs + (2 * cell.features + 4 * task.outputs if task.every_step else 0)
    per_step = BACKWARD * _bytes_per_step(run, task, cell, batch) / 8 + temporaries
    return ITEM[run.precision] * per_step * places + memory_of_parameters(run)


def memory_of_parameters(run: Run, /) -> float:
    """Return the bytes of a run that do not depend on the batch, from the shapes of its parameters alone."""
    shapes = build_network(Task.parse(run.task), TrainableCell.parse(run.cell)).parameters()
    numbers = sum(math.prod(parameter.shape) for parameter in shapes.values())
    return max(ITEM[run.precision], 4) * COPIES * numbers


def _bytes_per_step(run: Run, task: Task, cell: TrainableCell, batch: Batch) -> float:
    """Return the bytes that a forward pass in double precision saves for each sequence and step."""
    # The difference of two batches: what does not grow with the batch is not counted.
    single, double = (_saved_bytes(run, task, cell, _sequences(batch, task, count)) for count in (1, 2))
    return (double - single) / len(batch.inputs)


def _sequences(batch: Batch, task: Task, count: int) -> Batch:
    """Return a batch of the first ``count`` sequences, repeated if the batch has fewer."""
    places = np.arange(count) % len(batch)
    axis = sequence_axis(task, batch.targets)
    weights = None if batch.weights is None else np.take(batch.weights, places, axis)
    return Batch(batch.inputs[:, places], np.take(batch.targets, places, axis), weights)


def _saved_bytes(run: Run, task: Task, cell: TrainableCell, batch: Batch) -> int:
    """Return the bytes that a forward pass over a batch saves, parameters excluded."""
    network = build_network(task, cell)
    parameters = {
        name: torch.zeros(1, *p.shape, dtype=torch.float64, requires_grad=p.trainable)
        for name, p in network.parameters().items()
    }
    inputs, targets, weights = stack_batches([batch], torch.device("cpu"))
    storages = {value.untyped_storage().data_ptr() for value in parameters.values()}
    tensors: dict[int, Tensor] = {}

    def save(x: Tensor) -> Tensor:
        # Tensors are held until all are counted: a freed one would give its address to another.
        tensors.setdefault(x.untyped_storage().data_ptr(), x)
        return x

    def loss(outputs: Tensor) -> Tensor:
        return task.losses(outputs, targets, weights)

    with saved_tensors_hooks(save, lambda x: x):
        loss_and_penalty(network, parameters, inputs, loss, run)
    return sum(x.untyped_storage().nbytes() for place, x in tensors.items() if place not in storages)
