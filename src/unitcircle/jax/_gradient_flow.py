"""Gradient flow through a step function: the norm of a gradient by lag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle._growth import Flow
from unitcircle._keywords import right_keywords
from unitcircle.errors import ArgumentError
from unitcircle.jax._trajectory import StepFunction, trajectory


@partial(jax.tree_util.register_dataclass, data_fields=["log_norms", "parts"], meta_fields=[])
@dataclass(frozen=True, eq=False)
class GradientFlow(Flow[np.ndarray]):
    """Norms of a gradient by lag, ``T`` steps back from the last state.

    Rates and horizons are NumPy arrays without an axis, or with the leading axes of ``jax.vmap``.

    Attributes
    ----------
    log_norms
        ``(T + 1,)``: natural logarithm of the norm with respect to the full state, by lag: lag 0 is the last state,
        lag T the initial one. −inf where the norm is 0, NaN where a number was not finite.
    parts
        The same with respect to each array of the state, in the structure of the state.
    """

    log_norms: jax.Array
    parts: Any

    @property
    def norms(self) -> jax.Array:
        """The norms by lag, ``(T + 1,)``."""
        return jnp.exp(self.log_norms)

    @property
    def steps(self) -> int:
        """T."""
        return np.shape(self.log_norms)[-1] - 1

    def _measure(self, measure: Callable[[np.ndarray], float], /) -> np.ndarray:
        curves = np.asarray(self.log_norms, dtype=np.float64)
        return np.apply_along_axis(lambda curve: measure(curve[:, None]), -1, curves)

    def __str__(self) -> str:
        return f"{self.growth_rate.mean():+.3g} nats per step back, over {self.steps} steps"


@right_keywords
def gradient_flow(
    step: StepFunction,
    inputs: Any,
    state: Any,
    /,
    *,
    loss: Callable[[Any], jax.Array] | None = None,
    key: jax.Array | int = 0,
) -> GradientFlow:
    r"""Measure how the norm of the gradient changes with the lag, in one forward and one backward scan.

    .. math:: \log ‖∂L/∂s_{T-k}‖_2, \qquad k = 0, …, T

    s_t is one vector, whose entries are independent coordinates: the gradient at the c of an LSTM excludes what flows
    through the h of its own step, which that of :func:`unitcircle.dynamics.gradient_flow` at a torch module includes.
    The loss is one of the last state, or ``L = v·s_T`` with random signs v. At every step back the gradient is scaled
    to norm 1 and the logarithm of the scale is kept, so that it neither underflows nor overflows. Works under
    ``jax.jit`` and ``jax.vmap``.

    Parameters
    ----------
    step
        ``step(x, state) -> state``, with the parameters in its closure. For a flax cell:
        ``lambda x, carry: cell(carry, x)[0]``.
    inputs
        A tree of arrays with leading axis T, or the number T of steps, with None for x.
    state
        The initial state: any tree of arrays; of a complex one the gradient is that by real and imaginary parts.
    loss
        Scalar function of the last state. For the output of an LSTM: ``lambda carry: v @ carry[1]``.
    key
        JAX key, or a seed, of the random signs.

    Returns
    -------
    GradientFlow
        Log-norms by lag.

    Raises
    ------
    ArgumentError
        No step, a state that does not hold floating-point numbers, a step that does not return a state like the
        one it takes, or a loss that is not a scalar.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013), eqs. 3-5.

    Examples
    --------
    >>> W = 0.9 * jnp.eye(4)
    >>> flow = gradient_flow(lambda x, h: W @ h, 50, jnp.ones(4))
    >>> flow.log_norms.shape, round(float(flow.growth_rate), 4)  # log 0.9
    ((51,), -0.1054)
    """
    run = trajectory(step, inputs, state)
    last = run.states[-1]
    if loss is None:
        cotangent = jax.random.rademacher(jax.random.key(key) if isinstance(key, int) else key, last.shape, last.dtype)
    else:
        value = jax.eval_shape(loss, run.unravel(last))
        if getattr(value, "shape", None) != ():
            raise ArgumentError("loss", "must be a scalar function of the last state", str(value))
        cotangent = jax.grad(lambda s: loss(run.unravel(s)))(last)

    def rescale(log_scale: jax.Array, g: jax.Array) -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, Any]]:
        norm = _norm(g)
        g = jnp.where(norm > 0, g / jnp.where(norm > 0, norm, 1), g)
        log_scale += jnp.log(norm)
        return (log_scale, g), (log_scale, jax.tree.map(lambda part: log_scale + jnp.log(_norm(part)), run.unravel(g)))

    def back(carry: tuple[jax.Array, jax.Array], at: Any) -> tuple[Any, Any]:
        x, s = at
        log_scale, g = carry
        _, pull = jax.vjp(lambda s: run.step(x, s), s)
        return rescale(log_scale, pull(g)[0])

    carry, first = rescale(jnp.zeros((), last.dtype), cotangent)
    _, rest = jax.lax.scan(back, carry, (run.inputs, run.states[:-1]), reverse=True)
    # The scan stacks its results in the order of time.
    log_norms, parts = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b[::-1]]), first, rest)
    return GradientFlow(log_norms, parts)


def _norm(g: jax.Array) -> jax.Array:
    largest = jnp.max(jnp.abs(g), initial=0)
    scale = jnp.where(largest > 0, largest, 1)
    return scale * jnp.sqrt(jnp.sum(jnp.abs(g / scale) ** 2))
