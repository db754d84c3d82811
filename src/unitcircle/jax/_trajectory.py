"""The trajectory of a step function over inputs, with its full state as a vector."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from unitcircle._array import to_numpy
from unitcircle.errors import ArgumentError

StepFunction = Callable[[Any, Any], Any]
"""``step(x, state) -> state``."""
LONGEST = 400
"""Characters of a message of JAX that are passed on."""


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
    inputs = inputs if autonomous else numbers(inputs, argument="inputs")
    lengths = {inputs} if autonomous else {leaf.shape[0] if leaf.ndim else 0 for leaf in jax.tree.leaves(inputs)}
    if len(lengths) != 1 or min(lengths) < 1:
        rule = "must be arrays with the same number of steps, at least one"
        raise ArgumentError("inputs", rule, f"lengths {sorted(lengths)}")
    xs = None if autonomous else inputs
    state = numbers(state, argument="state")
    check(step, None if autonomous else jax.tree.map(lambda leaf: leaf[0], inputs), state)
    start, unravel = vector_of(state)

    def flat(x: Any, s: jax.Array) -> jax.Array:
        return vector_of(step(x, unravel(s)))[0]

    def forward(s: jax.Array, x: Any) -> tuple[jax.Array, jax.Array]:
        after = flat(x, s)
        return after, after

    try:
        _, states = jax.lax.scan(forward, start, xs, length=min(lengths))
    except TypeError as error:
        raise ArgumentError("step", "must return a state like the one it takes", _cause(error)) from error
    return Trajectory(flat, xs, jnp.concatenate([start[None], states]), unravel)


def numbers(tree: Any, /, *, argument: str) -> Any:
    """Return a tree with arrays of JAX for leaves, or refuse what holds no numbers."""

    def leaf(value: Any) -> jax.Array:
        if isinstance(value, jax.Array):
            return value
        array = to_numpy(value, argument=argument)
        with np.errstate(over="ignore"):  # JAX may not have the range of the array
            return jnp.asarray(array.astype(np.float64) if array.dtype == np.longdouble else array)

    return jax.tree.map(leaf, tree)


def _cause(error: Exception) -> str:
    return textwrap.shorten(f"{type(error).__name__}: {error}", LONGEST)


def vector_of(state: Any, /) -> tuple[jax.Array, Callable[[jax.Array], Any]]:
    """Return a state as one real vector, real and imaginary parts of complex numbers in turn, and the way back."""
    parts, unravel = ravel_pytree(jax.tree.map(real_parts, state))
    return parts, lambda vector: jax.tree.map(lambda part, like: of_parts(part, like.dtype), unravel(vector), state)


def real_parts(leaf: jax.Array, /) -> jax.Array:
    """Return a complex array as a real one, with an axis of length 2 at the end."""
    return jnp.stack([leaf.real, leaf.imag], -1) if jnp.iscomplexobj(leaf) else leaf


def of_parts(part: jax.Array, dtype: Any, /) -> jax.Array:
    """Return the array of an element type whose :func:`real_parts` these are."""
    return part[..., 0] + 1j * part[..., 1] if jnp.issubdtype(dtype, jnp.complexfloating) else part


def check(step: StepFunction, x: Any, state: Any, /) -> None:
    """Check that the state holds floating-point numbers, and that a step returns a state like the one it takes."""
    leaves = jax.tree.leaves(state)
    if not leaves or not all(jnp.issubdtype(leaf.dtype, jnp.inexact) for leaf in leaves):
        dtypes = ", ".join(str(leaf.dtype) for leaf in leaves) or "no array"
        raise ArgumentError("state", "must hold floating-point arrays", dtypes)
    before = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    try:
        after = jax.eval_shape(step, x, state)
    except (TypeError, ValueError) as error:
        taken = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), (x, state))
        raise ArgumentError("step", f"must take an input and a state like {taken}", _cause(error)) from error
    same = jax.tree.structure(before) == jax.tree.structure(after)
    pairs = zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True)
    if not same or any(a.shape != b.shape for a, b in pairs):
        remedy = "For a flax cell: lambda x, carry: cell(carry, x)[0]."
        raise ArgumentError("step", f"must return a state like the one it takes, {before}", str(after), remedy)
