"""A linear map to be learned: how the number of steps grows with depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np
import scipy

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._streams import held_out_generator
from unitcircle.experiments.tasks._task import Batch, Split, Task


@dataclass(frozen=True)
class DeepLinearMap(Task):
    r"""Learn the linear map of a teacher from one step of input, with a feed-forward stack of linear layers.

    .. math:: x \sim N(0, I_n), \qquad y = A x, \qquad A A^T = I_k

    A is the first k rows of a Haar-distributed orthogonal matrix, drawn with the seed. Every target has mean 0 and
    variance 1, so the score, the mean squared error, is a share of the variance; the constant answer 0 has the score 1.
    The threshold is 0.3; the result of interest is the number of steps to reach it as a function of the depth. There is
    no noise, so the error can reach 0. Training data are new at every step. There are 200 validation inputs, few
    enough to evaluate at every step, and 10,000 test inputs.

    Parameters
    ----------
    size
        n, numbers in an input.
    answers
        k, numbers in an answer.
    seed
        Of the teacher.

    References
    ----------
    A. M. Saxe, J. L. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", ICLR 2014, section 3.

    Examples
    --------
    >>> batch = DeepLinearMap(size=8, answers=2).sample(np.random.default_rng(0), 4)
    >>> batch.inputs.shape, batch.targets.shape
    ((1, 4, 8), (4, 2))
    """

    name = "deep_linear_map"
    classes = False
    higher_is_better = False
    unit = "mean squared error / variance"
    baseline = 1.0
    threshold = 0.3

    size: int = 64
    answers: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.answers <= self.size or self.size < 2:
            rule = "must be at least 1 and at most size, and size at least 2"
            raise ArgumentError("answers", rule, f"{self.answers}, size {self.size}")

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The size."""
        return self.size

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The answers."""
        return self.answers

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        x = rng.standard_normal((size, self.size), dtype=np.float32)
        return Batch(x[None], x @ _teacher(self).T)

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        rng = held_out_generator(self, split)
        yield self.sample(rng, 200 if split == "validation" else 10_000)


@cache
def _teacher(task: DeepLinearMap) -> np.ndarray:
    """Return A ``(k, n)``."""
    drawn = scipy.stats.ortho_group.rvs(task.size, random_state=np.random.default_rng(task.seed))
    return drawn[: task.answers].astype(np.float32)
