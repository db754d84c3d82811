"""Eigenvalues of the step's Jacobian along a trajectory, and of the recurrent weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._stack import StackRecurrence
from unitcircle.errors import ArgumentError


@dataclass(frozen=True, eq=False)
class StepEigenvalues:
    """Eigenvalues of the Jacobians along a trajectory.

    Attributes
    ----------
    jacobian
        Complex ``(T', B, N)``, by decreasing modulus: eigenvalues of ``∂s_{t+1}/∂s_t`` at the measured steps.
    at
        The measured steps ``(T',)``.
    weight
        ``"l0.h"``, ``"l0.i"``, ... → complex ``(n,)``: eigenvalues of every recurrent gate block, by decreasing
        modulus. Empty for a recurrence that is not a standard cell, and for a projected LSTM, whose blocks are not
        square.
    """

    jacobian: np.ndarray
    at: np.ndarray
    weight: Mapping[str, np.ndarray]

    @property
    def radius(self) -> np.ndarray:
        """Spectral radius of the Jacobian at every measured step, ``(T', B)``."""
        return np.abs(self.jacobian[..., 0])

    def __str__(self) -> str:
        radius = self.radius
        spread = f"{radius.min():.4g} to {radius.max():.4g}"
        return f"spectral radius of the Jacobian at {len(self.at)} steps: median {np.median(radius):.4g}, {spread}"


@right_keywords
def eigenvalues_along(
    model: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    inputs: Any,
    /,
    *,
    every: int = 1,
    initial: Any = None,
    dtype: torch.dtype | None = torch.float64,
) -> StepEigenvalues:
    """Measure the eigenvalues of ``J_t = ∂s_{t+1}/∂s_t`` along a trajectory.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    inputs
        Sequence in the module's own layout, or a number of steps without input.
    every
        Measure every so many steps: steps 0, ``every``, 2 ``every``, ...
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
    A product of different matrices, each with a spectral radius below 1, may still grow. Eigenvalues along a trajectory
    describe single steps; :func:`lyapunov_exponents` describes their product.

    Examples
    --------
    >>> along = eigenvalues_along(torch.nn.RNN(3, 4), torch.randn(10, 2, 3), every=5)
    >>> along.at
    array([0, 5])
    """
    if every < 1:
        raise ArgumentError("every", "must be at least 1", f"{every}")
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        at = torch.arange(0, len(states) - 1, every)
        linearization = recurrence.linearize(None if xs is None else xs[at], states[at])
        chunk = linearization.chunk
        chunks = [eigenvalues(linearization.dense(t, min(t + chunk, len(at)))) for t in range(0, len(at), chunk)]
    return StepEigenvalues(np.concatenate(chunks), at.numpy(), _weight_eigenvalues(recurrence))


def eigenvalues(matrices: Tensor, /) -> np.ndarray:
    """Return the eigenvalues ``(..., N)`` of matrices ``(..., N, N)``, complex, by decreasing modulus."""
    values = np.linalg.eigvals(matrices.cpu().double().numpy()).astype(np.complex128)
    return np.take_along_axis(values, np.argsort(-np.abs(values), axis=-1, kind="stable"), -1)


def _weight_eigenvalues(recurrence: Recurrence) -> dict[str, np.ndarray]:
    spectra: dict[str, np.ndarray] = {}
    cells = recurrence.cells if isinstance(recurrence, StackRecurrence) else []
    for k, cell in enumerate(cells):
        n = cell.weight.shape[0] // len(cell.gates)
        if cell.weight.shape[1] == n:
            blocks = zip(cell.gates, cell.weight.split(n), strict=True)
            spectra |= {f"l{k}.{gate}": eigenvalues(block) for gate, block in blocks}
    return spectra
