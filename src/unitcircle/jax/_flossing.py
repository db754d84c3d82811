"""Gradient flossing: a differentiable penalty on Lyapunov exponents."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle._arguments import whole_number
from unitcircle._keywords import right_keywords
from unitcircle._series import exponents_wanted, generic_basis, require_kept
from unitcircle.jax._lyapunov import log_factors
from unitcircle.jax._trajectory import StepFunction, trajectory


@right_keywords
def gradient_flossing(
    step: StepFunction, inputs: Any, state: Any, /, *, k: int | None = None, every: int = 1, burn_in: int = 0
) -> jax.Array:
    r"""Return the penalty of gradient flossing: the mean square of the k leading Lyapunov exponents.

    .. math:: \frac{1}{k} \sum_{i=1}^{k} λ_i^2, \qquad
              λ_i = \frac{1}{T - T_0} \sum_{t > T_0} \log |(R_t)_{ii}|, \quad Q_t R_t = J_t Q_{t-1}

    Its gradient with respect to what is in the closure of ``step`` goes through the states, the Jacobians and the QR
    factorizations. A loop over it alone brings the exponents to 0 before training; added to a loss, with a weight, it
    keeps them there. It is for one trajectory: the mean over a batch is that of
    ``jax.vmap(lambda xs: gradient_flossing(step, xs, state, k=k))(batch)``.

    Parameters
    ----------
    step
        ``step(x, state) -> state``, with the parameters in its closure.
    inputs
        A tree of arrays with leading axis T, or the number T of steps, with None for x.
    state
        The initial state: any tree of arrays, N real numbers in all (a complex one is two).
    k
        Number of leading exponents; None for all N.
    every
        Steps between two QR factorizations. A direction that shrinks against another by 1/eps in between is lost.
    burn_in
        T_0, the number of steps at the start that are not measured, while state and directions settle.

    Returns
    -------
    jax.Array
        Scalar (nats² per step²). Under ``jax.jit``, where nothing can be refused, it is inf where a direction is lost
        and NaN where the trajectory is not finite.

    Raises
    ------
    ArgumentError
        A direction is lost, so that its exponent is −∞ or rounding; k outside 1..N, burn-in as long as the inputs, no
        step, a state that does not hold floating-point numbers, or a step that does not return a state like the one it
        takes.
    NotFiniteError
        The trajectory is not finite.

    Notes
    -----
    The directions start at a fixed random orthonormal basis (for k = N at I), the same as in
    ``unitcircle.torch.gradient_flossing``, with which it agrees to rounding.

    References
    ----------
    R. Engelken, "Gradient flossing: improving gradient descent through dynamic control of Jacobians", NeurIPS 2023,
    arXiv 2312.17306.

    Examples
    --------
    >>> def penalty(W):
    ...     return gradient_flossing(lambda x, h: W @ h, 10, jnp.ones(2))
    >>> value, slope = jax.value_and_grad(penalty)(jnp.array([[0.0, -0.5], [0.5, 0.0]]))
    >>> bool(jnp.isclose(value, jnp.log(0.5) ** 2))
    True
    """
    run = trajectory(step, inputs, state)
    n = run.states.shape[1]
    every = whole_number("every", every)
    wanted, measured = exponents_wanted(k, n, burn_in, run.steps)
    # The intervals of burn-in and measurement begin anew; the last of each may be shorter.
    after = np.arange(1, run.steps + 1)
    ends = ((after - np.where(after > burn_in, burn_in, 0)) % every == 0) | np.isin(after, (burn_in, run.steps))
    # LAPACK has no half precision.
    basis = jnp.asarray(generic_basis(n, wanted), jnp.promote_types(run.states.dtype, jnp.float32))
    logs = log_factors(run, basis, None if every == 1 else ends)[burn_in:]
    exponents = jnp.where(jnp.isfinite(run.states).all(), logs.sum(0) / measured, jnp.nan)
    require_kept(exponents)
    return jnp.square(exponents).mean()
