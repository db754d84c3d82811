"""What the states of a recurrent layer of a live model show (imports torch; imported only for such a model)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch.nn.functional import logsigmoid
from torch.utils._pytree import tree_map

from unitcircle._array import to_numpy
from unitcircle.diagnosis._foretelling import foretold
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._state_measures import (
    SPECTRUM_COST,
    dead_units,
    drive,
    gate_activities,
    mean_distance,
    revived,
    saturation,
)
from unitcircle.dynamics import DrivenLayer, Recurrence, input_share, jacobian_spectrum, participation_ratio
from unitcircle.errors import NotFiniteError
from unitcircle.recurrence import RecurrentLayer

MOST = 8
"""Sequences over which the share of the input is measured, at most."""
REPLICAS = 2
"""Random initial states of each sequence, whose scatter is the memory of the initial state."""


def add_states(
    measured: LiveLayer,
    layer: RecurrentLayer,
    driven: DrivenLayer,
    lengths: np.ndarray,
    *,
    errors: np.ndarray | None,
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
    longest = int(lengths.max())
    last = h[lengths - 1, np.arange(len(lengths))]
    share = math.nan
    if thorough and not driven.changed and (lengths == longest).all():
        share = input_share(recurrence, driven.inputs[:, :MOST], driven.states[:, :MOST], replicas=REPLICAS, rng=seed)
    changes: dict[str, Any] = {
        "distance": mean_distance(h, lengths),
        "dimension": participation_ratio(last),
        "largest_dimension": min(h.shape[-1], h.shape[1] - 1),
        "input_share": share,
        "spectrum": _typical_direction(measured, driven, int(lengths[0])),
    }
    if thorough and errors is not None:
        changes |= foretold(measured, layer, inputs=to_numpy(driven.inputs), h=h, lengths=lengths, errors=errors)
    if thorough:
        xs = to_numpy(driven.inputs)[after]
        dead = dead_units(h[after], torch.finfo(_precision(layer)).eps)
        changes |= {
            "saturation": saturation(layer, parts, states[1:][after]),
            "dead": dead,
            "revived": revived(layer, dead, to_numpy(driven.inputs), states[0]),
            "gates": gate_activities(layer, xs if xs.size else None, states[:-1][after], _log_sigmoid),
            "drive": drive(layer, xs) if xs.size else None,
        }
    return LiveLayer(**(vars(measured) | changes))


def _precision(layer: RecurrentLayer) -> torch.dtype:
    return cast("torch.dtype", getattr(torch, layer.source.dtype))


def _typical_direction(measured: LiveLayer, driven: DrivenLayer, steps: int) -> Callable[[], float] | None:
    """Return what measures the median log singular value of ∂h_T/∂s_0 of the first sequence."""
    recurrence = driven.recurrence
    if driven.changed or measured.cut is not None or steps * recurrence.state_size**3 > SPECTRUM_COST:
        return None
    inputs, initial = driven.first(1)
    return _Spectrum(recurrence, inputs[:steps].clone(), tree_map(torch.clone, initial))


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Measures the median log singular value of ∂h_T/∂s_0; a class, so that it can be pickled."""

    recurrence: Recurrence
    inputs: torch.Tensor
    initial: Any

    def __call__(self) -> float:
        """Measure it."""
        spectrum = jacobian_spectrum(self.recurrence, self.inputs, initial=self.initial, of_output=True)
        return float(spectrum.median[0])


def _log_sigmoid(values: np.ndarray) -> np.ndarray:
    return logsigmoid(torch.from_numpy(values)).numpy()
