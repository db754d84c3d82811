"""Loss and score on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.models import AnyNetwork, EncoderDecoder, Parameters
from unitcircle.experiments.tasks import Batch, Split, Task, Translation

NUMBERS = (2**19, 2**24)
"""Largest number of state entries of one run in a part of the held-out data: on a CPU (its cache), on a GPU."""
FEWEST = 32
"""Sequences in a part at least, however long they are."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """Loss and score of every run ``(R,)``."""

    loss: np.ndarray
    score: np.ndarray


def stack_batches(batches: Sequence[Batch], device: torch.device, /) -> tuple[Tensor, Tensor, Tensor | None]:
    """Stack the batches of R runs.

    Parameters
    ----------
    batches
        One for each run, all of one shape.
    device
        Where the result is.

    Returns
    -------
    tuple
        Inputs ``(R, T, B, m)``, targets ``(R, B, ...)`` or ``(R, T, B, ...)``, and the weights or None.

    Examples
    --------
    >>> import numpy as np, torch
    >>> from unitcircle.experiments.tasks import Adding
    >>> batches = [Adding(length=10).sample(np.random.default_rng(seed), 4) for seed in range(3)]
    >>> inputs, targets, weights = stack_batches(batches, torch.device("cpu"))
    >>> inputs.shape, targets.shape, weights
    (torch.Size([3, 10, 4, 2]), torch.Size([3, 4, 1]), None)
    """
    inputs = torch.from_numpy(np.stack([batch.inputs for batch in batches])).to(device)
    targets = torch.from_numpy(np.stack([batch.targets for batch in batches])).to(device)
    weights = [batch.weights for batch in batches if batch.weights is not None]
    return inputs, targets, torch.from_numpy(np.stack(weights)).to(device) if weights else None


def sequences_per_part(steps: int, size: int, device: torch.device, /) -> int:
    """Return how many sequences of held-out data are evaluated at once.

    Their states fit a processor's cache, or a share of a GPU's memory.

    Parameters
    ----------
    steps
        T, the length of the sequences.
    size
        n, the number of units.
    device
        Where they are evaluated.

    Returns
    -------
    int
        32 at least.

    Examples
    --------
    >>> import torch
    >>> few, many = (sequences_per_part(steps, 64, torch.device("cpu")) for steps in (10_000, 100))
    >>> few < many
    True
    """
    return max(FEWEST, NUMBERS[device.type == "cuda"] // (steps * size))


def sequence_axis(task: Task, targets: np.ndarray | Tensor, /) -> int:
    """Return the axis of targets that counts sequences.

    Parameters
    ----------
    task
        The task.
    targets
        Those of a batch, ``(..., B)`` for classes, ``(..., B, outputs)`` for numbers.

    Returns
    -------
    int
        Counted from the front.

    Examples
    --------
    >>> import numpy as np
    >>> from unitcircle.experiments.tasks import Adding, Copying
    >>> sequence_axis(Adding(), np.zeros((32, 1))), sequence_axis(Copying(), np.zeros((40, 32)))  # numbers, classes
    (0, 1)
    """
    return targets.ndim - (1 if task.classes else 2)


def held_out_data(
    task: Task, split: Split, device: torch.device, /, *, size: int
) -> list[tuple[Tensor, Tensor, Tensor | None]]:
    """Return the validation or test data on a device, as :func:`stack_batches` with R = 1: all runs see the same."""
    parts: list[tuple[Tensor, Tensor, Tensor | None]] = []
    for batch in task.held_out(split):
        width = sequences_per_part(len(batch.inputs), size, device)
        inputs, targets, weights = stack_batches([batch], device)
        axis = sequence_axis(task, targets)
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
    """Return loss and score of every run over held-out data: means over the answers, or the score of all together."""
    runs = len(next(iter(parameters.values())))
    total, count = np.zeros((2, runs)), 0.0
    parts: list[tuple[Tensor, Tensor, Tensor | None]] = []
    measures = (task.losses,) if task.whole else (task.losses, task.scores)
    for inputs, targets, weights in data:
        outputs = network.outputs_of(parameters, inputs.expand(runs, *inputs.shape[1:]))
        shared = targets.expand(runs, *targets.shape[1:])
        shared_weights = None if weights is None else weights.expand(runs, *weights.shape[1:])
        answers = targets.numel() if task.classes else targets.numel() // targets.shape[-1]
        share = float(answers if weights is None else weights.sum())
        for row, measure in enumerate(measures):
            total[row] += share * measure(outputs.float(), shared, shared_weights).double().cpu().numpy()
        count += share
        if task.whole:
            parts.append((outputs.float(), shared, shared_weights))
    loss, score = total / count
    if task.whole:
        score = task.score_of_all(parts).cpu().numpy()
    if isinstance(network, EncoderDecoder) and isinstance(task, Translation):
        score = _bleu(network, parameters, task, data)
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
        for sentences, answer in zip(hypotheses, answers, strict=True):
            sentences.extend(task.decode(answer))
    return np.array([task.corpus_score(sentences, references) for sentences in hypotheses])
