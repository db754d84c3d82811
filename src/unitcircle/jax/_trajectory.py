"""The trajectory of a step function over inputs, with its full state as a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree

from unitcircle.errors import ArgumentError

StepFunction = Callable[[Any, Any], Any]
"""``step(x, state) -> state``."""


@dataclass(frozen=True)
class Trajectory:
    """The states ``s_0, ..., s_T`` of a step function."""

    step: Callable[[Any, jax.Array], jax.Array]  # (x, s) -> s over vectors (N,)
    inputs: Any  # A tree with leading axis T, or None
    states: jax.Array  # (T + 1, N), the initial one first
    unravel: Callable[[jax.Array], Any]  # From a vector to the state's own structure

    @property
    def steps(self) -> int:
        """T."""
        return len(self.states) - 1


def trajectory(step: StepFunction, inputs: Any, state: Any, /) -> Trajectory:
    """Run a step function over inputs, in one scan."""
    autonomous = isinstance(inputs, int)
    lengths = {inputs} if autonomous else {leaf.shape[0] if jnp.ndim(leaf) else 0 for leaf in jax.tree.leaves(inputs)}
    if len(lengths) != 1 or min(lengths) < 1:
        rule = "must be arrays with the same number of steps, at least one"
        raise ArgumentError("inputs", rule, f"lengths {sorted(lengths)}")
    xs = None if autonomous else inputs
    state = jax.tree.map(jnp.asarray, state)
    check(step, None if autonomous else jax.tree.map(lambda leaf: leaf[0], inputs), state)
    start, unravel = ravel_pytree(state)

    def flat(x: Any, s: jax.Array) -> jax.Array:
        return ravel_pytree(step(x, unravel(s)))[0]

    def forward(s: jax.Array, x: Any) -> tuple[jax.Array, jax.Array]:
        after = flat(x, s)
        return after, after

    _, states = jax.lax.scan(forward, start, xs, length=min(lengths))
    return Trajectory(flat, xs, jnp.concatenate([start[None], states]), unravel)


def check(step: StepFunction, x: Any, state: Any, /) -> None:
    """Check that the state holds real numbers, and that a step returns a state like the one it takes."""
    leaves = jax.tree.leaves(state)
    if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in leaves):
        dtypes = ", ".join(str(leaf.dtype) for leaf in leaves) or "no array"
        raise ArgumentError("state", "must hold real floating-point arrays", dtypes)
    before = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    after = jax.eval_shape(step, x, state)
    same = jax.tree.structure(before) == jax.tree.structure(after)
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    if not same or any(a.shape != b.shape for a, b in pairs):
        remedy = "For a flax cell: lambda x, carry: cell(carry, x)[0]."
        raise ArgumentError("step", f"must return a state like the one it takes, {before}", str(after), remedy)
