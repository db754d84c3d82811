"""Lyapunov exponents of a driven recurrence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from unitcircle._keywords import right_keywords
from unitcircle._series import Exponents, blocks_of, estimates, exponents_wanted
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._orthonormalization import factors, identity
from unitcircle.dynamics._recurrence import Linearization, Recurrence


@dataclass(frozen=True, eq=False)
class LyapunovExponents(Exponents):
    """Lyapunov exponents, natural logarithm per step, one row for each batch element (each with its own input).

    Attributes
    ----------
    exponents
        ``(B, k)``, descending; −inf for a direction that is lost.
    stderr
        ``(B, k)``: standard error over time, from blocks of steps; NaN for a single block.
    converged
        ``(B, k)``: the means over the first and second half agree within three standard errors of their difference, or
        within the tolerance, and the standard error is below the tolerance. True where both halves are −inf.
    log_determinant
        ``(B,)``: the mean of log|det J_t| from the Jacobians themselves; NaN for k < N, where it cannot be compared.
    state_size
        N.
    steps
        Number of steps measured, without burn-in.
    factorizations
        Number of QR factorizations, burn-in included.
    """

    exponents: np.ndarray
    stderr: np.ndarray
    converged: np.ndarray
    log_determinant: np.ndarray
    state_size: int
    steps: int
    factorizations: int

    @property
    def sum_residual(self) -> np.ndarray:
        """``|Σλ − ⟨log|det J|⟩|`` ``(B,)``, which should be of the order of rounding errors; NaN for k < N."""
        total = self.exponents.sum(-1)
        with np.errstate(invalid="ignore"):
            return np.where(total == self.log_determinant, 0.0, np.abs(total - self.log_determinant))


@right_keywords
def lyapunov_exponents(
    model: nn.Module | Callable[[Any, Any], Any] | Recurrence,
    inputs: Any,
    /,
    *,
    k: int | None = None,
    burn_in: int = 0,
    initial: Any = None,
    tolerance: float = 0.01,
    dtype: torch.dtype | None = torch.float64,
) -> LyapunovExponents:
    """Measure the exponential rates at which perturbations of the state grow along a driven trajectory.

    With ``J_t Q_t = Q_{t+1} R_t``, ``Q_0 = I``, over the full state::

        λ_i = (1/T) Σ_t log |(R_t)_ii|

    For k < N, Q_0 is the first k columns of I, or a random orthonormal matrix if the Jacobians map those to zero.

    Parameters
    ----------
    model
        What :func:`as_recurrence` takes; a :class:`Recurrence` for one direction or layer of a module.
    inputs
        Sequence in the module's own layout, or a number of steps to run without input (with input 0). Batch elements
        are measured in parallel.
    k
        Number of leading exponents; None for all N. Up to N/2 no Jacobian is formed.
    burn_in
        Number of steps at the start that are not measured, while state and perturbations settle.
    initial
        Initial state in the module's own structure; zero where None.
    tolerance
        Nats per step; see ``converged``.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    LyapunovExponents
        Exponents with errors, convergence, and the check ``Σλ = ⟨log|det J|⟩``.

    Raises
    ------
    ArgumentError
        k outside 1..N, or burn-in as long as the inputs.

    References
    ----------
    Benettin, Galgani, Giorgilli and Strelcyn, Lyapunov characteristic exponents, Meccanica 15 (1980), part 2;
    Vogt, Puelma Touzel, Shlizerman and Lajoie, On Lyapunov exponents for RNNs (2020).

    Examples
    --------
    A linear map's exponents are the logarithms of the moduli of its eigenvalues.

    >>> W = torch.tensor([[0.0, -0.9], [0.9, 0.0]], dtype=torch.float64)
    >>> result = lyapunov_exponents(lambda x, h: W @ h, 100, initial=torch.ones(2, dtype=torch.float64))
    >>> bool(abs(result.exponents - np.log(0.9)).max() < 1e-14)
    True
    """
    recurrence = as_recurrence(model, state=initial, dtype=dtype)
    n = recurrence.state_size
    with recurrence.as_found(), torch.no_grad():
        xs, states = recurrence.trajectory(inputs, initial=initial)
        wanted, steps = exponents_wanted(k, n, burn_in, len(states) - 1)
        linearization = recurrence.linearize(xs, states[:-1])
        edges = burn_in + blocks_of(steps)
        start = identity(linearization, wanted, like=states)
        sums, count = _log_sums(linearization, start, edges, measured_from_start=burn_in == 0)
        if wanted < n and bool(torch.isneginf(sums).any()):
            # The maps may send a column of I to zero although others survive: h of an LSTM without recurrent weights.
            # A random direction has a component along the surviving ones.
            generator = torch.Generator().manual_seed(0)
            random = torch.randn(start.shape, generator=generator, dtype=start.dtype).to(start.device)
            basis = torch.linalg.qr(random)[0]
            sums, further = _log_sums(linearization, basis, edges, measured_from_start=burn_in == 0)
            count += further
        if wanted == n:
            determinant = linearization.log_determinant()[burn_in:].mean(0).cpu().numpy()
        else:
            determinant = np.full(linearization.batch, np.nan)
    lengths = np.diff(edges)
    means = sums[1:].cpu().numpy() / lengths[:, None, None]
    exponents, stderr, converged = estimates(means, lengths, tolerance)
    return LyapunovExponents(exponents, stderr, converged, determinant, n, steps, count)


def _log_sums(
    linearization: Linearization, start: torch.Tensor, edges: np.ndarray, *, measured_from_start: bool
) -> tuple[torch.Tensor, int]:
    """Return Σ log|R_ii| over each block of steps ``(blocks, B, k)``, block 0 the burn-in, and the number of QRs."""
    block = int(measured_from_start)
    blocks: list[int] = []
    diagonals: list[torch.Tensor] = []
    for t, R in factors(linearization, start, set(edges.tolist())):
        diagonals.append(R.diagonal(dim1=-2, dim2=-1))
        blocks.append(block)
        block = min(block + (t == edges[block]), len(edges) - 1)
    logs = torch.stack(diagonals).abs().log()
    sums = logs.new_zeros(len(edges), *logs.shape[1:])
    return sums.index_add_(0, torch.tensor(blocks, device=logs.device), logs), len(blocks)
