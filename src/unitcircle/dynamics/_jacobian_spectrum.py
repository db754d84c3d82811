"""Singular values of the long-term Jacobian: dynamical isometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.linalg import lapack
from torch import Tensor, nn

from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._orthonormalization import factors, identity
from unitcircle.dynamics._recurrence import Linearization, Recurrence

Model = nn.Module | Callable[[Any, Any], Any] | Recurrence

_RANGE = 600.0
"""Nats between the largest and smallest singular value that one block of doubles may span."""


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
        values = np.stack(
            [_log_singular_values(product) for product in triangles.cpu().double().numpy().swapaxes(0, 1)]
        )
    return JacobianSpectrum(values, determinant.cpu().numpy(), linearization.steps)


def _triangles(linearization: Linearization, like: Tensor, k: int) -> Tensor:
    """Return the triangular factors of the product of Jacobians with the first k columns of the identity."""
    Q = identity(linearization, k, like=like)
    return torch.stack([R for _, _, R in factors(linearization, Q, set())])


def _log_singular_values(triangles: np.ndarray) -> np.ndarray:
    """Return the log singular values of ``R_m ⋯ R_1``, upper triangular factors ``(m, N, N)`` of a graded product."""
    n = triangles.shape[-1]
    scale, rows = np.zeros(n), np.eye(n)
    for R in triangles:
        # Row i of the product so far is e^scale_i rows_i; the scale of a zero row is −inf.
        top = scale[np.isfinite(scale)].max(initial=-np.inf)
        if np.isneginf(top):
            break
        with np.errstate(invalid="ignore", over="ignore"):
            weights = R * np.exp(np.clip(scale[None, :] - scale[:, None], None, 700.0))
        lost = np.isneginf(scale)
        weights[:, lost] = 0.0
        weights[lost] = R[lost] * np.where(lost, 0.0, np.exp(np.where(lost, 0.0, scale - top)))
        rows = weights @ rows
        scale = np.where(lost, top, scale)
        lengths = np.linalg.norm(rows, axis=1)
        with np.errstate(divide="ignore"):
            scale = scale + np.log(lengths)
        rows /= np.where(lengths > 0, lengths, 1.0)[:, None]
    order = np.argsort(-scale, kind="stable")
    blocks = [_block_singular_values(scale[block], rows[np.ix_(block, block)]) for block in _split(scale, order)]
    return -np.sort(-np.concatenate(blocks))


def _split(scale: np.ndarray, order: np.ndarray) -> list[np.ndarray]:
    """Cut graded rows at the widest gaps until no block spans more nats than the exponents of doubles allow."""
    finite = order[np.isfinite(scale[order])]
    lost = order[finite.size :]
    wide, narrow = [finite] if finite.size else [], [np.array([j]) for j in lost]
    while wide:
        block = wide.pop()
        if scale[block[0]] - scale[block[-1]] <= _RANGE:
            narrow.append(block)
        else:
            cut = int(np.argmax(-np.diff(scale[block]))) + 1
            wide += [block[:cut], block[cut:]]
    return narrow


def _block_singular_values(scale: np.ndarray, rows: np.ndarray) -> np.ndarray:
    if np.isneginf(scale[0]):
        return scale
    # dgejsv is accurate for columns of different scale (joba "C"): those of the transpose.
    columns = np.asfortranarray((np.exp(scale - scale[0])[:, None] * rows).T)
    values, _, _, work, _, info = lapack.dgejsv(  # pyright: ignore[reportAttributeAccessIssue]
        columns, joba=0, jobu=3, jobv=3, jobr=0, jobt=1, jobp=1
    )
    with np.errstate(divide="ignore"):
        logs = np.log(values * (work[0] / work[1])) + scale[0]
    return np.where(info == 0, logs, np.nan)


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
    """
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        total = recurrence.linearize(xs, states[:-1]).log_determinant().sum(0)
    return (total / recurrence.state_size).cpu().numpy()
