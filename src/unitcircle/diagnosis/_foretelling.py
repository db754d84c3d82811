"""What the inputs of a layer tell of what is to be learned, near the end of the data and far from it."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle.diagnosis._carrying import Carrying
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._remedies import ONE_ACTIVATION
from unitcircle.diagnosis._state_measures import readable, readable_each, trailing
from unitcircle.recurrence import RecurrentLayer

WIDTHS = (1, 2, 4, 8)
"""Steps in a row of which a readout sees the inputs; of more, 32 sequences teach it too little."""
PAIRED = 2
"""Steps in a row of which a readout sees the products of any two inputs too."""
MOST = 2**20
"""Inputs that are looked at in one go."""
TELLS = 0.5
"""A share from which on inputs tell enough of the target."""


def foretold(
    measured: LiveLayer,
    layer: RecurrentLayer,
    /,
    *,
    inputs: np.ndarray,
    h: np.ndarray,
    lengths: np.ndarray,
    errors: np.ndarray,
) -> dict[str, Any]:
    """Return what is foretold of the errors by what is near, and by a few steps some of which are beyond reach."""
    if len(errors) != len(lengths):
        return {}
    each = np.arange(len(lengths))
    last, size = h[lengths - 1, each], float(np.sqrt(np.nanmean(h**2)))
    # Padding tells nothing; what comes before it is counted from its end.
    past = trailing(inputs, lengths) if measured.padding else np.zeros_like(lengths)
    ends = lengths - np.where(past < lengths, past, 0)
    by_lag = np.array([inputs[ends - 1 - lag, each] for lag in range(int(ends.min()))])
    of_inputs = float(np.sqrt(np.mean(np.square(by_lag)))) if inputs.size else 0.0
    reach = measured.reach
    near = np.concatenate([last[:, :0], *by_lag[:reach]], 1)
    shares = _shares(by_lag, of_inputs, errors)
    # Sequences that are alike within reach differ beyond it.
    alike = bool(near.size) and float(np.ptp(near, axis=0).max()) == 0.0
    within = [share for (start, width), share in shares.items() if start + width <= reach]
    beyond = [share for (start, width), share in shares.items() if start + width > reach]
    start, width = max(shares, key=lambda window: shares[window])
    carrying = None
    plain = layer.cell in ONE_ACTIVATION and not layer.unknown and bool(layer.inputs)
    if plain and shares[start, width] >= TELLS and measured.cut is None and (lengths == len(h)).all():
        carrying = Carrying(inputs, start + int(np.median(past)))
    return {
        "readable": max(readable(last, size, errors), readable(near, of_inputs, errors), *within),
        "far": 1.0 if alike else max(beyond, default=0.0),
        "carrying": carrying,
    }


def _shares(by_lag: np.ndarray, size: float, errors: np.ndarray) -> dict[tuple[int, int], float]:
    """Return (first lag, width) → share, of windows each width at half its own spacing."""
    shares: dict[tuple[int, int], float] = {}
    steps, count, features = by_lag.shape
    for width in WIDTHS:
        if width > 1 and width * features > 2 * count:  # with far more inputs than sequences a readout learns little
            break
        starts = np.arange(0, steps - width + 1, max(width // 2, 1))
        at_once = max(MOST // (count * width * max(features, 1)), 1)
        for some in (starts[k : k + at_once] for k in range(0, len(starts), at_once)):
            windows = np.concatenate([by_lag[some + lag] for lag in range(width)], -1)
            each = readable_each(windows, size, errors)
            if width <= PAIRED and (paired := _paired(windows / size if size else windows)) is not None:
                each = np.maximum(each, readable_each(paired, 1.0, errors))
            shares |= {(start, width): float(share) for start, share in zip(some.tolist(), each, strict=True)}
    return shares


def _paired(windows: np.ndarray) -> np.ndarray | None:
    """Return windows ``(L, B, p)`` with the products of any two of their values; None where these are too many."""
    first, second = np.triu_indices(windows.shape[-1])
    if windows.shape[-1] + len(first) > windows.shape[1] // 2:  # a readout of more learns little from so few sequences
        return None
    return np.concatenate([windows, windows[..., first] * windows[..., second]], -1)
