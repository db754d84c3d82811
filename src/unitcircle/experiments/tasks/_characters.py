"""A character language model of the user's text."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._content import digest_of, read_checked
from unitcircle.experiments.tasks._task import Batch, Split, Task

if TYPE_CHECKING:
    from torch import Tensor

UNKNOWN = 0
"""Stands for every character that is not in the training part."""
HELD_OUT_BATCH = 256


@dataclass(frozen=True)
class CharacterLanguageModel(Task):
    r"""Predict every next character of a text.

    .. math:: \frac{1}{N \ln 2} \sum_t -\ln p(c_{t+1} \mid c_{t-length+1}, ..., c_t) \quad \text{bits per character}

    A UTF-8 file, split in order: the first 90 % are training data, the next 5 % validation data, the last 5 % test
    data. The vocabulary is that of the training part, plus one symbol for all other characters. Training windows begin
    anywhere; held-out windows follow each other without overlap, each from the zero state (carrying the state from
    window to window would give a slightly better score); a last part shorter than a window is left out. The baseline is
    the score of the character frequencies of the training part, with one added to each count.

    Parameters
    ----------
    path
        Path of the text file.
    length
        Characters in a window.
    digest
        Of the text's content, filled in if it is empty; otherwise the file is checked when it is read. In the key of a
        run it stands for the data, wherever they are.

    References
    ----------
    T. Mikolov et al., "Subword language modeling with neural networks" (2012), for the measure.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     text = Path(folder) / "text.txt"
    ...     _ = text.write_text("the cat sat on the mat. " * 100)
    ...     task = CharacterLanguageModel(path=str(text), length=20)
    ...     task.inputs, task.unit
    (12, 'bits per character')
    """

    name = "character_language_model"
    every_step = True
    higher_is_better = False
    unit = "bits per character"

    places = ("path",)

    path: str = ""
    length: int = 100
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ArgumentError("path", "must name a text file", "none")
        if self.length < 1:
            raise ArgumentError("length", "must be at least 1 character", str(self.length))
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(read_checked(self.path, "", what="a text file")))

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The size of the vocabulary."""
        return _text(self).symbols

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The size of the vocabulary."""
        return self.inputs

    @property
    def baseline(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Bits per character of the test windows under the frequencies of the training part."""
        counts = np.bincount(_text(self).train, minlength=self.inputs) + 1
        bits = -np.log2(counts / counts.sum())
        return float(bits[np.concatenate([batch.targets.ravel() for batch in self.held_out("test")])].mean())

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        train = _text(self).train
        return self._windows(train, rng.integers(len(train) - self.length, size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        text = _text(self)
        part = text.validation if split == "validation" else text.test
        starts = np.arange(0, len(part) - self.length, self.length)
        for first in range(0, len(starts), HELD_OUT_BATCH):
            yield self._windows(part, starts[first : first + HELD_OUT_BATCH])

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        return self.losses(outputs, targets, weights) / math.log(2)

    def _windows(self, part: np.ndarray, starts: np.ndarray) -> Batch:
        window = part[starts + np.arange(self.length + 1)[:, None]]
        return Batch(window[:-1], window[1:])


class _Text(NamedTuple):
    """The three parts as numbers, and the size of the vocabulary."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    symbols: int


@cache
def _text(task: CharacterLanguageModel) -> _Text:
    try:
        text = read_checked(task.path, task.digest, what="a text file").decode()
    except UnicodeDecodeError as error:
        raise ArgumentError("path", "must name a text in UTF-8", f"{task.path} ({error})") from error
    codes = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    bounds = [len(codes) * 90 // 100, len(codes) * 95 // 100]
    train, validation, test = np.split(codes, bounds)
    if min(len(validation), len(test)) <= task.length:
        rule = f"must hold more than {task.length} characters in every twentieth part"
        raise ArgumentError("path", rule, f"{task.path} with {len(codes)}", "Pass a smaller length or a longer text.")
    alphabet = np.unique(train)

    def numbers(part: np.ndarray) -> np.ndarray:
        return np.where(np.isin(part, alphabet), np.searchsorted(alphabet, part) + 1, UNKNOWN)

    return _Text(numbers(train), numbers(validation), numbers(test), len(alphabet) + 1)
