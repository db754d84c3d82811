"""A scan with something added to its states, and the cotangents of these."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle.jax._program import Evaluator, widen
from unitcircle.jax._scan_curves import ScanCurves
from unitcircle.jax._scan_states import RecurrentScan
from unitcircle.jax._trajectory import of_parts, real_parts


def zeros_like_states(scan: RecurrentScan, *, double: bool) -> tuple[jax.Array, ...]:
    """Return perturbations of all states that are zero."""
    shapes = [scan.equation.shapes[j] for j in scan.leaves]
    leaves = [jnp.zeros((scan.steps + 1, *shape), dtype) for shape, dtype in shapes]
    return tuple(map(widen, leaves) if double else leaves)


def zeros_like_made(scan: RecurrentScan, *, double: bool) -> tuple[jax.Array, ...]:
    """Return perturbations of the arrays of the states as a step makes them; none where there is but one array."""
    return tuple(leaf[1:] for leaf in zeros_like_states(scan, double=double)) if len(scan.leaves) > 1 else ()


def total(of_states: Sequence[np.ndarray], of_made: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
    """Return gradients of states ``(T + 1, ...)`` with what flows through other arrays of the same step."""
    if not of_made:
        return tuple(of_states)
    return tuple(np.concatenate([a[:1], b]) for a, b in zip(of_states, of_made, strict=True))


def perturbed(
    evaluator: Evaluator,
    scan: RecurrentScan,
    taken: Sequence[Any],
    added: tuple[jax.Array, ...],
    made: tuple[jax.Array, ...] = (),
) -> tuple[Sequence[Any], tuple[jax.Array, ...], Any]:
    """Run a scan with something added to every state; return its outputs, the states, and inputs with initial state."""
    # What is added where the state is made is seen by the other arrays of the same step too.
    params, body = scan.equation.params, scan.body
    first, carries, reverse = params["num_consts"], params["num_carry"], params["reverse"]
    after = body.outputs[:carries]
    in_order = [leaf[1:][::-1] if reverse else leaf[1:] for leaf in added]
    of_made = [leaf[::-1] if reverse else leaf for leaf in made]
    place = {var: k for k, equation in enumerate(body.equations) for var in equation.outputs}
    order = sorted(scan.leaves, key=lambda j: place.get(var, -1) if isinstance(var := after[j], int) else -1)
    constants, xs = tuple(taken[:first]), tuple(taken[first + carries :])
    start = list(taken[first : first + carries])
    for leaf, j in zip(added, scan.leaves, strict=True):
        start[j] = start[j] + leaf[0]

    def step(carry: Any, x: Any) -> Any:
        values, terms, inner = x
        inside: dict[int, Any] = {}
        own = evaluator.run(body, [*constants, *carry, *values], values=inside)
        before: dict[int, Any] = {}
        for j, term in sorted(zip(scan.leaves, inner, strict=False), key=lambda pair: order.index(pair[0])):
            if isinstance(var := after[j], int) and var in place:
                before[var] = own[j] + term
                own = evaluator.run(body, [*constants, *carry, *values], replaced=before, values=inside)
            else:
                own[j] = own[j] + term
        states = tuple(own[j] + term for j, term in zip(scan.leaves, terms, strict=True))
        # What else the step returns sees the perturbed state; the arrays of the state do not see one another.
        held = {var: state for j, state in zip(scan.leaves, states, strict=True) if isinstance(var := after[j], int)}
        outputs = evaluator.run(body, [*constants, *carry, *values], replaced=held, values=inside)
        following = outputs[:carries]
        for j, state in zip(scan.leaves, states, strict=True):
            following[j] = state
        others = tuple(value for j, value in enumerate(carry) if j not in scan.leaves)
        return tuple(following), (tuple(outputs[carries:]), states, others)

    last, (ys, states, others) = jax.lax.scan(
        step, tuple(start), (xs, tuple(in_order), tuple(of_made)), length=params["length"], reverse=reverse
    )
    initial = tuple(start[j] for j in scan.leaves)
    states = tuple(leaf[::-1] if reverse else leaf for leaf in states)
    full = tuple(jnp.concatenate([s[None], leaf]) for s, leaf in zip(initial, states, strict=True))
    along = jax.tree.map(lambda leaf: leaf[::-1] if reverse else leaf, (xs, others))
    return [*last, *ys], full, (constants, along, initial)


def state_step(
    evaluator: Evaluator, scan: RecurrentScan, constants: Sequence[jax.Array], /
) -> Callable[[Any, Any], Any]:
    """Return the step of a scan over its state alone, in real numbers."""
    carries = scan.equation.params["num_carry"]
    like = [scan.equation.shapes[j][1] for j in scan.leaves]

    def step(x: Any, state: Any) -> Any:
        values, others = x
        known = iter(others)
        own = iter([of_parts(part, dtype) for part, dtype in zip(state, like, strict=True)])
        carry = [next(own) if j in scan.leaves else next(known) for j in range(carries)]
        outputs = evaluator.run(scan.body, [*constants, *carry, *values])
        return tuple(real_parts(outputs[j]) for j in scan.leaves)

    return step


def first_of_last(leaves: Sequence[np.ndarray], axes: Sequence[int], count: int, /) -> tuple[np.ndarray, ...]:
    """Return cotangents of states, of which the second is 1 at the first sequence of the last state."""
    cotangents = tuple(np.zeros((count, *leaf.shape), leaf.dtype) for leaf in leaves)
    for cotangent, axis in zip(cotangents, axes, strict=False):
        cotangent[(1, -1, *[slice(None)] * axis, 0)] = 1
    return cotangents


def random_signs(
    leaves: Sequence[np.ndarray], heads: Sequence[int], curves: ScanCurves, count: int, key: jax.Array, /
) -> tuple[np.ndarray, ...]:
    """Return cotangents with random signs at the last state of each sequence, for the arrays that are read."""
    cotangents = tuple(np.zeros((count, *leaf.shape), leaf.dtype) for leaf in leaves)
    for k in heads:
        rows = cotangents[k]
        signs = np.asarray(jax.random.rademacher(jax.random.fold_in(key, k), (2, count, *rows.shape[2:]), jnp.int8))
        value = (signs[0] + 1j * signs[1] if np.iscomplexobj(rows) else signs[0]).astype(rows.dtype)
        if curves.axes:
            axis = curves.axes[k]
            by_sequence = np.moveaxis(rows, 2 + axis, 2)
            for b, end in enumerate(curves.last):
                by_sequence[:, end, b] = np.moveaxis(value, 1 + axis, 1)[:, b]
        else:
            rows[:, curves.last[0]] = value
    return cotangents
