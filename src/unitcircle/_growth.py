"""How fast a curve of log-norms grows with lag or depth, and where it has changed by a factor."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from unitcircle._series import block_error, blocks_of
from unitcircle.errors import ArgumentError

Values = TypeVar("Values", float, np.ndarray)


class Step(NamedTuple):
    """One step back: in which layer, from which lag, and how much it changes the log-norm (nats)."""

    layer: str
    lag: int
    change: float


class Flow(ABC, Generic[Values]):
    """Quantities derived from curves of log-norms, for any array library and any number of curves."""

    @abstractmethod
    def _measure(self, measure: Callable[[np.ndarray], float], /) -> Values:
        """Return a number of every curve ``(L + 1, B)``."""

    @property
    def growth_rate(self) -> Values:
        """Mean change of the log-norm per step back, nats; for long lags the leading Lyapunov exponent.

        The mean is over the lags from the first that the loss reaches; NaN where it reaches fewer than two states.
        """
        return self._measure(lambda curve: growth(curve)[0])

    @property
    def growth_rate_stderr(self) -> Values:
        """Standard error of the growth rate, from blocks of steps."""
        return self._measure(lambda curve: growth(curve)[1])

    def horizon(self, factor: float = 1e-3) -> Values:
        """Return the first lag (or depth) at which the norm has changed by a factor; inf where it never does.

        Parameters
        ----------
        factor
            Relative to the norm at the first lag that the loss reaches (lag 0 if it reads the last state). Below 1: the
            lag at which the norm has vanished to this share. Above 1: the lag at which it has grown by this factor.

        Returns
        -------
        float or numpy.ndarray
            One lag per curve, counted from lag 0; over a batch, that of the geometric mean. NaN where the loss reaches
            no state.

        Raises
        ------
        ArgumentError
            The factor is 1, or not a positive finite number.
        """
        return self._measure(lambda curve: horizon(curve, factor))


def mean_curve(log_norms: np.ndarray, /) -> np.ndarray:
    """Return the mean log-norm ``(L + 1, B) -> (L + 1,)`` by lag, up to the last lag that any sequence has."""
    # A sequence ends where it is NaN: from there on the curve changes as the mean of the others does, without a jump.
    # One that the loss reaches later than the others is moved to them, and one that it reaches nowhere (−inf at every
    # lag) counts only if all are like it.
    reached = ~(np.isnan(log_norms) | np.isneginf(log_norms)).all(0)
    curves = log_norms[:, reached] if reached.any() else log_norms
    late = np.argmax(~np.isneginf(curves), 0)
    if (late != late.min()).any():
        moved = np.full(curves.shape, np.nan)
        for b, lags in enumerate(late - late.min()):
            moved[: len(moved) - lags, b] = curves[lags:, b]
        curves = moved
    present = ~np.isnan(curves)
    if present.all():
        with np.errstate(invalid="ignore"):
            return curves.mean(1)
    length = int(np.flatnonzero(present.any(1))[-1]) + 1 if present.any() else 0
    mean, offset = np.empty(length), 0.0
    with np.errstate(invalid="ignore"):
        for lag in range(length):
            rows = present[lag]
            if lag and (rows != present[lag - 1]).any():
                step = mean[lag - 1] - curves[lag - 1, rows].mean()
                offset = float(step) if math.isfinite(step) else 0.0
            mean[lag] = curves[lag, rows].mean() + offset
    return mean


def _inside(log_norms: np.ndarray) -> np.ndarray:
    """Return where each sequence is finite, from the first lag that the loss reaches to the first that is not."""
    finite = np.isfinite(log_norms)
    begun = np.logical_or.accumulate(finite, axis=0)
    return finite & ~np.logical_or.accumulate(begun & ~finite, axis=0)


def _increments(log_norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lags from which a step back is known, and its change, mean over the sequences that take it."""
    inside = _inside(log_norms)
    both = inside[1:] & inside[:-1]
    with np.errstate(invalid="ignore"):
        changes = np.where(both, np.diff(log_norms, axis=0), 0.0)
    lags = np.flatnonzero(both.any(1))
    return lags, changes[lags].sum(-1) / both[lags].sum(-1)


def growth(log_norms: np.ndarray, /) -> tuple[float, float]:
    """Return growth rate and standard error of a curve ``(L + 1, B)`` of log-norms, nats per step."""
    # The rate is the mean change per step, (log ‖g_L‖ − log ‖g_0‖) / L, averaged over the batch; its error is that of
    # blocks of consecutive steps, whose changes are those of a product of matrices, not of noise around a line.
    _, changes = _increments(log_norms)
    if not changes.size:
        return math.nan, math.nan
    edges = blocks_of(changes.size)
    lengths = np.diff(edges)
    means = np.add.reduceat(changes, edges[:-1]) / lengths
    return float(changes.mean()), float(block_error(means, lengths))


def horizon(log_norms: np.ndarray, factor: float, /) -> float:
    """Return the lag at which the mean log-norm ``(L + 1, B) -> (L + 1,)`` has changed by a factor."""
    # The reference is the norm at the first lag that the loss reaches; the answer is a lag, counted from lag 0.
    if not 0 < factor < math.inf or factor == 1:
        raise ArgumentError("factor", "must be a positive number other than 1", f"{factor}")
    finite = np.isfinite(log_norms)
    if not finite.any():
        return math.nan
    curve = mean_curve(log_norms)
    start = int(finite[:, finite.any(0)].argmax(0).min())
    with np.errstate(invalid="ignore"):
        change = curve[start:] - curve[start]
    target = math.log(factor)
    passed = change <= target if target < 0 else change >= target
    return float(start + np.argmax(passed)) if passed.any() else math.inf


def steepest(layers: tuple[str, ...], log_norms: np.ndarray, /) -> Step | None:
    """Return the step back that loses most, of all layers of curves ``(L + 1, layers, B)``; None without a step."""
    candidates: list[Step] = []
    for k, layer in enumerate(layers):
        lags, changes = _increments(log_norms[:, k])
        if changes.size:
            j = int(np.argmin(changes))
            candidates.append(Step(layer, int(lags[j]), float(changes[j])))
    return min(candidates, key=lambda step: step.change, default=None)
