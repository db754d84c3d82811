"""What the states of a recurrent layer of a live model show (imports torch; imported only for such a model)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch.nn.functional import logsigmoid
from torch.utils._pytree import tree_map

from unitcircle._array import to_numpy
from unitcircle.diagnosis._live_layer import SATURATED, GateActivity, LiveLayer
from unitcircle.dynamics import DrivenLayer, input_share, jacobian_spectrum, participation_ratio
from unitcircle.errors import NotFiniteError
from unitcircle.initializers import Critical
from unitcircle.recurrence import Cell, RecurrentLayer

MOST = 8
"""Sequences over which the share of the input is measured, at most."""
REPLICAS = 2
"""Random initial states of each sequence, whose scatter is the memory of the initial state."""
SPECTRUM_COST = 1e10
"""Above T·N³ of this (some seconds) the singular values of the long-term Jacobian are not measured."""


def add_states(
    measured: LiveLayer,
    layer: RecurrentLayer,
    driven: DrivenLayer,
    lengths: np.ndarray,
    *,
    seed: int,
    thorough: bool,
) -> LiveLayer:
    """Add what the states show, each sequence up to its own end."""
    recurrence = driven.recurrence
    parts = recurrence.parts
    states = to_numpy(driven.states)
    after = np.arange(1, len(states))[:, None] <= lengths  # (T, B): which steps each sequence takes
    if not np.isfinite(states[1:][after]).all():
        raise NotFiniteError("the trajectory", "must be finite", "a NaN or an infinity")
    h = states[1:, :, parts["h"]]
    size = np.where(after, np.linalg.norm(h, axis=-1) / math.sqrt(h.shape[-1]), 0.0)
    # Every sequence is counted back from its own end.
    by_lag = [size[lengths[b] - 1 :: -1, b] for b in range(len(lengths))]
    longest = int(lengths.max())
    sums, counts = np.zeros(longest), np.zeros(longest)
    for column in by_lag:
        sums[: len(column)] += column
        counts[: len(column)] += 1
    last = h[lengths - 1, np.arange(len(lengths))]
    share = math.nan
    if thorough and not driven.changed and (lengths == longest).all():
        share = input_share(recurrence, driven.inputs[:, :MOST], driven.states[:, :MOST], replicas=REPLICAS, rng=seed)
    changes: dict[str, Any] = {
        "distance": (sums / counts)[::-1],
        "dimension": participation_ratio(last),
        "largest_dimension": min(h.shape[-1], h.shape[1] - 1),
        "input_share": share,
        "spectrum": _typical_direction(measured, driven, int(lengths[0])),
    }
    if thorough:
        xs = to_numpy(driven.inputs)[after]
        # Bound of the change of h when each of n weights changes by one unit in the last place.
        resolution = h.shape[-1] * torch.finfo(_precision(layer)).eps
        changes |= {
            "saturation": _saturation(layer, parts, states[1:][after]),
            "dead": tuple(np.flatnonzero(np.ptp(h[after], axis=0) <= resolution).tolist()),
            "gates": _gates(layer, xs if xs.size else None, states[:-1][after]),
            "drive": _drive(layer, xs) if xs.size else None,
        }
    return LiveLayer(**(vars(measured) | changes))


def _precision(layer: RecurrentLayer) -> torch.dtype:
    return cast("torch.dtype", getattr(torch, layer.source.dtype))


def _drive(layer: RecurrentLayer, xs: np.ndarray) -> tuple[float, float] | None:
    """Return how far U x + b varies and how large its constant part is, of the only gate of a plain cell."""
    if layer.cell.gates != ("h",) or "h" not in layer.inputs:
        return None
    drive = xs @ np.asarray(layer.inputs["h"], dtype=float).T + np.asarray(layer.biases.get("h", 0.0))
    init = Critical.of_drive(drive)
    return init.input_std, init.bias_std


def _typical_direction(measured: LiveLayer, driven: DrivenLayer, steps: int) -> Callable[[], float] | None:
    """Return what measures the median log singular value of ∂h_T/∂s_0 of the first sequence."""
    recurrence = driven.recurrence
    if driven.changed or measured.cut is not None or steps * recurrence.state_size**3 > SPECTRUM_COST:
        return None
    inputs, initial = driven.first(1)
    inputs, initial = inputs[:steps].clone(), tree_map(torch.clone, initial)

    def measure() -> float:
        return float(jacobian_spectrum(recurrence, inputs, initial=initial, of_output=True).median[0])

    return measure


def _saturation(layer: RecurrentLayer, parts: Mapping[str, slice], states: np.ndarray) -> float:
    if layer.cell is Cell.LSTM:
        return float(np.mean(np.abs(np.tanh(states[..., parts["c"]])) >= SATURATED))
    if layer.cell in {Cell.GRU, Cell.RNN_TANH}:
        return float(np.mean(np.abs(states) >= SATURATED))
    return math.nan


def _gates(layer: RecurrentLayer, xs: np.ndarray | None, before: np.ndarray) -> dict[str, GateActivity]:
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
        logs = logsigmoid(torch.from_numpy(pre))
        means = logs.mean(0)
        activities[gate] = GateActivity(float(logs.exp_().mean()), float(means.mean()), float(means.max()))
    return activities
