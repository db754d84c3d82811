"""Singular values of the long-term Jacobian: dynamical isometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle._graded_products import log_singular_values
from unitcircle._keywords import right_keywords
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._orthonormalization import factors, identity
from unitcircle.dynamics._recurrence import Linearization, Recurrence

Model = nn.Module | Callable[[Any, Any], Any] | Recurrence


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """Singular values of ``∂s_T/∂s_0``, over the full state.

    Attributes
    ----------
    log_singular_values
        Natural logarithms ``(B, N)``, descending, accurate however many decades they span; −inf for rank deficiency,
        NaN where the singular value decomposition did not converge.
    log_determinant
        log|det ∂s_T/∂s_0| ``(B,)`` from the Jacobians of single steps, a check of the sum of the log singular values.
    steps
        T.
    """

    log_singular_values: np.ndarray
    log_determinant: np.ndarray
    steps: int

    @property
    def largest(self) -> np.ndarray:
        """Logarithm of the largest singular value ``(B,)``."""
        return self.log_singular_values[:, 0]

    @property
    def median(self) -> np.ndarray:
        """Median log singular value ``(B,)``: the change of length of a typical direction."""
        with np.errstate(invalid="ignore"):
            return np.median(self.log_singular_values, axis=-1)

    @property
    def mean(self) -> np.ndarray:
        """Mean log singular value ``(B,)``: ``log|det| / N``, see :func:`mean_log_singular_value`."""
        return self.log_determinant / self.log_singular_values.shape[-1]

    @property
    def effective_rank(self) -> np.ndarray:
        """``exp(−Σ p log p)`` with ``p = σ / Σσ`` ``(B,)``: number of directions transmitted, 1 to N; 0 if none is.

        References
        ----------
        Roy and Vetterli, The effective rank (2007), eq. 4.
        """
        lost = np.isneginf(self.largest)
        p = np.exp(self.log_singular_values - np.where(lost, 0.0, self.largest)[:, None])
        p = p / np.where(lost, 1.0, p.sum(-1))[:, None]
        entropy = -np.sum(np.where(p > 0, p * np.log(np.where(p > 0, p, 1.0)), 0.0), axis=-1)
        return np.where(lost, 0.0, np.exp(entropy))

    @property
    def sum_residual(self) -> np.ndarray:
        """``|Σ log σ − log|det||`` ``(B,)``."""
        total = self.log_singular_values.sum(-1)
        with np.errstate(invalid="ignore"):
            return np.where(total == self.log_determinant, 0.0, np.abs(total - self.log_determinant))

    def __str__(self) -> str:
        rank = f"{self.effective_rank.mean():.3g} of {self.log_singular_values.shape[-1]} directions transmitted"
        return f"Jacobian of {self.steps} steps: log σ₁ at most {self.largest.max():.4g} nats, {rank}"


class _Matrices(Linearization):
    """Matrices ``(m, B, N, N)`` as the Jacobians of m steps."""

    def __init__(self, matrices: Tensor) -> None:
        super().__init__(matrices.shape[0], matrices.shape[1], matrices.shape[2])
        self._matrices = matrices

    def push(self, t: int, Q: Tensor, /) -> Tensor:
        return self._matrices[t] @ Q

    def dense(self, start: int, stop: int, /) -> Tensor:
        return self._matrices[start:stop]


class _Transposed(Linearization):
    """The transposed Jacobians, the last step first."""

    def __init__(self, linearization: Linearization) -> None:
        super().__init__(linearization.steps, linearization.batch, linearization.state_size)
        self._linearization = linearization

    def push(self, t: int, Q: Tensor, /) -> Tensor:
        return self._linearization.pull(self.steps - 1 - t, Q)

    def dense(self, start: int, stop: int, /) -> Tensor:
        return self._linearization.dense(self.steps - stop, self.steps - start).flip(0).transpose(-1, -2)


@right_keywords
def jacobian_spectrum(
    model: Model,
    inputs: Any,
    /,
    *,
    initial: Any = None,
    of_output: bool = False,
    dtype: torch.dtype | None = torch.float64,
) -> JacobianSpectrum:
    """Measure the singular values of the long-term Jacobian ``∂s_T/∂s_0 = J_{T-1} ⋯ J_0``.

    The product is never formed in floating point, where rounding would hide all but the largest singular values. It is
    kept as triangular factors; passing through them once backwards and once forwards grades them, and a one-sided
    Jacobi method finds small singular values of the graded triangle to the same relative accuracy as large ones.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    inputs
        Sequence in the module's own layout, or a number of steps without input.
    initial
        Initial state in the module's own structure; zero where None.
    of_output
        Whether to measure the n singular values of ``∂h_T/∂s_0`` instead, h being the first part of the state. They
        differ only for LSTM layers, whose h is half of the state; for those they take a tenth of the time.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    JacobianSpectrum
        Log singular values of every batch element.

    References
    ----------
    Pennington, Schoenholz and Ganguli, Resurrecting the sigmoid in deep learning through dynamical isometry (2017);
    Drmač and Veselić, New fast and accurate Jacobi SVD algorithm I, SIAM J. Matrix Anal. Appl. 29 (2008).

    Examples
    --------
    >>> W = torch.diag(torch.tensor([1.0, 1e-3], dtype=torch.float64))
    >>> spectrum = jacobian_spectrum(lambda x, h: W @ h, 400, initial=torch.ones(2, dtype=torch.float64))
    >>> (spectrum.log_singular_values / np.log(10)).round(9).tolist()
    [[0.0, -1200.0]]
    """
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        linearization = recurrence.linearize(xs, states[:-1])
        part = next(iter(recurrence.parts.values()))
        if of_output and part.stop < recurrence.state_size:
            determinant = states.new_full((linearization.batch,), torch.nan)
            triangles = _triangles(_Transposed(linearization), states, part.stop)
        else:
            determinant = linearization.log_determinant().sum(0)
            triangles = _triangles(linearization, states, recurrence.state_size)
        # QR of the transposed factors, twice, as in the QR algorithm: the diagonal comes out by size.
        for _ in range(2):
            graded = _Matrices(triangles.flip(0).transpose(-1, -2))
            triangles = _triangles(graded, states, graded.state_size)
        values = np.stack([log_singular_values(product) for product in triangles.cpu().double().numpy().swapaxes(0, 1)])
    return JacobianSpectrum(values, determinant.cpu().numpy(), linearization.steps)


def _triangles(linearization: Linearization, like: Tensor, k: int) -> Tensor:
    """Return the triangular factors of the product of Jacobians with the first k columns of the identity."""
    Q = identity(linearization, k, like=like)
    return torch.stack([R for _, _, R in factors(linearization, Q, set())])


@right_keywords
def mean_log_singular_value(
    model: Model, inputs: Any, /, *, initial: Any = None, dtype: torch.dtype | None = torch.float64
) -> np.ndarray:
    """Measure the mean log singular value of the long-term Jacobian without computing any singular value.

    With ``J_t = D_t W`` of a plain recurrence, whose pre-activations are ``a_t``::

        (1/n) Σ_i log σ_i = (1/n) Σ_t log|det J_t| = (T/n) log|det W| + (1/n) Σ_t Σ_i log|φ'(a_t,i)|

    which takes O(nT) after the trajectory. The determinant of an LSTM has a closed form of the same kind; that of a GRU
    takes one LU factorization per step.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes.
    inputs
        Sequence in the module's own layout, or a number of steps without input.
    initial
        Initial state in the module's own structure; zero where None.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    numpy.ndarray
        ``(B,)`` in nats, over all T steps.

    Examples
    --------
    >>> W = torch.diag(torch.tensor([0.5, 2.0], dtype=torch.float64))
    >>> rates = mean_log_singular_value(lambda x, h: W @ h, 10, initial=torch.ones(2, dtype=torch.float64))
    >>> bool(abs(rates).max() < 1e-12)
    True
    """
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        total = recurrence.linearize(xs, states[:-1]).log_determinant().sum(0)
    return (total / recurrence.state_size).cpu().numpy()
