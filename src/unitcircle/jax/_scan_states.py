"""Which carries of which scans of a program are the states of recurrences, and which parameters act on them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import jax.numpy as jnp

from unitcircle.jax._gates import ANY, Bounds, bounds, bounds_of, is_gated
from unitcircle.jax._program import Atom, Constant, Equation, Program

_ADDITIVE = frozenset({"add", "add_any", "sub"})
_WRITES = frozenset({"dynamic_update_slice", "scatter"})
_NONE: frozenset[int] = frozenset()
FEWEST = 3
"""A parameter that is applied so often in a row without a scan is taken for an unrolled loop."""


@dataclass(frozen=True, eq=False)
class RecurrentScan:
    """A scan that carries a state.

    ``place`` is the index of its equation, ``leaves`` are the carries that are the state, ``parameters`` the numbers of
    the parameters that act on it, ``before`` the places of the recurrences that its inputs come from, ``detached``
    whether a step stops a gradient, ``gated`` whether it multiplies what depends on the state by a value in [0, 1].
    """

    place: int
    equation: Equation
    leaves: tuple[int, ...]
    parameters: tuple[int, ...]
    before: frozenset[int]
    detached: bool
    gated: bool = False

    @property
    def body(self) -> Program:
        """One step."""
        return self.equation.bodies[0]

    @property
    def steps(self) -> int:
        """T."""
        return int(self.equation.params["length"])


@dataclass(frozen=True)
class _Origin:
    """Where a variable comes from."""

    parameters: frozenset[int] = _NONE  # Those it depends on
    weights: bool = True  # On nothing else but constants
    scans: frozenset[int] = _NONE  # The recurrences it depends on


def recurrent_scans(program: Program, parameters: Collection[int], /) -> tuple[list[RecurrentScan], dict[int, int]]:
    """Return the recurrences, and how often each of the inputs that are parameters is applied in a row elsewhere."""
    origins: dict[int, _Origin] = {}
    for k, var in enumerate(program.inputs):
        origins[var] = _Origin(frozenset({k})) if k in parameters else _Origin(weights=False)
    chains: dict[int, dict[int, int]] = {}
    found: list[RecurrentScan] = []
    limits = bounds(program, [ANY] * len(program.inputs))
    for place, equation in enumerate(program.equations):
        taken = [origins.get(atom, _Origin()) if isinstance(atom, int) else _Origin() for atom in equation.inputs]
        origin = _together(taken)
        if equation.name == "scan" and (scan := _recurrence(place, equation, taken, limits)):
            found.append(scan)
            origin = _Origin(origin.parameters, origin.weights, origin.scans | {place})
        elif not origin.weights:
            links = _longest([chains.get(a, {}) for a in equation.inputs if isinstance(a, int)])
            applied = {k for one in taken if one.weights for k in one.parameters}
            links |= {k: links.get(k, 0) + 1 for k in applied}
            chains |= dict.fromkeys(equation.outputs, links)
        origins |= dict.fromkeys(equation.outputs, origin)
    longest = _longest(list(chains.values()))
    return found, {k: count for k, count in longest.items() if count >= FEWEST}


def unread_loops(program: Program, /) -> list[str]:
    """Return sentences on the loops whose states are not measured."""
    sentences: list[str] = []
    for equation in program.equations:
        floating = any(dtype is not None and jnp.issubdtype(dtype, jnp.inexact) for _, dtype in equation.shapes)
        if equation.name == "while" and floating:
            sentences.append(
                "a loop of jax.lax.while_loop, or of fori_loop with a length that is traced, carries a state: not "
                "measured, for JAX does not differentiate it backwards (use jax.lax.scan with masked steps)"
            )
        elif equation.name == "scan" and equation.has_scan:
            sentences.append(
                f"a scan of {equation.params['length']} steps runs other scans inside: their states were not measured "
                "one by one (use one scan over all steps)"
            )
        elif equation.has_scan:
            sentences.append(f"a scan inside {equation.name} was not measured (call it outside)")
    return list(dict.fromkeys(sentences))


def _together(origins: Iterable[_Origin]) -> _Origin:
    origins = list(origins)
    return _Origin(
        _NONE.union(*(one.parameters for one in origins)),
        all(one.weights for one in origins),
        _NONE.union(*(one.scans for one in origins)),
    )


def _longest(counts: Sequence[dict[int, int]]) -> dict[int, int]:
    merged: dict[int, int] = {}
    for one in counts:
        for k, count in one.items():
            merged[k] = max(count, merged.get(k, 0))
    return merged


def _recurrence(
    place: int, equation: Equation, taken: Sequence[_Origin], limits: Mapping[int, Bounds]
) -> RecurrentScan | None:
    """Return the recurrence that a scan is, or None where it carries nothing that parameters reach."""
    (body,) = equation.bodies
    first, carries = equation.params["num_consts"], equation.params["num_carry"]
    after = body.outputs[:carries]
    inputs = body.inputs[first : first + carries]
    reached = _behind(body)
    number = {var: k for k, var in enumerate(body.inputs)}

    def sources(atom: Atom) -> frozenset[int]:
        return reached.get(atom, _NONE) if isinstance(atom, int) else _NONE

    tainted = {k for k, origin in enumerate(taken) if origin.parameters}
    for _ in after:  # what one carry takes from a parameter, others may take from it
        tainted |= {first + j for j, atom in enumerate(after) if sources(atom) & tainted}
    leaves: list[int] = []
    for j, atom in enumerate(after):
        _, dtype = equation.shapes[j]
        var = inputs[j]
        others = [out for k, out in enumerate(body.outputs) if k != j]
        read = any(number[var] in sources(out) for out in others)
        moves = atom != var and not isinstance(atom, Constant)
        is_sum = not read and _is_sum(body, var, atom)
        used = read or number[var] in sources(atom)
        if jnp.issubdtype(dtype, jnp.inexact) and first + j in tainted and moves and used and not is_sum:
            leaves.append(j)
    # Of two carries that are the same variable, one is the state.
    leaves = [j for place_, j in enumerate(leaves) if after[j] not in [after[k] for k in leaves[:place_]]]
    if not leaves:
        return None
    state = {first + j for j in leaves}
    acting = _acting(body, state, reached, {after[j] for j in leaves})
    parameters = sorted({k for number_ in acting if number_ < first for k in taken[number_].parameters})
    before = _NONE.union(*(origin.scans for origin in taken))
    detached = any(
        one.name == "stop_gradient" and any(sources(atom) & state for atom in one.inputs) for one in body.equations
    )
    given = [ANY if first <= k < first + carries else bounds_of(atom, limits) for k, atom in enumerate(equation.inputs)]
    making = _making(body, {after[j] for j in leaves})
    gated = is_gated(making, reached, state, first, bounds(body, given))
    return RecurrentScan(place, equation, tuple(leaves), tuple(parameters), before, detached, gated)


def _behind(body: Program) -> dict[int, frozenset[int]]:
    """Return for each variable the numbers of the inputs that it depends on."""
    reached: dict[int, frozenset[int]] = {var: frozenset({k}) for k, var in enumerate(body.inputs)}
    for equation in body.equations:
        sources = _NONE.union(*(reached[atom] for atom in equation.inputs if isinstance(atom, int)))
        reached |= dict.fromkeys(equation.outputs, sources)
    return reached


def _acting(body: Program, state: set[int], reached: dict[int, frozenset[int]], made: set[Atom]) -> set[int]:
    """Return the numbers of the inputs that meet the state in an equation that makes the next one."""
    acting: set[int] = set()
    for equation in _making(body, made):
        sources = [reached[atom] for atom in equation.inputs if isinstance(atom, int)]
        if any(one & state for one in sources):
            acting |= {k for one in sources for k in one}
    return acting


def _making(body: Program, made: set[Atom]) -> list[Equation]:
    """Return the equations that variables are computed by, the last first."""
    making: list[Equation] = []
    needed = set(made)
    for equation in reversed(body.equations):
        if not needed.isdisjoint(equation.outputs):
            needed |= set(equation.inputs)
            making.append(equation)
    return making


def _is_sum(body: Program, var: int, atom: Atom) -> bool:
    """Return whether a carry only has something added to it, or written into it, that does not depend on it."""
    while var != atom:
        following = [one for one in body.equations if var in one.inputs]
        if len(following) != 1 or list(following[0].inputs).count(var) != 1:
            return False
        (one,) = following
        if one.name not in _ADDITIVE and one.name not in _WRITES:
            return False
        if (one.name == "sub" or one.name in _WRITES) and one.inputs[0] != var:
            return False
        (var,) = following[0].outputs
    return True
