"""Initializers in the form of ``jax.nn.initializers``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from unitcircle._filling import gated_cell
from unitcircle.errors import ArgumentError, DtypeError, ShapeError
from unitcircle.initializers import GateBias, Initializer, parse


def gaussian(key: jax.Array, shape: tuple[int, ...], dtype: Any, /, *, field: str = "real") -> jax.Array:
    """Draw the standard-normal numbers for a weight of a type: double for a double one, else single."""
    wanted = jnp.dtype(dtype)
    if field == "complex" and jnp.issubdtype(wanted, jnp.complexfloating):
        return jax.random.normal(key, shape, wanted)
    high = jnp.float64 if wanted in {jnp.dtype("float64"), jnp.dtype("complex128")} else jnp.float32
    return jax.random.normal(key, shape, high)


def draw(init: Initializer, key: jax.Array, shape: tuple[int, ...], dtype: Any, /) -> jax.Array:
    """Draw a weight in our convention ``(..., out, in)``, computed in float32 or float64 and cast last."""
    wanted = jnp.dtype(dtype)
    if not jnp.issubdtype(wanted, jnp.inexact):
        raise DtypeError("dtype", "must be a floating type", str(wanted))
    is_complex = jnp.issubdtype(wanted, jnp.complexfloating)
    weight = init(gaussian(key, shape, wanted, field=init.field))
    if jnp.iscomplexobj(weight) != is_complex:
        rule = f"must be {'real' if is_complex else 'complex'} for {init}"
        raise DtypeError("dtype", rule, str(wanted))
    return weight.astype(wanted)


def draw_bias(init: Initializer, key: jax.Array, shape: tuple[int, ...], dtype: Any, gates: int, /) -> jax.Array:
    """Draw a bias ``(..., k n)``; of a gate bias only the gates that it sets are not zero."""
    if gates == 1 or not isinstance(init, GateBias):
        return draw(init, key, shape, dtype)
    cell = gated_cell(init, gates)
    z = gaussian(key, (*shape[:-1], shape[-1] // gates), dtype)
    biases = init.gates(z, cell=cell)
    return jnp.concatenate([biases.get(gate, jnp.zeros_like(z)) for gate in cell.stack("flax")], axis=-1).astype(dtype)


@dataclass(frozen=True)
class JaxInitializer:
    """The return value of :func:`initializer`: equal and hashable by its specification, as flax modules need."""

    init: Initializer
    gates: int = 1

    def __call__(self, key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        """Draw a kernel ``(..., in, k out)`` or a bias ``(k n,)``."""
        sizes = list(shape)
        bias = self.init.axes == 1 or (self.init.elementwise and len(sizes) == 1)
        if len(sizes) < 2 - bias:
            raise ShapeError("shape", f"must have two axes (in, out) or more for {self.init}", f"{tuple(sizes)}")
        if not sizes or sizes[-1] % self.gates:
            raise ShapeError("shape", f"must end in a multiple of {self.gates}, one block per gate", f"{tuple(sizes)}")
        if bias:
            return draw_bias(self.init, key, tuple(sizes), dtype, self.gates)
        stack = (*sizes[:-2], self.gates, sizes[-1] // self.gates, sizes[-2])
        blocks = draw(self.init, key, stack, dtype)
        # (..., k, out, in) → (..., in, k, out): JAX's kernels act on rows, h @ kernel.
        return jnp.moveaxis(blocks, -1, -3).reshape(sizes)

    def __str__(self) -> str:
        return str(self.init)


def initializer(spec: Initializer | str, /, *, gates: int = 1) -> Callable[..., jax.Array]:
    r"""Return an initializer in the form of JAX's own, ``(key, shape, dtype=float32) -> Array``.

    .. math:: K = W^T, \qquad W = \mathrm{init}(z), \quad z \sim N(0, 1) \text{ from the key}

    Kernels of JAX and flax act on rows, ``h @ K``, and have the shape ``(in, out)``: they are the transposes of our
    weights. ``shape`` and ``dtype`` are static under ``jax.jit``.

    Parameters
    ----------
    spec
        Specification, or its text.
    gates
        Number k of gates of a fused kernel ``(m, k n)``, such as flax nnx's ``dense_h``: each block gets its own
        draw. In a bias ``(k n,)`` of 4 gates (i f g o) or 3 (r z n), ``forget_bias``, ``chrono`` and
        ``uniform_gate`` fill the gates that they set, and put zeros into the others.

    Returns
    -------
    Callable
        ``(key, shape, dtype)`` to an array. Leading axes of a kernel's shape are a batch of weights. bfloat16 and
        float16 are computed in float32 and cast last; complex types are for initializers that are complex. It is
        hashable, and equal to another of the same specification.

    Raises
    ------
    ArgumentError
        ``gates`` is not positive.

    Examples
    --------
    >>> kernel = initializer("orthogonal", gates=4)(jax.random.key(0), (3, 12))
    >>> [bool(jnp.allclose(block.T @ block, jnp.eye(3), atol=1e-6)) for block in jnp.split(kernel, 4, axis=1)]
    [True, True, True, True]
    """
    if gates < 1:
        raise ArgumentError("gates", "must be a positive number of gate blocks", str(gates))
    return JaxInitializer(parse(spec), gates)
