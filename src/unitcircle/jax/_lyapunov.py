"""Lyapunov exponents of a step function."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle._keywords import right_keywords
from unitcircle._series import Exponents, blocks_of, estimates, exponents_wanted
from unitcircle.jax._trajectory import StepFunction, Trajectory, trajectory


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["exponents", "stderr", "converged"],
    meta_fields=["state_size", "steps"],
)
@dataclass(frozen=True, eq=False)
class LyapunovExponents(Exponents):
    """Lyapunov exponents, natural logarithm per step.

    Attributes
    ----------
    exponents
        ``(k,)``, descending; −inf for a direction that is lost; NaN where the trajectory is not finite.
    stderr
        ``(k,)``: standard error over time, from blocks of steps; NaN for a single block.
    converged
        ``(k,)``: the means over the first and second half agree within three standard errors of their difference, or
        within the tolerance, and the standard error is below the tolerance. True where both halves are −inf.
    state_size
        N.
    steps
        Number of steps measured, without burn-in.
    """

    exponents: jax.Array
    stderr: jax.Array
    converged: jax.Array
    state_size: int
    steps: int


@right_keywords
def lyapunov_exponents(
    step: StepFunction, inputs: Any, state: Any, /, *, k: int | None = None, burn_in: int = 0, tolerance: float = 0.01
) -> LyapunovExponents:
    r"""Measure the exponential rates at which perturbations of the state grow along a driven trajectory.

    .. math:: J_t Q_t = Q_{t+1} R_t, \quad Q_0 = I, \qquad λ_i = \frac{1}{T} \sum_t \log |(R_t)_{ii}|

    over the full state as a vector, with a QR factorization at every step. J Q is computed by forward-mode
    differentiation inside the scan, so that no Jacobian is stored. Works under ``jax.jit`` and ``jax.vmap``.

    Parameters
    ----------
    step
        ``step(x, state) -> state``, with the parameters in its closure. For a flax cell:
        ``lambda x, carry: cell(carry, x)[0]``.
    inputs
        A tree of arrays with leading axis T, or the number T of steps, with None for x.
    state
        The initial state: any tree of arrays, N real numbers in all. A complex number is two, its real and its
        imaginary part, and each exponent of a recurrence that is complex linear counts twice.
    k
        Number of leading exponents; None for all N. For k < N, Q_0 is the first k columns of I, or a random orthonormal
        matrix if the Jacobians map those to zero.
    burn_in
        Number of steps at the start that are not measured, while state and perturbations settle.
    tolerance
        Nats per step; see ``converged``.

    Returns
    -------
    LyapunovExponents
        Exponents with errors and convergence; Kaplan-Yorke dimension and entropy rate follow from them.

    Raises
    ------
    ArgumentError
        k outside 1..N, burn-in as long as the inputs, no step, a state that does not hold floating-point numbers,
        or a step that does not return a state like the one it takes.

    Notes
    -----
    A diagonal entry of R below N·eps times the largest column norm of J Q is rounding and counts as 0. Run long
    products in float64 (``jax.enable_x64``). For a state in half precision the step and J Q are computed in half
    precision, the QR factorization in float32.

    References
    ----------
    Benettin, Galgani, Giorgilli and Strelcyn, Lyapunov characteristic exponents, Meccanica 15 (1980), part 2;
    Vogt, Puelma Touzel, Shlizerman and Lajoie, On Lyapunov exponents for RNNs (2020).

    Examples
    --------
    >>> W = jnp.array([[0.0, -0.9], [0.9, 0.0]])
    >>> lyapunov_exponents(lambda x, h: W @ h, 100, jnp.ones(2)).exponents.round(4)  # log 0.9, twice
    Array([-0.1054, -0.1054], dtype=float32)
    """
    run = trajectory(step, inputs, state)
    n = run.states.shape[1]
    wanted, steps = exponents_wanted(k, n, burn_in, run.steps)
    # LAPACK has no half precision.
    start = jnp.eye(n, wanted, dtype=jnp.promote_types(run.states.dtype, jnp.float32))
    logs = log_factors(run, start)[burn_in:]
    if wanted < n:
        # The maps may send a column of I to zero although others survive; a random direction they do not.
        random = jnp.linalg.qr(jax.random.normal(jax.random.key(0), start.shape, start.dtype))[0]
        logs = jax.lax.cond(jnp.isneginf(logs).any(), lambda: log_factors(run, random)[burn_in:], lambda: logs)
    edges = blocks_of(steps)
    means = jnp.stack([logs[a:b].mean(0) for a, b in pairwise(edges)])
    return LyapunovExponents(*estimates(means, np.diff(edges), tolerance), n, steps)


def log_factors(run: Trajectory, Q: jax.Array, ends: np.ndarray | None = None, /) -> jax.Array:
    """Return log|R_ii| of every step, ``(T, k)``; 0 at those that do not end with a factorization, if any."""
    n = run.states.shape[1]

    def factor(product: jax.Array) -> tuple[jax.Array, jax.Array]:
        basis, R = jnp.linalg.qr(product)
        diagonal = jnp.abs(jnp.diagonal(R))
        noise = n * jnp.finfo(Q.dtype).eps * jnp.linalg.norm(product, axis=0).max()
        return basis, jnp.log(jnp.where(diagonal <= noise, 0, diagonal))

    def wait(product: jax.Array) -> tuple[jax.Array, jax.Array]:
        return product, jnp.zeros(Q.shape[1], Q.dtype)

    def advance(Q: jax.Array, at: Any) -> tuple[jax.Array, jax.Array]:
        x, s, end = at
        _, push = jax.linearize(lambda s: run.step(x, s), s)
        product = jax.vmap(push, in_axes=1, out_axes=1)(Q.astype(s.dtype)).astype(Q.dtype)
        return factor(product) if end is None else jax.lax.cond(end, factor, wait, product)

    return jax.lax.scan(advance, Q, (run.inputs, run.states[:-1], ends))[1]
