"""The adding problem: the sum of two numbers that are far apart."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._streams import held_out_generator
from unitcircle.experiments.tasks._task import Batch, Split, Task


@dataclass(frozen=True)
class Adding(Task):
    r"""Add the two marked numbers of a sequence.

    .. math:: x_t = (u_t, m_t), \quad u_t \sim U(0, 1), \quad y = \sum_t m_t u_t

    One number is marked (m = 1) in the first half of the sequence, one in the second. The constant answer 1 has the
    mean squared error 1/6. Training data are new at every step. There are 2,000 validation and 10,000 test sequences
    (on 512 test sequences the score of the constant answer would vary between .154 and .172).

    Parameters
    ----------
    length
        T, time steps.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997), experiment 4;
    M. Arjovsky, A. Shah, Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016, section 5.2.

    Examples
    --------
    >>> batch = Adding(length=10).sample(np.random.default_rng(0), 4)
    >>> batch.inputs.shape, batch.targets.shape
    ((10, 4, 2), (4, 1))
    """

    name = "adding"
    classes = False
    higher_is_better = False
    unit = "mean squared error"
    inputs = 2
    outputs = 1
    baseline = 1 / 6
    threshold = 0.01

    length: int = 50

    def __post_init__(self) -> None:
        if self.length < 2:
            raise ArgumentError("length", "must be at least 2", str(self.length))

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        numbers = rng.random((self.length, size), dtype=np.float32)
        half, columns = self.length // 2, np.arange(size)
        marks = np.zeros_like(numbers)
        first, second = rng.integers(half, size=size), rng.integers(half, self.length, size=size)
        marks[first, columns] = marks[second, columns] = 1
        answer = numbers[first, columns] + numbers[second, columns]
        return Batch(np.stack([numbers, marks], -1), answer[:, None])

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        rng = held_out_generator(self, split)
        for _ in range(2 if split == "validation" else 10):
            yield self.sample(rng, 1000)
