"""The derivative of one step with respect to the full state: Jacobian-vector products, and the whole Jacobian."""

from __future__ import annotations

from typing import Any

import numpy as np

from unitcircle._array import to_numpy
from unitcircle.errors import ShapeError
from unitcircle.recurrence._activations import activation
from unitcircle.recurrence._cell import Cell
from unitcircle.recurrence._layer import RecurrentLayer
from unitcircle.recurrence._step import block, drive_of, state_array


def jacobian(layer: RecurrentLayer, x: Any, state: Any, /) -> np.ndarray:
    """Return ``J[j, k] = ∂ step(x, s)_j / ∂ s_k``, the Jacobian of one step over the full state s.

    The gradient of a loss flows back by ``g_{t-1} = Jᵀ g_t``; products of J along a trajectory give the Lyapunov
    exponents. For a few directions :func:`jvp` is cheaper by a factor of s.

    Parameters
    ----------
    layer
        The layer.
    x
        Input ``(..., m)``; None for no input.
    state
        Full state ``(..., s)`` before the step, as in :func:`step`.

    Returns
    -------
    numpy.ndarray
        ``(..., s, s)``, in double precision (complex for a complex diagonal recurrence).

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
    >>> jacobian(from_torch([[0.5]], cell="rnn_tanh"), None, [0.0])
    array([[0.5]])
    """
    return jvp(layer, x, state, np.eye(layer.state_size))


@np.errstate(over="ignore", invalid="ignore")  # a state that is not finite has a next one that is not
def jvp(layer: RecurrentLayer, x: Any, state: Any, tangents: Any, /) -> np.ndarray:
    """Return ``J V``: how one step carries perturbations V of the full state, in O(n²) a direction.

    Parameters
    ----------
    layer
        The layer.
    x
        Input ``(..., m)``; None for no input.
    state
        Full state ``(..., s)`` before the step, as in :func:`step`.
    tangents
        Directions V ``(..., s, p)``.

    Returns
    -------
    numpy.ndarray
        ``(..., s, p)``, in double precision (complex for a complex diagonal recurrence).

    Raises
    ------
    ShapeError
        ``x``, ``state`` or ``tangents`` does not fit the layer.
    ArgumentError
        An input where the layer's source holds no input weight.
    UnknownNameError
        An unknown activation.

    Examples
    --------
    >>> from unitcircle.recurrence import from_torch
    >>> layer = from_torch(0.5 * np.eye(2), cell="rnn_tanh")
    >>> jvp(layer, None, np.zeros(2), np.eye(2))
    array([[0.5, 0. ],
           [0. , 0.5]])
    """
    state = state_array(layer, state)
    directions = to_numpy(tangents, argument="tangents")
    if directions.ndim < 2 or directions.shape[-2] != layer.state_size:
        raise ShapeError("tangents", f"must have shape (..., {layer.state_size}, p)", f"shape {directions.shape}")
    drive = {gate: drive_of(layer, gate, x) for gate in layer.cell.gates or ("h",)}
    batch = np.broadcast_shapes(*(np.shape(d)[:-1] for d in drive.values()), state.shape[:-1], directions.shape[:-2])
    V = np.broadcast_to(directions, (*batch, *directions.shape[-2:]))
    if layer.diagonal is not None:
        return layer.diagonal[:, None] * V
    if layer.cell is Cell.LSTM:
        return _lstm(layer, drive, state, V)
    if layer.cell is Cell.GRU:
        return _gru(layer, drive, state, V)
    slope = activation(layer.activations["h"]).slope
    W = block(layer, "h")
    if layer.cell is Cell.LOW_RANK_RNN:
        driven = W @ (slope(state)[..., None] * V)
    else:
        driven = slope(state @ W.T + drive["h"])[..., None] * (W @ V)
    if layer.cell not in {Cell.LEAKY_RNN, Cell.LOW_RANK_RNN}:
        return driven
    leak = np.broadcast_to(np.asarray(layer.leak, dtype=np.float64), (layer.hidden_size,))[:, None]
    return (1 - leak) * V + leak * driven


def _lstm(layer: RecurrentLayer, drive: dict[str, Any], state: np.ndarray, V: np.ndarray) -> np.ndarray:
    phi = {gate: activation(name) for gate, name in layer.activations.items()}
    none = np.zeros(layer.hidden_size)
    p = {gate: layer.peepholes.get(gate, none).astype(np.float64, copy=False) for gate in ("i", "f", "o")}
    h, c = np.split(state, [layer.output_size], axis=-1)
    dh, dc = np.split(V, [layer.output_size], axis=-2)
    R = {gate: block(layer, gate) for gate in layer.cell.gates}
    a = {gate: h @ R[gate].T + drive[gate] for gate in layer.cell.gates}
    da = {gate: R[gate] @ dh for gate in layer.cell.gates}
    for gate in ("i", "f"):
        a[gate] = a[gate] + p[gate] * c
        da[gate] = da[gate] + p[gate][:, None] * dc
    i, f, g = (phi[gate].value(a[gate]) for gate in ("i", "f", "g"))
    di, df, dg = (phi[gate].slope(a[gate])[..., None] * da[gate] for gate in ("i", "f", "g"))
    new = f * c + i * g
    dnew = f[..., None] * dc + c[..., None] * df + g[..., None] * di + i[..., None] * dg
    a["o"] = a["o"] + p["o"] * new
    do = phi["o"].slope(a["o"])[..., None] * (da["o"] + p["o"][:, None] * dnew)
    out = (phi["o"].value(a["o"]) * phi["c"].slope(new))[..., None] * dnew + phi["c"].value(new)[..., None] * do
    if layer.projection is not None:
        out = layer.projection.astype(np.float64, copy=False) @ out
    return np.concatenate([out, dnew], axis=-2)


def _gru(layer: RecurrentLayer, drive: dict[str, Any], h: np.ndarray, V: np.ndarray) -> np.ndarray:
    phi = {gate: activation(name) for gate, name in layer.activations.items()}
    R = {gate: block(layer, gate) for gate in layer.cell.gates}
    a = {gate: h @ R[gate].T + drive[gate] for gate in ("r", "z")}
    r, z = (phi[gate].value(a[gate]) for gate in ("r", "z"))
    dr, dz = (phi[gate].slope(a[gate])[..., None] * (R[gate] @ V) for gate in ("r", "z"))
    if layer.reset_after:
        inner = h @ R["n"].T + layer.recurrent_biases.get("n", 0.0)
        a_n, da_n = r * inner + drive["n"], r[..., None] * (R["n"] @ V) + inner[..., None] * dr
    else:
        a_n, da_n = (r * h) @ R["n"].T + drive["n"], R["n"] @ (r[..., None] * V + h[..., None] * dr)
    n, dn = phi["n"].value(a_n), phi["n"].slope(a_n)[..., None] * da_n
    return z[..., None] * V + (h - n)[..., None] * dz + (1 - z)[..., None] * dn
