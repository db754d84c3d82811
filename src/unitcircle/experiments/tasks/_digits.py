"""Handwritten digits of 8 × 8 pixels, read pixel by pixel, with or without a delay before the answer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from unitcircle.errors import ArgumentError, MissingExtraError
from unitcircle.experiments.tasks._task import Batch, Split, Task

TRAIN, VALIDATION = 1097, 200
"""Of the 1,797 digits, shuffled once by seed 0; the 500 that remain are the test set."""
PIXELS = 64


@dataclass(frozen=True)
class Digits(Task):
    """Classify a handwritten digit from its 64 pixels, read one by one.

    Scikit-learn's copy of the UCI digits (offline): 1,097 training, 200 validation and 500 test digits, with pixels
    scaled to [0, 1].

    References
    ----------
    E. Alpaydin, C. Kaynak, "Optical recognition of handwritten digits", UCI Machine Learning Repository (1998);
    after the sequential MNIST of Q. V. Le, N. Jaitly, G. E. Hinton, arXiv 1504.00941.

    Examples
    --------
    >>> Digits().inputs, Digits().outputs
    (1, 10)
    """

    name = "digits"
    inputs = 1
    outputs = 10
    baseline = 0.1
    threshold = 0.9
    blank: ClassVar[int] = 0

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        return self._batch(rng.integers(TRAIN, size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        bounds = (TRAIN, TRAIN + VALIDATION) if split == "validation" else (TRAIN + VALIDATION, len(_digits()[1]))
        yield self._batch(np.arange(*bounds))

    def _batch(self, chosen: np.ndarray) -> Batch:
        pixels, labels = _digits()
        inputs = np.zeros((PIXELS + self.blank, len(chosen), 1), np.float32)
        inputs[:PIXELS, :, 0] = pixels[chosen].T
        return Batch(inputs, labels[chosen])


@dataclass(frozen=True)
class DelayedDigits(Digits):
    """Classify a digit after a delay: the 64 pixels of :class:`Digits`, then blank steps (zeros), then the answer.

    Of the small tasks that we tried, this one separates initializers best: no short-range structure helps.

    Parameters
    ----------
    blank
        Blank steps after the last pixel.

    Examples
    --------
    >>> task = DelayedDigits(blank=100)
    >>> task.inputs, task.outputs
    (1, 10)
    """

    name = "delayed_digits"

    blank: int = 100  # pyright: ignore[reportIncompatibleVariableOverride]

    def __post_init__(self) -> None:
        if self.blank < 0:
            raise ArgumentError("blank", "must not be negative", str(self.blank))


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return pixels ``(1797, 64)`` and labels, shuffled once."""
    try:
        from sklearn.datasets import load_digits  # noqa: PLC0415  (an extra)
    except ImportError as error:
        raise MissingExtraError("the digits", "scikit-learn", "experiments") from error
    digits: Any = load_digits(return_X_y=True)
    pixels, labels = digits
    order = np.random.default_rng(0).permutation(len(labels))
    return (pixels[order] / 16).astype(np.float32), labels[order].astype(np.int64)
