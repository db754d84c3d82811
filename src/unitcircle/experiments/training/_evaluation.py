"""Loss and score on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.models import AnyNetwork, EncoderDecoder, Parameters
from unitcircle.experiments.tasks import Batch, Split, Task

if TYPE_CHECKING:
    from unitcircle.experiments.tasks import Translation

NUMBERS = (2**19, 2**24)
"""Numbers of the states of one run that a part of the held-out data may have: of a processor's cache, of a GPU."""
FEWEST = 32
"""Sequences in a part, however long they are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Loss and score of every run ``(R,)``."""

    loss: np.ndarray
    score: np.ndarray


def stacked(batches: Sequence[Batch], device: torch.device, /) -> tuple[Tensor, Tensor, Tensor | None]:
    """Return the batches of R runs as inputs, targets and weights with R in front.

    Parameters
    ----------
    batches
        One a run, all of one shape.
    device
        Where to.

    Returns
    -------
    tuple
        ``(R, T, B, m)``, ``(R, B, ...)`` or ``(R, T, B, ...)``, and the weights or None.
    """
    inputs = torch.from_numpy(np.stack([batch.inputs for batch in batches])).to(device)
    targets = torch.from_numpy(np.stack([batch.targets for batch in batches])).to(device)
    weights = [batch.weights for batch in batches if batch.weights is not None]
    return inputs, targets, torch.from_numpy(np.stack(weights)).to(device) if weights else None


def width_of_part(steps: int, size: int, device: torch.device, /) -> int:
    """Return how many sequences of so many steps a part of the held-out data has at most, for n units."""
    return max(FEWEST, NUMBERS[device.type == "cuda"] // (steps * size))


def axis_of_sequences(task: Task, targets: np.ndarray | Tensor, /) -> int:
    """Return the axis of targets that counts sequences: the last, or the one before the numbers of an answer."""
    return targets.ndim - (1 if task.classes else 2)


def held_out_data(
    task: Task, split: Split, device: torch.device, /, *, size: int
) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Return the validation or test data on a device, as :func:`stacked` with R = 1: all runs see the same."""
    parts: list[tuple[Tensor, Tensor, Tensor | None]] = []
    for batch in task.held_out(split):
        width = width_of_part(len(batch.inputs), size, device)
        inputs, targets, weights = stacked([batch], device)
        axis = axis_of_sequences(task, targets)
        pieces = [x if x is None else x.split(width, a) for x, a in ((inputs, 2), (targets, axis), (weights, axis))]
        parts += zip(*(piece or [None] * len(pieces[0] or ()) for piece in pieces), strict=True)
    return parts


@torch.no_grad()
def evaluate(
    network: AnyNetwork,
    parameters: Parameters,
    task: Task,
    data: Sequence[tuple[Tensor, Tensor, Tensor | None]],
    /,
) -> Evaluation:
    """Return loss and score of every run over held-out data, each answer counted alike; BLEU and the like, of all."""
    runs = len(next(iter(parameters.values())))
    total, count = np.zeros((2, runs)), 0.0
    parts: list[tuple[Tensor, Tensor, Tensor | None]] = []
    measures = (task.losses,) if task.whole else (task.losses, task.scores)
    for inputs, targets, weights in data:
        outputs = network.outputs_of(parameters, inputs.expand(runs, *inputs.shape[1:]))
        shared = targets.expand(runs, *targets.shape[1:])
        each = None if weights is None else weights.expand(runs, *weights.shape[1:])
        answers = targets.numel() if task.classes else targets.numel() // targets.shape[-1]
        share = float(answers if weights is None else weights.sum())
        for row, measure in enumerate(measures):
            total[row] += share * measure(outputs.float(), shared, each).double().cpu().numpy()
        count += share
        if task.whole:
            parts.append((outputs.float(), shared, each))
    loss, score = total / count
    if task.whole:
        score = task.score_of_all(parts).cpu().numpy()
    if isinstance(network, EncoderDecoder) and hasattr(task, "corpus_score"):
        # A translation, or what stands for one.
        score = _bleu(network, parameters, cast("Translation", task), data)
    return Evaluation(loss, score)


def _bleu(
    network: EncoderDecoder,
    parameters: Parameters,
    task: Translation,
    data: Sequence[tuple[Tensor, Tensor, Tensor | None]],
) -> np.ndarray:
    runs = len(next(iter(parameters.values())))
    references: list[str] = []
    hypotheses: list[list[str]] = [[] for _ in range(runs)]
    for inputs, targets, _ in data:
        answers = network.translate(parameters, inputs.expand(runs, *inputs.shape[1:])).cpu().numpy()
        references += task.decode(targets[0].cpu().numpy())
        for own, answer in zip(hypotheses, answers, strict=True):
            own.extend(task.decode(answer))
    return np.array([task.corpus_score(own, references) for own in hypotheses])
