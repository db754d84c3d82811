"""Eigenvalues of the step's Jacobian along a trajectory, beside those of the recurrent weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._cells import GRUCell, LSTMCell
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._stack import StackRecurrence
from unitcircle.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class StepEigenvalues:
    """Eigenvalues along a trajectory.

    Attributes
    ----------
    jacobian
        Complex ``(T', B, N)``, by decreasing modulus: eigenvalues of ``∂s_{t+1}/∂s_t`` at the steps measured.
    at
        Those steps ``(T',)``.
    weight
        ``"l0.h"``, ``"l0.i"``, ... → complex ``(n,)``: eigenvalues of every recurrent gate block, by decreasing
        modulus; empty for a recurrence that is no standard cell, or a projected one, whose blocks are not square.
    """

    jacobian: np.ndarray
    at: np.ndarray
    weight: Mapping[str, np.ndarray]

    @property
    def radius(self) -> np.ndarray:
        """Spectral radius of the Jacobian at every step measured, ``(T', B)``."""
        return np.abs(self.jacobian[..., 0])


def eigenvalues_along(
    model: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    inputs: Any,
    /,
    *,
    every: int = 1,
    initial: Any = None,
    dtype: torch.dtype | None = torch.float64,
) -> StepEigenvalues:
    """Measure the eigenvalues of ``J_t = ∂s_{t+1}/∂s_t`` where a trajectory passes.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    inputs
        Sequence in the module's own layout, or a number of steps without input.
    every
        Measure one step in so many.
    initial
        Initial state in the module's own structure; zero where None.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    StepEigenvalues
        Eigenvalues of Jacobians and of recurrent weights.

    Raises
    ------
    ArgumentError
        ``every`` is not positive.

    Notes
    -----
    The product of matrices with a spectral radius below 1 may still grow: eigenvalues along a trajectory say where
    directions are kept, :func:`lyapunov_exponents` says what becomes of them.
    """
    if every < 1:
        raise ArgumentError("every", "must be at least 1", f"{every}")
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        at = torch.arange(0, len(states) - 1, every)
        linearization = recurrence.linearize(None if xs is None else xs[at], states[at])
        chunk = linearization.chunk
        found = [_sorted(linearization.dense(t, min(t + chunk, len(at)))) for t in range(0, len(at), chunk)]
    return StepEigenvalues(np.concatenate(found), at.numpy(), _weights(recurrence))


def _sorted(matrices: Tensor) -> np.ndarray:
    values = np.linalg.eigvals(matrices.cpu().double().numpy()).astype(np.complex128)
    return np.take_along_axis(values, np.argsort(-np.abs(values), axis=-1, kind="stable"), -1)


def _weights(recurrence: Recurrence) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    cells = recurrence.cells if isinstance(recurrence, StackRecurrence) else []
    for k, cell in enumerate(cells):
        gates = "ifgo" if isinstance(cell, LSTMCell) else "rzn" if isinstance(cell, GRUCell) else "h"
        n = cell.weight.shape[0] // len(gates)
        if cell.weight.shape[1] == n:
            blocks = cell.weight.split(n)
            found |= {f"l{k}.{gate}": _sorted(block) for gate, block in zip(gates, blocks, strict=True)}
    return found
