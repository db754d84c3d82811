"""A scan with something added to its states, and the cotangents of these."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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


def ends_of_batch(leaves: Sequence[np.ndarray], axes: Sequence[int], count: int, /) -> tuple[np.ndarray, ...]:
    """Return cotangents, of which the second and third are those of the first and the last sequence of h_T."""
    cotangents = tuple(np.zeros((count, *leaf.shape), leaf.dtype) for leaf in leaves)
    for cotangent, axis in zip(cotangents, axes, strict=False):
        for row, index in ((1, 0), (2, -1)):
            part = cotangent[(row, -1, *[slice(None)] * axis, index)]
            # The gradient of a sum over normalized values is 0.
            part[...] = np.cos(np.arange(1, part.size + 1)).reshape(part.shape)
    return cotangents


def of_last_states(
    zeros: Mapping[int, Sequence[np.ndarray]],
    heads: Mapping[int, Sequence[int]],
    curves: Mapping[int, ScanCurves],
    count: int,
    key: jax.Array,
    /,
    *,
    drawn: int,
) -> tuple[dict[int, tuple[np.ndarray, ...]], bool]:
    """Return cotangents of the last states of the scans that have heads, and whether they are complete."""
    # Complete: the first ``drawn`` have random signs, and of the others, the unit vectors of a sequence and zeros, the
    # mean square is that of all directions. Else all have random signs.
    cotangents = {
        p: tuple(np.zeros((count, *leaf.shape), leaf.dtype) for leaf in leaves) for p, leaves in zeros.items()
    }
    sizes = [_directions(zeros[p], heads[p], curves[p]) for p in heads]
    complete = sum(sizes) <= count - drawn
    first = drawn
    for p, size in zip(heads, sizes, strict=True):
        _add_signs([rows[: drawn if complete else count] for rows in cotangents[p]], heads[p], curves[p], key)
        if complete:
            _add_units([rows[first : first + size] for rows in cotangents[p]], heads[p], curves[p], count - drawn)
            first += size
    return cotangents, complete


def _directions(leaves: Sequence[np.ndarray], heads: Sequence[int], curves: ScanCurves) -> int:
    """Return how many entries the last state of one sequence has, in real numbers."""
    sequences = len(curves.last) if curves.axes else 1
    return sum(leaves[k][0].size // sequences * (1 + np.iscomplexobj(leaves[k])) for k in heads)


def _add_signs(cotangents: Sequence[np.ndarray], heads: Sequence[int], curves: ScanCurves, key: jax.Array) -> None:
    """Add random signs to cotangents, at the last state of each sequence, for the arrays that are read."""
    for k in heads:
        count, _, *shape = cotangents[k].shape
        signs = np.asarray(jax.random.rademacher(jax.random.fold_in(key, k), (2, count, *shape), jnp.int8))
        _place(cotangents[k], signs[0] + 1j * signs[1] if np.iscomplexobj(cotangents[k]) else signs[0], curves, k)


def _add_units(cotangents: Sequence[np.ndarray], heads: Sequence[int], curves: ScanCurves, count: int) -> None:
    """Add the unit vectors of a sequence, times √count, one to each of as many cotangents."""
    row = 0
    for k in heads:
        value = np.zeros(cotangents[k][:, 0].shape, cotangents[k].dtype)
        by_sequence = np.moveaxis(value, 1 + curves.axes[k], 1) if curves.axes else value[:, None]
        for entry in np.ndindex(*by_sequence.shape[2:]):
            for unit in (1, 1j) if np.iscomplexobj(value) else (1,):
                by_sequence[(row, slice(None), *entry)] = unit * np.sqrt(count)
                row += 1
        _place(cotangents[k], value, curves, k)


def _place(rows: np.ndarray, value: np.ndarray, curves: ScanCurves, k: int) -> None:
    """Add cotangents ``(K, ...)`` of the last state of each sequence to rows ``(K, T + 1, ...)``."""
    if not curves.axes:
        rows[:, curves.last[0]] += value
        return
    axis = curves.axes[k]
    by_sequence = np.moveaxis(rows, 2 + axis, 2)
    for b, end in enumerate(curves.last):
        by_sequence[:, end, b] += np.moveaxis(value, 1 + axis, 1)[:, b]
