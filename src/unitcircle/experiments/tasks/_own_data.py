"""A user's own sequences as a task."""

# The attributes that a task's class states are fields here: what they are depends on the data.
# pyright: reportIncompatibleVariableOverride=false

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, fields, replace
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.experiments._torch import torch
from unitcircle.experiments.tasks._task import Batch, Split, Task

if TYPE_CHECKING:
    from torch import Tensor

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

    def __len__(self) -> int:
        return len(self.lengths)


def _no_sequences() -> _Part:
    return _Part(np.empty((0, 0, 0), np.float32), np.empty((0, 0), np.float32), np.empty(0, np.int64))


_TASKS: dict[str, OwnData] = {}


@dataclass(frozen=True)
class OwnData(Task):
    """Sequences passed to :func:`from_data`, identified by a digest of their content.

    The text of this task can be parsed only in the process that holds the data. A study, whose runs are trained in
    other processes, uses ``module(factory=...)`` instead.

    Parameters
    ----------
    digest
        Of the data and all options of :func:`from_data`: the only parameter in the text, and the only one compared. The
        other parameters are set by :func:`from_data`; with the digest alone, the task is looked up in this process.
    """

    name = "data"

    digest: str = ""
    _: KW_ONLY
    train: _Part = field(default_factory=_no_sequences, compare=False, repr=False)
    validation: _Part = field(default_factory=_no_sequences, compare=False, repr=False)
    test: _Part = field(default_factory=_no_sequences, compare=False, repr=False)
    inputs: int = field(default=0, compare=False, repr=False)
    outputs: int = field(default=0, compare=False, repr=False)
    classes: bool = field(default=True, compare=False, repr=False)
    answers_every_step: bool = field(default=False, compare=False, repr=False)
    metric: Metric | None = field(default=None, compare=False, repr=False)
    unit: str = field(default="", compare=False, repr=False)
    higher_is_better: bool = field(default=True, compare=False, repr=False)
    baseline: float = field(default=math.nan, compare=False, repr=False)
    threshold: float = field(default=math.nan, compare=False, repr=False)

    def __post_init__(self) -> None:
        if len(self.train):
            return
        if self.digest not in _TASKS:
            remedy = "Call from_data first; in a study file write module(factory='package.module:function')."
            raise ArgumentError("digest", "must be that of data in this process", repr(self.digest), remedy)
        for attribute in fields(self):
            object.__setattr__(self, attribute.name, getattr(_TASKS[self.digest], attribute.name))

    @cached_property
    def padded(self) -> bool:
        """Whether the sequences of a part differ in length."""
        return any(len(np.unique(part.lengths)) > 1 for part in (self.train, self.validation, self.test))

    @property
    def every_step(self) -> bool:
        """Whether there is an output at every step; if lengths differ, the weights select the last one."""
        return self.answers_every_step or self.padded

    @property
    def whole(self) -> bool:
        """With a metric: balanced accuracy, F1 or R² of parts do not average to that of all."""
        return self.metric is not None

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        return self._batch(self.train, rng.integers(len(self.train), size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        part = self.validation if split == "validation" else self.test
        for first in range(0, len(part), HELD_OUT_BATCH):
            yield self._batch(part, np.arange(first, min(first + HELD_OUT_BATCH, len(part))))

    def _batch(self, part: _Part, chosen: np.ndarray) -> Batch:
        x, y = part.x[chosen].swapaxes(0, 1), part.y[chosen]
        if self.answers_every_step:
            y = y.swapaxes(0, 1)
        if not self.padded:
            return Batch(x, y)
        time, lengths = np.arange(len(x))[:, None], part.lengths[chosen]
        answered = time < lengths if self.answers_every_step else time == lengths - 1
        if not self.answers_every_step:
            y = np.broadcast_to(y, (len(x), *y.shape))
        return Batch(x, y, answered.astype(np.float32))

    def scores(self, outputs: Tensor, targets: Tensor, weights: Tensor | None, /) -> Tensor:
        if self.metric is None:
            return super().scores(outputs, targets, weights)
        return self.score_of_all([(outputs, targets, weights)])

    def score_of_all(self, parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], /) -> Tensor:
        metric = self.metric
        if metric is None:
            return super().score_of_all(parts)
        runs = range(len(parts[0][0]))
        return torch.tensor([float(metric(*self._answers(parts, run))) for run in runs], dtype=torch.float64)

    def _answers(
        self, parts: Sequence[tuple[Tensor, Tensor, Tensor | None]], run: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return targets and predictions of one run, ``(K,)`` or ``(K, outputs)``, where the weight is not 0."""
        pairs: list[list[Tensor]] = []
        for outputs, targets, weights in parts:
            predictions = outputs[run].argmax(-1) if self.classes else outputs[run]
            places = ... if weights is None else weights[run] > 0
            pairs.append([targets[run][places], predictions[places]])
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
    """Make a task from your own sequences.

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
        Whether there is a target at every step, or only after the last one.
    metric
        The score, ``metric(targets, predictions)``; None: accuracy or mean squared error. It is called once for
        all held-out answers of a run. The digest holds its name only: rename a metric that you change.
    unit
        Name of the score, with its unit; by default the metric's name.
    higher_is_better
        Whether a larger score is better; must be given with a metric.
    baseline, threshold
        Score of the best answer without the input, and score from which the task counts as solved; NaN if unknown.

    Returns
    -------
    Task
        Its digest covers the data and all options: equal arguments make equal tasks.

    Raises
    ------
    ArgumentError
        ``metric`` is not a function, or ``higher_is_better`` is missing; ``classes`` or ``symbols`` is not a positive
        integer; or a part holds no sequences.
    DtypeError
        The data are complex, texts, or not integers where integers are needed.
    NotFiniteError
        The data hold a NaN or an infinity.
    ShapeError
        Sequences or parts have shapes that do not fit together.

    Examples
    --------
    >>> x = np.random.default_rng(0).standard_normal((10, 6, 2))
    >>> y = (x[:, 0, 0] > 0).astype(int)
    >>> task = from_data((x, y), (x, y), (x, y), classes=2)
    >>> task.sample(np.random.default_rng(0), 4).inputs.shape
    (6, 4, 2)
    """
    for argument, count in (("classes", classes), ("symbols", symbols)):
        # A bool is an int to Python.
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
    task = OwnData(
        train=parts[0],
        validation=parts[1],
        test=parts[2],
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
    task = replace(task, digest=_digest(task))
    _TASKS[task.digest] = task
    return task


def _part(data: Data, name: str, *, classes: int | None, symbols: int | None, every_step: bool) -> _Part:
    """Return one part as arrays, checked, shorter sequences followed by zeros."""
    x, y = _sequences(data, name)
    if not x or len(x) != len(y):
        raise ArgumentError(name, "must hold at least one sequence, and an answer for each", f"{len(x)} and {len(y)}")
    if classes is None:
        y = [answer[..., None] if answer.ndim == int(every_step) else answer for answer in y]
    axes = 1 + (symbols is None), int(every_step) + (classes is None)
    for sequence, answer in zip(x, y, strict=True):
        if (sequence.ndim, answer.ndim) != axes or len(sequence) == 0 or (every_step and len(answer) != len(sequence)):
            rule = f"must hold sequences of {axes[0]} axes and at least one step, with answers of {axes[1]} axes"
            raise ShapeError(name, rule, f"x {sequence.shape} with y {answer.shape}")
    lengths = np.array([len(sequence) for sequence in x])
    try:
        part = _Part(_pad(x), _pad(y) if every_step else np.stack(y), lengths)
    except ValueError as error:
        raise ShapeError(name, "must hold sequences that differ in length only", str(error)) from error
    return _Part(_numbers(part.x, symbols, f"{name} x"), _numbers(part.y, classes, f"{name} y"), lengths)


def _sequences(data: Any, name: str) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return inputs and answers, one a sequence."""
    if isinstance(data, tuple) and len(data) == 2 and all(getattr(array, "shape", ()) for array in data):
        x, y = (list(np.asarray(array)) for array in data)
        return x, y
    rule, remedy = "must be a tuple of arrays (x, y), or an iterable of pairs (x, y)", ""
    if isinstance(data, tuple) and len(data) == 2 and all(isinstance(item, list) for item in data):
        arrived, remedy = "a tuple of lists", "Make arrays of them, or pairs: zip(xs, ys)."
        raise ArgumentError(name, rule, arrived, remedy)
    if not isinstance(data, Iterable) or isinstance(data, str | bytes | Mapping):
        raise ArgumentError(name, rule, type(data).__name__)
    x, y = [], []
    for pair in data:
        if not isinstance(pair, Sequence) or isinstance(pair, str | bytes) or len(pair) != 2:
            raise ArgumentError(name, rule, f"an iterable of {type(pair).__name__}")
        try:
            arrays = [np.asarray(item) for item in pair]
        except ValueError as error:
            raise ShapeError(name, "must hold sequences whose steps are of one size", str(error)) from error
        x.append(arrays[0])
        y.append(arrays[1])
    return x, y


def _pad(sequences: list[np.ndarray]) -> np.ndarray:
    """Return sequences of different lengths as one array ``(N, T, ...)``, zeros behind the shorter ones."""
    length = max(map(len, sequences))
    widths = [[(0, length - len(sequence))] + [(0, 0)] * (sequence.ndim - 1) for sequence in sequences]
    return np.stack([np.pad(sequence, width) for sequence, width in zip(sequences, widths, strict=True)])


def _numbers(array: np.ndarray, below: int | None, argument: str) -> np.ndarray:
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


def _digest(task: OwnData) -> str:
    settings = [task.inputs, task.outputs, task.classes, task.answers_every_step, task.unit, task.higher_is_better]
    settings += [task.baseline, task.threshold, getattr(task.metric, "__qualname__", repr(type(task.metric)))]
    digest = hashlib.sha256(repr(settings).encode())
    for part in (task.train, task.validation, task.test):
        for array in (part.x, part.y, part.lengths):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]
