"""Singular values of the long-term Jacobian: dynamical isometry."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from unitcircle._graded_products import Triangles
from unitcircle._keywords import right_keywords
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._recurrence import Linearization, Recurrence
from unitcircle.dynamics._row_pushes import RowPushes

Model = nn.Module | Callable[[Any, Any], Any] | Recurrence


@dataclass(frozen=True, eq=False)
class JacobianSpectrum:
    """Singular values of ``∂s_T/∂s_0``, over the full state.

    Attributes
    ----------
    log_singular_values
        Natural logarithms ``(B, N)``, descending, accurate however many decades they span; −inf for directions that a
        step maps to zero up to the rounding of its Jacobian's entries, NaN for a sequence whose product did not
        converge. An LSTM that starts from zero, without bias and with a first input of 0, has n of them, since h is
        then a multiple of c.
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
    kept as triangular factors of the ranks that the steps leave, and its rows come out by size, each with an exponent
    of its own. How far rounding may have moved the singular values is followed through the factors; where that is more
    than 1e-7, the transposed factors are factored, again as in the QR algorithm, until it is less. A one-sided Jacobi
    method then finds the small singular values of the graded triangle to the same relative accuracy as large ones.
    What remains is the rounding of the Jacobians themselves: about 1e-16 times the condition number of each step,
    columns scaled to norm 1, and at least 1e-8 a step; ``sum_residual`` shows it.

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
        transposed = of_output and part.stop < recurrence.state_size
        if transposed:
            determinant = states.new_full((linearization.batch,), torch.nan)
        else:
            determinant = linearization.log_determinant().sum(0)
        basis = np.eye(recurrence.state_size, part.stop if transposed else None)
        eps = torch.finfo(states.dtype).eps
        pushes = None if transposed else linearization.row_pushes()
        if pushes is not None:
            values = np.stack([_of_sequence(pushes.of(b), basis, linearization.steps) for b in range(len(states[0]))])
        else:
            products = [Triangles(basis, eps) for _ in range(linearization.batch)]
            for J in _jacobians(linearization, transposed=transposed):
                for product, matrix in zip(products, J, strict=True):
                    product.take(matrix)
            values = np.stack([product.log_singular_values() for product in products])
    return JacobianSpectrum(values, determinant.cpu().numpy(), linearization.steps)


def _of_sequence(pushes: RowPushes, basis: np.ndarray, steps: int) -> np.ndarray:
    """Return the log singular values of one sequence, of which no Jacobian is formed."""
    product = Triangles(basis, apply=lambda t, rows: pushes.through(t, t + 1, rows[None])[0])
    for t in range(steps):
        product.take(t)
    return product.log_singular_values()


def _jacobians(linearization: Linearization, *, transposed: bool) -> Iterator[np.ndarray]:
    """Yield the Jacobians ``(B, N, N)`` of every step, or the transposed ones, the last step first."""
    starts = range(0, linearization.steps, linearization.chunk)
    for start in reversed(starts) if transposed else starts:
        J = linearization.dense(start, min(start + linearization.chunk, linearization.steps))
        values = J.cpu().double().numpy()
        yield from values[::-1].swapaxes(-1, -2) if transposed else values


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
