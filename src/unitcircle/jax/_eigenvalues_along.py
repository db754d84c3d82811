"""The Jacobian of a step function, and its eigenvalues along a trajectory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from unitcircle._keywords import right_keywords
from unitcircle.errors import ArgumentError
from unitcircle.jax._trajectory import StepFunction, check, numbers, trajectory, vector_of


@partial(jax.tree_util.register_dataclass, data_fields=["jacobian", "at"], meta_fields=[])
@dataclass(frozen=True, eq=False)
class StepEigenvalues:
    """Eigenvalues of the Jacobians along a trajectory.

    Attributes
    ----------
    jacobian
        Complex ``(T', N)``, by decreasing modulus: eigenvalues of ``∂s_{t+1}/∂s_t`` at the measured steps; NaN where
        the Jacobian is not finite.
    at
        The measured steps ``(T',)``.
    """

    jacobian: jax.Array
    at: jax.Array

    @property
    def radius(self) -> jax.Array:
        """Spectral radius of the Jacobian at every measured step, ``(T',)``."""
        return jnp.abs(self.jacobian[..., 0])


@right_keywords
def jacobian(step: StepFunction, x: Any, state: Any, /) -> jax.Array:
    """Return ``∂F/∂s`` of a step ``s' = F(x, s)``, over the full state as one vector.

    Parameters
    ----------
    step
        ``step(x, state) -> state``.
    x
        The input of this step, or None.
    state
        Any tree of arrays, N real numbers in all, in the order of ``jax.flatten_util.ravel_pytree``; a complex number
        is two, its real and its imaginary part.

    Returns
    -------
    jax.Array
        ``(N, N)``, rows are entries of the next state.

    Raises
    ------
    ArgumentError
        A state that does not hold floating-point numbers, or a step that does not return a state like the one it takes.

    Examples
    --------
    >>> jacobian(lambda x, h: jnp.tanh(2 * h), None, jnp.zeros(2))
    Array([[2., 0.],
           [0., 2.]], dtype=float32)
    """
    x, state = numbers(x, argument="x"), numbers(state, argument="state")
    check(step, x, state)
    vector, unravel = vector_of(state)
    return jax.jacfwd(lambda s: vector_of(step(x, unravel(s)))[0])(vector)


@right_keywords
def eigenvalues_along(step: StepFunction, inputs: Any, state: Any, /, *, every: int = 1) -> StepEigenvalues:
    """Measure the eigenvalues of ``J_t = ∂s_{t+1}/∂s_t`` along a trajectory.

    Parameters
    ----------
    step
        ``step(x, state) -> state``, with the parameters in its closure. For a flax cell:
        ``lambda x, carry: cell(carry, x)[0]``.
    inputs
        A tree of arrays with leading axis T, or the number T of steps, with None for x.
    state
        The initial state: any tree of arrays, N real numbers in all (a complex one is two).
    every
        Interval between measurements, in steps: 0, ``every``, 2 ``every``, ...

    Returns
    -------
    StepEigenvalues
        Eigenvalues, from one Jacobian at a time. Works under ``jax.jit`` where JAX computes eigenvalues of general
        matrices: on CPUs, and on GPUs in newer versions.

    Raises
    ------
    ArgumentError
        ``every`` is not positive, no step, a state that does not hold floating-point numbers, or a step that does
        not return a state like the one it takes.

    Examples
    --------
    >>> W = jnp.diag(jnp.array([0.5, -0.25]))
    >>> along = eigenvalues_along(lambda x, h: W @ h, 4, jnp.ones(2), every=2)
    >>> along.jacobian.real.tolist(), along.at.tolist()
    ([[0.5, -0.25], [0.5, -0.25]], [0, 2])
    """
    if every < 1:
        raise ArgumentError("every", "must be at least 1", f"{every}")
    run = trajectory(step, inputs, state)
    at = jnp.arange(0, run.steps, every)

    def eigenvalues(point: Any) -> jax.Array:
        x, s = point
        J = jax.jacfwd(lambda s: run.step(x, s))(s)
        # LAPACK has no half precision.
        values = jnp.linalg.eigvals(J.astype(jnp.promote_types(J.dtype, jnp.float32)))
        return values[jnp.argsort(-jnp.abs(values))]

    points = (jax.tree.map(lambda leaf: leaf[::every], run.inputs), run.states[:-1:every])
    return StepEigenvalues(jax.lax.map(eigenvalues, points), at)
