"""What the states and the Jacobian of one recurrent layer show, without a framework."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from unitcircle.diagnosis._driven import LOST
from unitcircle.diagnosis._live_layer import SATURATED, GateActivity
from unitcircle.initializers import Critical
from unitcircle.recurrence import Cell, RecurrentLayer, step

FEWEST = 32
"""With fewer sequences nothing is foretold."""
RIDGES = np.logspace(math.log10(LOST), 1, 17) ** 2
"""Strengths of a ridge for each sequence, in squares of the size of the values."""
SPECTRUM_COST = 1e10
"""Above T·N³ of this (some seconds) the singular values of the long-term Jacobian are not measured."""
BLOCKS = 8
"""Blocks of time whose scatter is the error of the leading exponent."""


def mean_distance(h: np.ndarray, lengths: np.ndarray, /) -> np.ndarray:
    """Return ‖h_t‖/√n ``(T,)`` of states ``(T, B, n)``, mean over the sequences, each counted back from its end."""
    after = np.arange(1, len(h) + 1)[:, None] <= lengths
    size = np.where(after, np.linalg.norm(h, axis=-1) / math.sqrt(h.shape[-1]), 0.0)
    by_lag = [size[lengths[b] - 1 :: -1, b] for b in range(len(lengths))]
    longest = int(lengths.max())
    sums, counts = np.zeros(longest), np.zeros(longest)
    for column in by_lag:
        sums[: len(column)] += column
        counts[: len(column)] += 1
    return (sums / counts)[::-1]


def dead_units(h: np.ndarray, eps: float, /) -> tuple[int, ...]:
    """Return the units that never change over states ``(N, n)``, to the rounding of weights of a precision."""
    # Bound of the change of h when each of n weights changes by one unit in the last place.
    return tuple(np.flatnonzero(np.ptp(h, axis=0) <= h.shape[-1] * eps).tolist())


def trailing(xs: np.ndarray, lengths: np.ndarray, /) -> np.ndarray:
    """Return how many last inputs of each sequence ``(T, B, m)`` equal the constant that ends most steps of one."""
    each = np.arange(len(lengths))
    by_lag = [xs[np.maximum(lengths - 1 - lag, 0), each] for lag in range(int(lengths.max()))]

    def run(equal_to: np.ndarray) -> np.ndarray:
        same = np.array([(x == equal_to).all(-1) & (lag < lengths) for lag, x in enumerate(by_lag)])
        return np.where(same.all(0), lengths, np.argmin(same, 0))

    longest = int(np.argmax(run(by_lag[0])))
    return run(by_lag[0][longest])


def padding(xs: np.ndarray, lengths: np.ndarray, log_gradient: np.ndarray, start: int, /) -> dict[str, float]:
    """Return how many last inputs are one constant vector, and how a gradient ``(T + 1, B)`` by lag changes there."""
    if not xs.size or len(lengths) != log_gradient.shape[1]:
        return {}
    counts = trailing(xs, lengths)
    # A sequence that is constant throughout has no last informative step.
    counts = np.where(counts < lengths, counts, 0)
    median = int(np.median(counts))
    if median < max(2, start + 1):
        return {}
    read = counts > start
    ends = log_gradient[counts[read], np.flatnonzero(read)]
    with np.errstate(invalid="ignore"):
        return {"padding": median, "padding_change": float(np.mean(ends - log_gradient[start, read]))}


def revived(layer: RecurrentLayer, dead: Sequence[int], xs: np.ndarray, first: np.ndarray, /) -> int:
    """Return how many dead units of a plain cell change over inputs ``(T, B, m)`` where every bias is 0."""
    if not dead or layer.cell.gates != ("h",) or not layer.biases or not xs.size or layer.cell is Cell.HAND_WRITTEN:
        return 0
    free = replace(layer, biases={gate: np.zeros_like(bias) for gate, bias in layer.biases.items()}, bias_parts={})
    state, states = first, []
    for x in xs:
        state = step(free, x, state)
        states.append(state[..., list(dead)])
    moved = np.ptp(np.concatenate(states), axis=0)
    return int(np.count_nonzero(moved > layer.hidden_size * layer.source.eps))


def readable(values: np.ndarray, size: float, errors: np.ndarray, /) -> float:
    """Return the share of errors ``(B, k)`` that a linear readout of values ``(B, n)`` of a size foretells, or NaN."""
    return float(readable_each(values[None], size, errors)[0])


def readable_each(values: np.ndarray, size: float, errors: np.ndarray, /) -> np.ndarray:
    """Return the same for each of several sets of values ``(L, B, n)``, ``(L,)``."""
    # Ridge regression; each sequence is foretold by a readout of the others, in closed form (Allen's PRESS), and the
    # strength of the ridge is the one that foretells best. The weakest hides what is below 1/1000 of the size.
    sets, count = values.shape[:2]
    y = errors - errors.mean(0)
    left = float((y**2).sum()) * (count / (count - 1)) ** 2 if count > 1 else 0.0
    if count < FEWEST or not left > 0 or not np.isfinite(values).all():
        return np.full(sets, math.nan)
    if not values.size or not size > 0:
        return np.zeros(sets)
    u, s, _ = np.linalg.svd((values - values.mean(1, keepdims=True)) / size, full_matrices=False)
    of_errors = np.swapaxes(u, 1, 2) @ y
    best = np.full(sets, left)
    for ridge in count * RIDGES:
        kept = (s**2 / (s**2 + ridge))[..., None]
        leverage = 1 / count + u**2 @ kept
        best = np.minimum(best, (((y - u @ (kept * of_errors)) / (1 - leverage)) ** 2).sum((1, 2)))
    return 1 - best / left


def leading_exponent(curve: np.ndarray, lengths: np.ndarray, cuts: Sequence[int], /) -> tuple[float, float]:
    """Return the growth rate of ∂h_T/∂s_t with the lag, whose limit is the leading exponent, and its error."""
    # The norm covers all directions. A single tangent could start in a direction that nothing reads, and vanish.
    if cuts:  # beyond it the Jacobian is 0, whatever the state does
        curve = curve[: cuts[0]]
    # Over the lags that every sequence has.
    curve = curve[~np.isnan(curve[:, : len(lengths)]).any(-1), : len(lengths)]
    # In the first quarter, decaying directions still contribute.
    with np.errstate(invalid="ignore"):
        changes = np.diff(curve[len(curve) // 4 :], axis=0)
    if not changes.size or not np.isfinite(changes).all():
        return math.nan, math.nan
    # Scatter over time within a sequence and scatter over sequences, which share the weights: neither alone is enough.
    blocks = np.array([block.mean() for block in np.array_split(changes.mean(1), min(BLOCKS, len(changes)))])
    return float(changes.mean()), math.hypot(_standard_error(blocks), _standard_error(changes.mean(0)))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def saturation(layer: RecurrentLayer, parts: Mapping[str, slice], states: np.ndarray, /) -> float:
    """Return the share of the values of tanh beyond ±0.95, of states ``(steps, N)``; NaN where there is no tanh."""
    if layer.cell is Cell.LSTM:
        return float(np.mean(np.abs(np.tanh(states[..., parts["c"]])) >= SATURATED))
    if layer.cell in {Cell.GRU, Cell.RNN_TANH}:
        return float(np.mean(np.abs(states) >= SATURATED))
    return math.nan


def gate_activities(
    layer: RecurrentLayer, xs: np.ndarray | None, before: np.ndarray, log_sigmoid: Callable[[np.ndarray], np.ndarray], /
) -> dict[str, GateActivity]:
    """Return how far the sigmoid gates are open at the states ``(steps, N)`` before each step."""
    if not layer.cell.gated:
        return {}
    h = before[..., : layer.output_size]
    activities: dict[str, GateActivity] = {}
    for gate in ("i", "f", "o") if layer.cell is Cell.LSTM else ("r", "z"):
        pre = h @ np.asarray((layer.projected_gates or layer.gates)[gate], dtype=float).T
        if xs is not None:
            pre += xs @ np.asarray(layer.inputs[gate], dtype=float).T
        if gate in layer.biases:
            pre += np.asarray(layer.biases[gate], dtype=float)
        logs = log_sigmoid(pre)
        means = logs.mean(0)
        activities[gate] = GateActivity(float(np.exp(logs).mean()), float(means.mean()), float(means.max()))
    return activities


def drive(layer: RecurrentLayer, xs: np.ndarray, /) -> tuple[float, float] | None:
    """Return how far U x + b varies and how large its constant part is, of the only gate of a plain cell."""
    if layer.cell.gates != ("h",) or "h" not in layer.inputs:
        return None
    drive = xs @ np.asarray(layer.inputs["h"], dtype=float).T + np.asarray(layer.biases.get("h", 0.0))
    init = Critical.of_drive(drive)
    return init.input_std, init.bias_std
