"""Copying memory: ten symbols to be repeated after a delay."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._streams import held_out_generator
from unitcircle.experiments.tasks._task import Batch, Split, Task

if TYPE_CHECKING:
    from torch import Tensor

SYMBOLS = 8
"""1 to 8; 0 is the blank and 9 the marker."""
LENGTH = 10
BLANK, MARKER = 0, 9


@dataclass(frozen=True)
class Copying(Task):
    r"""Repeat ten symbols of eight kinds after a delay.

    .. math:: x = (s_1, ..., s_{10}, \underbrace{0, ..., 0}_{T-1}, 9, \underbrace{0, ..., 0}_{10}), \qquad
              y = (\underbrace{0, ..., 0}_{T+10}, s_1, ..., s_{10}), \qquad s_i \sim U\{1, ..., 8\}

    T + 20 steps, ten input symbols, nine output symbols, one output per step. The score is the cross entropy, averaged
    over all steps. The baseline, 10·ln 8/(T + 20), is that of a network that knows when to output symbols but not
    which. The threshold is a tenth of it, 0.21 nats per symbol. Training data are new at every step. There are 1,000
    validation and 5,000 test sequences.

    Parameters
    ----------
    delay
        T, from the last symbol to the marker, time steps.

    References
    ----------
    S. Hochreiter, J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997); M. Arjovsky, A. Shah,
    Y. Bengio, "Unitary evolution recurrent neural networks", ICML 2016, section 5.1.

    Examples
    --------
    >>> batch = Copying(delay=5).sample(np.random.default_rng(0), 4)
    >>> batch.inputs.shape, batch.targets.shape
    ((25, 4), (25, 4))
    """

    name = "copying"
    every_step = True
    higher_is_better = False
    unit = "cross entropy, nats a step"
    inputs = SYMBOLS + 2
    outputs = SYMBOLS + 1

    delay: int = 20

    def __post_init__(self) -> None:
        if self.delay < 1:
            raise ArgumentError("delay", "must be at least 1 step", str(self.delay))

    @property
    def baseline(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """10·ln 8/(T + 20)."""
        return LENGTH * math.log(SYMBOLS) / (self.delay + 2 * LENGTH)

    @property
    def threshold(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """A tenth of the baseline."""
        return self.baseline / 10

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        inputs = np.full((self.delay + 2 * LENGTH, size), BLANK)
        answers = inputs.copy()
        inputs[:LENGTH] = answers[-LENGTH:] = rng.integers(1, SYMBOLS + 1, size=(LENGTH, size))
        inputs[-LENGTH - 1] = MARKER
        return Batch(inputs, answers)

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        rng = held_out_generator(self, split)
        for _ in range(1 if split == "validation" else 5):
            yield self.sample(rng, 1000)

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        return self.losses(outputs, targets, weights)
