"""One step of a recurrent layer, in NumPy and double precision: the reference for every framework."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.recurrence._activations import activation
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer


@np.errstate(over="ignore", invalid="ignore")  # a state that is not finite has a next one that is not
def step(layer: RecurrentLayer, x: Any, state: Any, /) -> np.ndarray:
    """Return the state after one step, by the equation of the layer's :class:`Cell`.

    Parameters
    ----------
    layer
        The layer.
    x
        Input ``(..., m)``; None for no input.
    state
        Full state ``(..., s)`` with ``s = layer.state_size``: h, and for an LSTM h (n or p entries) then c (n).

    Returns
    -------
    numpy.ndarray
        The next full state ``(..., s)``, in double precision.

    Raises
    ------
    ShapeError
        ``x`` or ``state`` does not fit the layer.
    ArgumentError
        An input where the layer's source holds no input weight.
    UnknownNameError
        An unknown activation.

    Examples
    --------
    >>> from unitcircle.recurrence import from_torch
    >>> layer = from_torch([[0.0, -1.0], [1.0, 0.0]], cell="linear")
    >>> step(layer, None, [1.0, 0.0])
    array([0., 1.])
    """
    state = state_array(layer, state)
    drive = {gate: drive_of(layer, gate, x) for gate in layer.cell.gates or ("h",)}
    if layer.cell is Cell.DIAGONAL:
        return layer.diagonal * state + drive["h"]
    if layer.cell is Cell.LSTM:
        return _lstm(layer, drive, state)
    if layer.cell is Cell.GRU:
        return _gru(layer, drive, state)
    phi = activation(layer.activations["h"]).value
    W = block(layer, "h")
    if layer.cell is Cell.LOW_RANK_RNN:
        return (1 - layer.leak) * state + layer.leak * (phi(state) @ W.T + drive["h"])
    after = phi(state @ W.T + drive["h"])
    return (1 - layer.leak) * state + layer.leak * after if layer.cell is Cell.LEAKY_RNN else after


def _lstm(layer: RecurrentLayer, drive: dict[str, Any], state: np.ndarray) -> np.ndarray:
    phi = {gate: activation(name).value for gate, name in layer.activations.items()}
    peephole = layer.peepholes
    h, c = np.split(state, [layer.output_size], axis=-1)
    a = {gate: h @ block(layer, gate).T + drive[gate] for gate in layer.cell.gates}
    i, f = (phi[gate](a[gate] + peephole.get(gate, 0.0) * c) for gate in ("i", "f"))
    c = f * c + i * phi["g"](a["g"])
    h = phi["o"](a["o"] + peephole.get("o", 0.0) * c) * phi["c"](c)
    if layer.projection is not None:
        h = h @ layer.projection.astype(np.float64, copy=False).T
    return np.concatenate([h, c], axis=-1)


def _gru(layer: RecurrentLayer, drive: dict[str, Any], h: np.ndarray) -> np.ndarray:
    phi = {gate: activation(name).value for gate, name in layer.activations.items()}
    r, z = (phi[gate](h @ block(layer, gate).T + drive[gate]) for gate in ("r", "z"))
    W = block(layer, "n")
    recurrent = r * (h @ W.T + layer.recurrent_biases.get("n", 0.0)) if layer.reset_after else (r * h) @ W.T
    return (1 - z) * phi["n"](recurrent + drive["n"]) + z * h


def block(layer: RecurrentLayer, gate: str, /) -> np.ndarray:
    """Return the matrix a gate applies to the state that is fed back, in double precision: ``(n, n)`` or ``(n, p)``."""
    return (layer.projected_gates or layer.gates)[gate].astype(np.float64, copy=False)


def state_array(layer: RecurrentLayer, state: Any, /) -> np.ndarray:
    """Return a state in double precision, or raise if it does not fit the layer."""
    array = to_numpy(state, argument="state")
    if array.ndim == 0 or array.shape[-1] != layer.state_size:
        raise ShapeError("state", f"must have shape (..., {layer.state_size})", f"shape {array.shape}")
    with np.errstate(over="ignore"):  # of a long double
        return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def drive_of(layer: RecurrentLayer, gate: str, x: Any, /) -> Any:
    """Return ``U x + b`` of a gate: an array ``(..., n)``, or 0 without input and bias."""
    bias = layer.biases.get(gate, np.zeros(())).astype(np.float64, copy=False)
    if x is None:
        return bias
    if gate not in layer.inputs:
        raise ArgumentError("x", "must be None because the layer has no input weight", type(x).__name__)
    array = to_numpy(x, argument="x")
    if array.ndim == 0 or array.shape[-1] != layer.input_size:
        raise ShapeError("x", f"must have shape (..., {layer.input_size})", f"shape {array.shape}")
    U = layer.inputs[gate]
    wide = np.complex128 if U.dtype.kind == "c" else np.float64
    return array.astype(np.float64, copy=False) @ U.astype(wide, copy=False).T + bias
