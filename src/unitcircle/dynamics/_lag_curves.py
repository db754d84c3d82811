"""Norms of gradients by lag: every sequence is counted back from its own end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from unitcircle.dynamics._trajectories import Trajectory

SAFE = 1e-140
"""Norm from which the sum of squares neither underflows nor, up to its reciprocal, overflows in double precision."""


@dataclass(frozen=True, eq=False)
class LagCurves:
    """Log-norms of one trajectory."""

    whole: np.ndarray  # (T + 1, B), lag 0 at the end of each sequence, NaN beyond its start
    error: np.ndarray
    parts: tuple[np.ndarray, ...]
    lengths: np.ndarray  # (B,): steps from the initial state of each sequence to its end


def lag_curves(
    trajectory: Trajectory, gradients: Mapping[int, Tensor], count: int, spectral: bool, given: Tensor | None, /
) -> LagCurves:
    """Return norms by lag from the gradients of the tensors of a trajectory, by their id."""
    # ``given`` says after which step each sequence ends; without it, one that the loss begins to read so many steps
    # earlier than the others ends so many steps earlier.
    kinds = len(trajectory.points[0].parts)
    rows_of = [_column(trajectory, part, gradients, count) for part in range(kinds)]
    if spectral:
        parts = [_spectral([column]) for column in rows_of]
        whole = parts[0] if kinds == 1 else _spectral(rows_of)
        error = np.zeros_like(whole)
    else:
        lengths_of = [norms(column).cpu().numpy() for column in rows_of]
        parts = [log_mean_square(lengths)[0] for lengths in lengths_of]
        whole, error = log_mean_square(np.hypot.reduce(lengths_of))
    present = trajectory.present().numpy()
    if trajectory.changed and trajectory.constant_start:
        present[0] = False  # the model may use its constant also beside the layer, which no gradient here includes
    if trajectory.begun is not None:
        present &= np.arange(len(present))[:, None] >= trajectory.begun.numpy()
    packed = trajectory.lengths is not None
    steps = [np.flatnonzero(present[:, b]) for b in range(trajectory.batch)]
    drop = _beyond_end(trajectory, whole, steps, None if packed or given is None else given.numpy())
    order = [rows[: len(rows) - d][::-1] for rows, d in zip(steps, drop, strict=True)]
    # Of a packed sequence the states are counted as they come.
    lengths = np.array([len(rows) - d - 1 + (0 if packed else rows[0]) for rows, d in zip(steps, drop, strict=True)])
    columns = tuple(by_lag(part, order) for part in parts)
    return LagCurves(by_lag(whole, order), by_lag(error, order), columns, lengths)


def by_lag(values: np.ndarray, order: Sequence[np.ndarray], /) -> np.ndarray:
    """Return values ``(T + 1, B)`` in the order of lags, given as the rows of each sequence; NaN beyond its start."""
    if all(np.array_equal(rows, order[0]) for rows in order[1:]):
        return values[order[0]]
    lags = np.full((max(map(len, order)), len(order)), np.nan)
    for b, rows in enumerate(order):
        lags[: len(rows), b] = values[rows, b]
    return lags


def _beyond_end(
    trajectory: Trajectory, whole: np.ndarray, steps: Sequence[np.ndarray], given: np.ndarray | None
) -> np.ndarray:
    """Return how many of the last states of each sequence lie beyond its end."""
    if trajectory.lengths is not None:
        return np.zeros(len(steps), dtype=int)
    drop, told = unread(whole, steps, given)
    return drop + _frozen(trajectory, steps, drop) if trajectory.changed and not told else drop


def unread(whole: np.ndarray, steps: Sequence[np.ndarray], given: np.ndarray | None, /) -> tuple[np.ndarray, bool]:
    """Return how many of the last states of each sequence no gradient reaches, and whether the given lengths say so."""
    # ``whole`` are log-norms ``(T + 1, B)``, ``steps`` the rows of each sequence, ``given`` the steps after which they
    # end, which count where no gradient comes from beyond them. Else what matters is who is read earlier than others.
    last = len(whole) - 1
    zeros = np.zeros(len(steps), dtype=int)
    for b, rows in enumerate(steps):
        reached = np.flatnonzero(~np.isneginf(whole[rows, b]))
        zeros[b] = len(rows) - 1 - reached[-1] if reached.size else len(rows)
    if given is not None and (zeros >= last - given).all():
        return last - given, True
    read = zeros < [len(rows) for rows in steps]
    drop = np.zeros(len(steps), dtype=int)
    if read.any():
        # Where all are read equally early, the lags before are part of the answer.
        drop[read] = zeros[read] - zeros[read].min()
    return drop, False


def _frozen(trajectory: Trajectory, steps: Sequence[np.ndarray], drop: np.ndarray) -> np.ndarray:
    """Return over how many last steps the model keeps the state of each sequence, as it does over padding."""
    states = [torch.cat(point.values, -1) for point in trajectory.points]
    count = np.zeros(len(steps), dtype=int)
    if any(len(state) != trajectory.batch for state in states):
        return count
    for b, rows in enumerate(steps):
        last = len(rows) - 1 - drop[b]
        while count[b] < last - 1 and torch.equal(
            states[rows[last - count[b]]][b], states[rows[last - count[b] - 1]][b]
        ):
            count[b] += 1
    return count - count.min()


def _column(trajectory: Trajectory, part: int, gradients: Mapping[int, Tensor], count: int) -> Tensor:
    """Return the gradients of one part of the state, ``(T + 1, cotangents, B, n)``, in the order of the steps."""
    if trajectory.stacked:
        states = trajectory.stacked[part]
        whole = gradients.get(id(states))
        return states.new_zeros(len(states), count, *states.shape[1:]) if whole is None else whole
    rows: list[Tensor] = []
    for point in trajectory.points:
        tensor = point.parts[part]
        gradient = gradients.get(id(tensor))
        # autograd returns no gradient for a state that the loss does not depend on: it is 0.
        g = tensor.detach().new_zeros(()).expand(count, *tensor.shape) if gradient is None else gradient
        if point.row is not None:
            g = g[:, point.row]
        if point.elements is not None:
            full = g.new_zeros(count, trajectory.batch, g.shape[-1])
            full[:, point.elements.to(g.device)] = g
            g = full
        rows.append(g)
    return torch.stack(rows)


def _spectral(columns: Sequence[Tensor]) -> np.ndarray:
    """Return log σ_1 ``(T + 1, B)`` of Jacobians, of which the cotangents are the rows."""
    with torch.no_grad(), np.errstate(divide="ignore"):
        J = torch.cat(list(columns), -1).transpose(1, 2)
        return np.log(torch.linalg.matrix_norm(J, 2).cpu().numpy())


def norms(rows: Tensor, /) -> Tensor:
    """Return the Euclidean norms ``(...)`` of rows ``(..., n)`` in double precision, inf where they are not finite."""
    with torch.no_grad():
        rows = (
            rows.detach().double() if not rows.is_complex() else torch.view_as_real(rows.detach()).double().flatten(-2)
        )
        lengths = torch.linalg.vector_norm(rows, dim=-1)
        # The squares under- or overflow long before the norm does.
        unsafe = (lengths < SAFE) | (lengths > 1 / SAFE)
        if bool(unsafe.any()):
            scale = rows[unsafe].abs().amax(-1).clamp_min(torch.finfo(rows.dtype).tiny)
            lengths[unsafe] = scale * torch.linalg.vector_norm(rows[unsafe] / scale.unsqueeze(-1), dim=-1)
        # An overflow in the backward pass turns into NaN one step further back.
        return lengths.nan_to_num(torch.inf, torch.inf)


def log_mean_square(lengths: np.ndarray, /) -> tuple[np.ndarray, np.ndarray]:
    """Return the log ``(T + 1, B)`` of the root mean square of norms ``(T + 1, K, B)``, and its standard error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = lengths.max(1, keepdims=True)
        squares = np.where(scale > 0, lengths / scale, 0.0) ** 2
        mean, count = squares.mean(1), lengths.shape[1]
        error = np.zeros_like(mean) if count == 1 else squares.std(1, ddof=1) / np.sqrt(count) / (2 * mean)
        return np.where(np.isinf(scale[:, 0]), np.inf, np.log(scale[:, 0]) + 0.5 * np.log(mean)), error
