"""Electricity transformer temperature: the oil temperature of the next hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._content import digest_of, read_checked
from unitcircle.experiments.tasks._task import Batch, Split, Task

HEADER = b"date,HUFL,HULL,MUFL,MULL,LUFL,LULL,OT"
COLUMNS = 7
BOUNDS = (12 * 30 * 24, 16 * 30 * 24, 20 * 30 * 24)
"""Hours at which training, validation and test data end."""
HELD_OUT_BATCH = 512
WHAT = "ETTh1.csv or ETTh2.csv (https://github.com/zhouhaoyi/ETDataset), or a folder with ETTh1.csv,"


@dataclass(frozen=True)
class Ett(Task):
    """Forecast the oil temperature of a transformer for the next hours from seven hourly series.

    Twelve months of 30 days are training data, the next four validation data, the next four test data; the input of a
    held-out window may begin in the part before. Every series is scaled by its mean and standard deviation over the
    training months; the score is the mean squared error of the oil temperature, averaged over the hours ahead. The
    baseline repeats the last temperature.

    Parameters
    ----------
    path
        ``ETTh1.csv`` or ``ETTh2.csv``, or a folder that holds the first; it is not shipped (CC BY-ND 4.0).
    length
        T, hours of input.
    horizon
        Hours of the forecast.
    digest
        Of the file's content, filled in if it is empty; otherwise the file is checked when it is read. In the key of a
        run it stands for the data, wherever they are.

    References
    ----------
    H. Zhou et al., "Informer: beyond efficient transformer for long sequence time-series forecasting", AAAI 2021,
    section 5.1 (the split).
    """

    name = "ett"
    classes = False
    higher_is_better = False
    unit = "mean squared error / variance"
    inputs = COLUMNS

    places = ("path",)

    path: str = ""
    length: int = 96
    horizon: int = 24
    digest: str = ""

    def __post_init__(self) -> None:
        if not self.path:
            raise ArgumentError("path", f"must name {WHAT.removesuffix(',')}", "none")
        if self.length < 1 or self.horizon < 1 or self.length + self.horizon > BOUNDS[0]:
            rule = f"must be at least 1 hour each, and not more than {BOUNDS[0]} together"
            raise ArgumentError("length and horizon", rule, f"{self.length} and {self.horizon}")
        if self.horizon > BOUNDS[1] - BOUNDS[0]:
            raise ArgumentError("horizon", f"must be at most {BOUNDS[1] - BOUNDS[0]} hours", str(self.horizon))
        if not self.digest:
            object.__setattr__(self, "digest", digest_of(read_checked(self.file, "", what=WHAT)))

    @property
    def file(self) -> str:
        """The path of the file itself."""
        return str(Path(self.path) / "ETTh1.csv" if Path(self.path).is_dir() else self.path)

    @property
    def outputs(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """The horizon."""
        return self.horizon

    @property
    def baseline(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of repeating the last temperature, on the test data."""
        errors = [(batch.inputs[-1, :, -1:] - batch.targets) ** 2 for batch in self.held_out("test")]
        return float(np.concatenate(errors).mean())

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        return self._windows(rng.integers(BOUNDS[0] - self.length - self.horizon + 1, size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        begin, end = BOUNDS[:2] if split == "validation" else BOUNDS[1:]
        starts = np.arange(begin - self.length, end - self.length - self.horizon + 1)
        for first in range(0, len(starts), HELD_OUT_BATCH):
            yield self._windows(starts[first : first + HELD_OUT_BATCH])

    def _windows(self, starts: np.ndarray) -> Batch:
        series = _series(self)
        ahead = starts[:, None] + self.length + np.arange(self.horizon)
        return Batch(series[starts + np.arange(self.length)[:, None]], series[ahead, -1])


@cache
def _series(task: Ett) -> np.ndarray:
    """Return the seven series ``(hours, 7)``, scaled."""
    content = read_checked(task.file, task.digest, what=WHAT)
    header = content.partition(b"\n")[0].strip()
    if header != HEADER:
        raise ArgumentError("path", f"must begin with the line {HEADER.decode()}", repr(header[:80]))
    try:
        columns = range(1, COLUMNS + 1)
        hours = np.loadtxt(BytesIO(content), delimiter=",", skiprows=1, usecols=columns, max_rows=BOUNDS[2], ndmin=2)
    except ValueError as error:
        raise ArgumentError("path", "must hold a date and seven numbers a line", f"{task.file} ({error})") from error
    if len(hours) < BOUNDS[2]:
        raise ArgumentError("path", f"must hold {BOUNDS[2]} hours", str(len(hours)))
    train = hours[: BOUNDS[0]]
    return ((hours - train.mean(0)) / train.std(0)).astype(np.float32)
