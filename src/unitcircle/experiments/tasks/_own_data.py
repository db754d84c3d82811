"""Sequences of the user's as a task."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.experiments.tasks._task import Batch, Split, Task

Metric = Callable[[np.ndarray, np.ndarray], float]
"""``metric(targets, predictions)``, in scikit-learn's order: class numbers ``(K,)``, or numbers ``(K, outputs)``."""
Data = tuple[Any, Any] | Iterable[tuple[Any, Any]]
"""Arrays (x, y) with the sequences in front, or an iterable of pairs (x, y), one a sequence."""

HELD_OUT_BATCH = 1000


@dataclass(frozen=True, eq=False)
class _Part:
    """Sequences of one part: inputs ``(N, T, ...)``, answers ``(N, ...)`` or ``(N, T, ...)``, lengths ``(N,)``."""

    x: np.ndarray
    y: np.ndarray
    lengths: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        return self.x, self.y, self.lengths


@dataclass(frozen=True, eq=False)
class _Set:
    """All that :func:`from_data` was given."""

    train: _Part
    validation: _Part
    test: _Part
    inputs: int
    outputs: int
    classes: bool
    answers_every_step: bool
    metric: Metric | None
    unit: str
    higher_is_better: bool
    baseline: float
    threshold: float

    @cached_property
    def padded(self) -> bool:
        """Whether the sequences differ in length."""
        lengths = [part.lengths for part in (self.train, self.validation, self.test)]
        return any(len(np.unique(each)) > 1 for each in lengths)


_SETS: dict[str, _Set] = {}


