"""Forecasts of the Mackey-Glass series, a chaotic solution of a delay differential equation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._streams import held_out_generator
from unitcircle.experiments.tasks._task import Batch, Split, Task

PRODUCTION, DECAY, EXPONENT = 0.2, 0.1, 10
SUBSTEPS = 10
"""Integration steps per unit of time."""
TRANSIENT = 300
"""Units of time left out at the beginning."""
WINDOWS = 400
"""Windows in one series."""
TRAIN, VALIDATION, TEST = 512, 32, 128
"""Series, each from its own initial history."""
HELD_OUT_BATCH, HELD_OUT_STRIDE = 1280, 20


@dataclass(frozen=True)
class MackeyGlass(Task):
    r"""Forecast a chaotic time series.

    .. math:: \dot x(t) = 0.2 \, \frac{x(t - \tau)}{1 + x(t - \tau)^{10}} - 0.1 \, x(t)

    Sampled once per unit of time; the target is the value ``horizon`` units after the last input. Mean and variance of
    the training series are scaled to 0 and 1, so the score, the mean squared error, is a share of the variance. There
    are 512 training series (a window may begin at any of 400 places of each), 32 validation and 128 test series (20
    windows of each), all from different constant histories in [0.5, 1.5] and without the first 300 units. The baseline
    is the better of two forecasts: the last value, and the mean. The threshold, a tenth of the variance, is our choice.

    Integrated by the classical Runge-Kutta method of order 4 with step 0.1; half-way between its steps the delayed
    value comes from the cubic Hermite interpolant, of the same order.

    Parameters
    ----------
    tau
        The delay; chaotic from 17 on.
    horizon
        Steps from the last input to the value that is forecast; 84 in the literature.
    length
        T, steps of input.

    References
    ----------
    M. C. Mackey, L. Glass, "Oscillation and chaos in physiological control systems", Science 197 (1977), eq. (4b);
    H. Jaeger, H. Haas, "Harnessing nonlinearity", Science 304 (2004) (84 steps).

    Examples
    --------
    >>> batch = MackeyGlass(horizon=4, length=10).sample(np.random.default_rng(0), 2)
    >>> batch.inputs.shape, batch.targets.shape
    ((10, 2, 1), (2, 1))
    """

    name = "mackey_glass"
    classes = False
    higher_is_better = False
    unit = "mean squared error / variance"
    inputs = 1
    outputs = 1
    threshold = 0.1

    tau: int = 17
    horizon: int = 84
    length: int = 100

    def __post_init__(self) -> None:
        for name in ("tau", "horizon", "length"):
            if getattr(self, name) < 1:
                raise ArgumentError(name, "must be at least 1", str(getattr(self, name)))

    @property
    def baseline(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Of the last value or the mean, whichever is better on the test data."""
        last, answers = zip(*((batch.inputs[-1], batch.targets) for batch in self.held_out("test")), strict=True)
        target = np.concatenate(answers)
        return float(min(((np.concatenate(last) - target) ** 2).mean(), (target**2).mean()))

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        return self._windows(_series(self)[:TRAIN], rng.integers(TRAIN, size=size), rng.integers(WINDOWS, size=size))

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        first, end = (TRAIN, TRAIN + VALIDATION) if split == "validation" else (TRAIN + VALIDATION, None)
        part = _series(self)[first:end]
        which, starts = (a.ravel() for a in np.meshgrid(np.arange(len(part)), np.arange(0, WINDOWS, HELD_OUT_STRIDE)))
        for begin in range(0, len(which), HELD_OUT_BATCH):
            batch = slice(begin, begin + HELD_OUT_BATCH)
            yield self._windows(part, which[batch], starts[batch])

    def _windows(self, series: np.ndarray, which: np.ndarray, starts: np.ndarray) -> Batch:
        inputs = series[which, starts + np.arange(self.length)[:, None]]
        return Batch(inputs[..., None], series[which, starts + self.length - 1 + self.horizon][:, None])


def integrate(history: np.ndarray, steps: int, /, *, tau: int, substeps: int = SUBSTEPS) -> np.ndarray:
    """Return the solutions ``(N, steps + 1)`` from constant histories ``(N,)``, once a unit of time."""
    h, lag, total = 1 / substeps, tau * substeps, steps * substeps
    x = np.empty((lag + total + 1, len(history)))
    slope, production = np.zeros_like(x), np.empty_like(x)
    x[: lag + 1], production[: lag + 1] = history, _production(history)
    for now in range(lag, lag + total):
        before, after = now - lag, now - lag + 1
        slope[now] = production[before] - DECAY * x[now]
        # The history is flat up to time 0, where the slope jumps.
        end = slope[after] if after > lag else 0.0
        middle = _production((x[before] + x[after]) / 2 + h / 8 * ((slope[before] if before >= lag else 0.0) - end))
        k1 = slope[now]
        k2 = middle - DECAY * (x[now] + h / 2 * k1)
        k3 = middle - DECAY * (x[now] + h / 2 * k2)
        k4 = production[after] - DECAY * (x[now] + h * k3)
        x[now + 1] = x[now] + h / 6 * (k1 + 2 * (k2 + k3) + k4)
        production[now + 1] = _production(x[now + 1])
    return x[lag::substeps].T


def _production(x: np.ndarray) -> np.ndarray:
    square = x * x
    return PRODUCTION * x / (1 + square**2 * square**2 * square)


@cache
def _series(task: MackeyGlass) -> np.ndarray:
    """Return all series ``(N, samples)``, scaled."""
    rng = held_out_generator(task, "test")
    samples = WINDOWS + task.length + task.horizon
    series = integrate(rng.uniform(0.5, 1.5, TRAIN + VALIDATION + TEST), TRANSIENT + samples, tau=task.tau)
    series = series[:, TRANSIENT:]
    return ((series - series[:TRAIN].mean()) / series[:TRAIN].std()).astype(np.float32)