@dataclass(frozen=True)
class OwnData(Task):
    """Sequences that :func:`from_data` was given, named by their content.

    The text of this task can be read back in the process that holds the data, and in no other: a study, whose runs
    have processes of their own, uses ``module(factory=...)``.

    Parameters
    ----------
    digest
        Of the data and of what is asked about them.
    """

    name = "data"

    digest: str = ""

    def __post_init__(self) -> None:
        if self.digest not in _SETS:
            remedy = "Call from_data first; in a study file write module(factory='package.module:function')."
            raise ArgumentError("digest", "must be that of data in this process", repr(self.digest), remedy)

    @property
    def _set(self) -> _Set:
        return _SETS[self.digest]

    @property
    def every_step(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether every step answers; where lengths differ, the weights say which one counts."""
        return self._set.answers_every_step or self._set.padded

    @property
    def classes(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As given."""
        return self._set.classes

    @property
    def higher_is_better(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As given."""
        return self._set.higher_is_better

    @property
    def unit(self) -> str:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As given."""
        return self._set.unit

    @property
    def inputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As found in the data."""
        return self._set.inputs

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As found in the data."""
        return self._set.outputs

    @property
    def baseline(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As given."""
        return self._set.baseline

    @property
    def threshold(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """As given."""
        return self._set.threshold

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        train = self._set.train
        return self._batch(train, rng.integers(len(train.lengths), size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        part = self._set.validation if split == "validation" else self._set.test
        for first in range(0, len(part.lengths), HELD_OUT_BATCH):
            yield self._batch(part, np.arange(first, min(first + HELD_OUT_BATCH, len(part.lengths))))

    def _batch(self, part: _Part, chosen: np.ndarray) -> Batch:
        x, y = part.x[chosen].swapaxes(0, 1), part.y[chosen]
        if self._set.answers_every_step:
            y = y.swapaxes(0, 1)
        if not self._set.padded:
            return Batch(x, y)
        time, lengths = np.arange(len(x))[:, None], part.lengths[chosen]
        asked = time < lengths if self._set.answers_every_step else time == lengths - 1
        if not self._set.answers_every_step:
            y = np.broadcast_to(y, (len(x), *y.shape))
        return Batch(x, y, asked.astype(np.float32))

    @property
    def whole(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """With a metric: balanced accuracy, F1 or R² of parts do not average to that of all."""
        return self._set.metric is not None

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        if self._set.metric is None:
            return super().scores(outputs, targets, weights)
        return self.score_of_all([(outputs, targets, weights)])

    def score_of_all(self, parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], /) -> Tensor:
        metric = self._set.metric
        if metric is None:
            return super().score_of_all(parts)
        runs = range(len(parts[0][0]))
        return torch.tensor([float(metric(*self._asked(parts, run))) for run in runs], dtype=torch.float64)

    def _asked(self, parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], run: int) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and predictions of one run, where an answer is asked for."""
        pairs: list[list[Tensor]] = []
        for outputs, targets, weights in parts:
            predictions = outputs[run].argmax(-1) if self.classes else outputs[run]
            asked = ... if weights is None else weights[run] > 0
            pairs.append([targets[run][asked], predictions[asked]])
        flat = [[x.flatten() if self.classes else x.flatten(0, -2) for x in pair] for pair in pairs]
        true, predicted = (torch.cat(column).cpu().numpy() for column in zip(*flat, strict=True))
        return true, predicted


def from_data(  # noqa: PLR0913  (each is one fact about the data)
    train: Data,
    validation: Data,
    test: Data,
    *,
    classes: int | None = None,
    symbols: int | None = None,
    every_step: bool = False,
    metric: Metric | None = None,
    unit: str | None = None,
    higher_is_better: bool | None = None,
    baseline: float = math.nan,
    threshold: float = math.nan,
) -> OwnData:
    """Make a task of sequences that are there already.

    Parameters
    ----------
    train, validation, test
        Either a tuple of arrays (x, y), x of shape ``(N, T, m)``, or ``(N, T)`` for integers, y ``(N,)`` or
        ``(N, outputs)``, with a time axis after the first one if every step answers; or an iterable of pairs
        (x, y) without the N, whose lengths T may differ.
    classes
        The number of classes, numbered from 0; None: the answers are numbers, with the mean squared error as loss.
    symbols
        m for integer inputs below it, which stand for unit vectors; None: the inputs are numbers.
    every_step
        Whether an answer is asked at every step, or after the last one only.
    metric
        The score, ``metric(targets, predictions)``; None: accuracy or mean squared error. It is called once for
        all held-out answers of a run. The task knows it by its name: rename what you change.
    unit
        What the score is; by default the metric's name.
    higher_is_better
        Whether a larger score is better; must be given with a metric.
    baseline, threshold
        Scores of no skill and of success, NaN where they are not known.

    Returns
    -------
    Task
        Named by the content of all this: equal data make an equal task.

    Raises
    ------
    ArgumentError
        A metric that is no function or whose direction is not given, a number of classes or symbols that is none, or
        a part that is no data or without sequences.
    DtypeError
        Complex numbers, texts, or other numbers where integers are needed.
    NotFiniteError
        A NaN or an infinity among the data.
    ShapeError
        The parts do not match.
    """
    for argument, count in (("classes", classes), ("symbols", symbols)):
        # A truth value is an integer to Python.
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral) or count < 1):
            raise ArgumentError(argument, "must be a whole number from 1 on, or none", repr(count))
    if metric is not None and not callable(metric):
        raise ArgumentError("metric", "must be a function of targets and predictions", repr(metric))
    if metric is not None and higher_is_better is None:
        raise ArgumentError("higher_is_better", "must be given with a metric", "none")
    parts = [
        _part(data, name, classes=classes, symbols=symbols, every_step=every_step)
        for name, data in (("train", train), ("validation", validation), ("test", test))
    ]
    for name, part in zip(("validation", "test"), parts[1:], strict=True):
        if part.x.shape[2:] != parts[0].x.shape[2:] or (part.y.shape[-1:] != parts[0].y.shape[-1:] and classes is None):
            arrived = f"x {part.x.shape}, y {part.y.shape} beside x {parts[0].x.shape}, y {parts[0].y.shape}"
            raise ShapeError(name, "must have the features and answers of the training data", arrived)
    default = "accuracy" if classes is not None else "mean squared error"
    made = _Set(
        *parts,
        inputs=symbols if symbols is not None else parts[0].x.shape[-1],
        outputs=classes if classes is not None else parts[0].y.shape[-1],
        classes=classes is not None,
        answers_every_step=every_step,
        metric=metric,
        unit=unit or (default if metric is None else getattr(metric, "__name__", "score")),
        higher_is_better=classes is not None if higher_is_better is None else higher_is_better,
        baseline=float(baseline),
        threshold=float(threshold),
    )
    digest = _digest(made)
    _SETS[digest] = made
    return OwnData(digest)


def _part(data: Data, name: str, *, classes: int | None, symbols: int | None, every_step: bool) -> _Part:
    """Return one part as arrays, checked, shorter sequences followed by zeros."""
    x, y = _sequences(data, name)
    if not x or len(x) != len(y):
        raise ArgumentError(name, "must hold at least one sequence, and an answer for each", f"{len(x)} and {len(y)}")
    if classes is None:
        y = [each[..., None] if each.ndim == int(every_step) else each for each in y]
    axes = 1 + (symbols is None), int(every_step) + (classes is None)
    for each, answer in zip(x, y, strict=True):
        if (each.ndim, answer.ndim) != axes or len(each) == 0 or (every_step and len(answer) != len(each)):
            rule = f"must hold sequences of {axes[0]} axes and at least one step, with answers of {axes[1]} axes"
            raise ShapeError(name, rule, f"x {each.shape} with y {answer.shape}")
    lengths = np.array([len(each) for each in x])
    try:
        part = _Part(_joined(x), _joined(y) if every_step else np.stack(y), lengths)
    except ValueError as error:
        raise ShapeError(name, "must hold sequences that differ in length only", str(error)) from error
    integers = _integers(part.x, symbols, f"{name} x"), _integers(part.y, classes, f"{name} y")
    return _Part(*integers, lengths)


def _sequences(data: Any, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return inputs and answers, one a sequence."""
    if isinstance(data, tuple) and len(data) == 2 and all(getattr(each, "shape", ()) for each in data):
        x, y = (list(np.asarray(each)) for each in data)
        return x, y
    rule, remedy = "must be a tuple of arrays (x, y), or an iterable of pairs (x, y)", ""
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(each, list) for each in data):
        arrived, remedy = "a tuple of lists", "Make arrays of them, or pairs: zip(xs, ys)."
        raise ArgumentError(name, rule, arrived, remedy)
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | Mapping):
        raise ArgumentError(name, rule, type(data).__name__)
    x, y = [], []
    for pair in data:
        if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
            raise ArgumentError(name, rule, f"an iterable of {type(pair).__name__}")
        try:
            arrays = [np.asarray(each) for each in pair]
        except ValueError as error:
            raise ShapeError(name, "must hold sequences whose steps are of one size", str(error)) from error
        x.append(arrays[0])
        y.append(arrays[1])
    return x, y


def _joined(sequences: list[np.ndarray]) -> np.ndarray:
    length = max(map(len, sequences))
    widths = [[(0, length - len(each))] + [(0, 0)] * (each.ndim - 1) for each in sequences]
    return np.stack([np.pad(each, width) for each, width in zip(sequences, widths, strict=True)])


def _integers(array: np.ndarray, below: int | None, argument: str) -> np.ndarray:
    """Return integers, checked against their bound, or finite numbers in single precision."""
    if below is None:
        if array.dtype.kind not in "biuf":
            raise DtypeError(argument, "must be real numbers", str(array.dtype))
        with np.errstate(over="ignore"):
            numbers = array.astype(np.float32)
        if not np.isfinite(numbers).all():
            raise NotFiniteError(argument, "must be finite in single precision", "NaN, an infinity, or larger numbers")
        return numbers
    if not np.issubdtype(array.dtype, np.integer):
        raise DtypeError(argument, "must be integers", str(array.dtype))
    if array.min() < 0 or array.max() >= below:
        raise ArgumentError(argument, f"must be at least 0 and below {below}", f"{array.min()} to {array.max()}")
    return array.astype(np.int64)


def _digest(made: _Set) -> str:
    settings = [made.inputs, made.outputs, made.classes, made.answers_every_step, made.unit, made.higher_is_better]
    settings += [made.baseline, made.threshold, getattr(made.metric, "__qualname__", repr(type(made.metric)))]
    digest = hashlib.sha256(repr(settings).encode())
    for part in (made.train, made.validation, made.test):
        for array in part.arrays():
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
