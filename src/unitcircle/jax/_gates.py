"""Whether a scan is gated: a step multiplies something that depends on the state by a value in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np

from unitcircle.jax._program import INDEX, STACK, Atom, Constant, Equation, Program

Bounds = tuple[float, float]
"""The least and the largest value that a variable may have."""
ANY: Bounds = (-math.inf, math.inf)
_LARGEST = 700.0
"""Of a number beyond it the exponential overflows."""
_FIXED: Mapping[str, Bounds] = {"logistic": (0, 1), **dict.fromkeys(("tanh", "sin", "cos", "erf"), (-1.0, 1.0))}
_ARRANGED = frozenset(
    {"reshape", "broadcast_in_dim", "slice", "squeeze", "expand_dims", "transpose", "split", "dynamic_slice", "rev"}
) | {"gather", "copy", "convert_element_type", "stop_gradient", "reduce_max", "reduce_min", INDEX}


def bounds(program: Program, given: Sequence[Bounds], /) -> dict[int, Bounds]:
    """Return variable → bounds that follow from those of the inputs and from the operations, NaN aside."""
    known = dict(zip(program.inputs, given, strict=True))
    tests: set[int] = set()  # variables that say where another one is NaN
    for equation in program.equations:
        taken = [bounds_of(atom, known) for atom in equation.inputs]
        if equation.name == "ne" and equation.inputs[0] == equation.inputs[1]:
            tests |= set(equation.outputs)
        if equation.name == "select_n":
            cases = taken[1:2] if equation.inputs[0] in tests else taken[1:]
            found = [_union(cases)]
        elif equation.name == "custom_jvp_call":
            (body,) = equation.bodies
            inside = bounds(body, taken)
            found = [bounds_of(atom, inside) for atom in body.outputs]
        else:
            found = [_of_operation(equation.name, taken)] * len(equation.outputs)
        known |= zip(equation.outputs, found, strict=True)
    return known


def bounds_of(atom: Atom, known: Mapping[int, Bounds], /) -> Bounds:
    """Return the bounds of a variable, or of a constant, of which arrays are not looked at."""
    if not isinstance(atom, Constant):
        return known.get(atom, ANY)
    value = np.asarray(atom.value) if np.ndim(atom.value) == 0 else None
    if value is None or value.dtype.kind not in "fiu" or not np.isfinite(value):
        return ANY
    return float(value), float(value)


def is_gated(
    equations: Sequence[Equation],
    reached: Mapping[int, Collection[int]],
    state: set[int],
    first: int,
    known: Mapping[int, Bounds],
    /,
) -> bool:
    """Return whether equations that make a state multiply what depends on it by a gate."""

    # ``reached`` has the numbers of the inputs that a variable depends on, ``state`` those of the state; the inputs
    # before the number ``first`` are constant in time, and what is computed from these alone is no gate.
    def on(atom: Atom) -> set[int]:
        return set(reached.get(atom, ())) if isinstance(atom, int) else set()

    for equation in equations:
        if equation.name == "mul":
            for gate, other in (equation.inputs, equation.inputs[::-1]):
                low, high = bounds_of(gate, known)
                if low >= 0 and high <= 1 and on(other) & state and any(k >= first for k in on(gate)):
                    return True
    return False


def _of_operation(name: str, taken: Sequence[Bounds]) -> Bounds:
    if name in _FIXED or not taken:
        return _FIXED.get(name, ANY)
    if name in _ARRANGED:
        return taken[0]
    if name in {"concatenate", STACK}:
        return _union(taken)
    return _OPERATIONS[name](*taken) if name in _OPERATIONS else ANY


def _exp(a: Bounds) -> Bounds:
    low, high = (math.exp(x) if x < _LARGEST else math.inf for x in a)
    return low, high


def _log1p(a: Bounds) -> Bounds:
    return (math.log1p(a[0]), math.log1p(a[1])) if a[0] >= 0 else ANY


def _abs(a: Bounds) -> Bounds:
    return max(a[0], -a[1], 0.0), max(-a[0], a[1])


def _neg(a: Bounds) -> Bounds:
    return -a[1], -a[0]


def _add(a: Bounds, b: Bounds) -> Bounds:
    return a[0] + b[0], a[1] + b[1]


def _mul(a: Bounds, b: Bounds) -> Bounds:
    products = [0.0 if 0 in {x, y} else x * y for x in a for y in b]
    return min(products), max(products)


def _div(a: Bounds, b: Bounds) -> Bounds:
    return _mul(a, (1 / b[0], 1 / b[0])) if b[0] == b[1] != 0 else ANY


_OPERATIONS: Mapping[str, Callable[..., Bounds]] = {
    "exp": _exp,
    "log1p": _log1p,
    "abs": _abs,
    "neg": _neg,
    "add": _add,
    "sub": lambda a, b: _add(a, _neg(b)),
    "mul": _mul,
    "div": _div,
    "max": lambda a, b: (max(a[0], b[0]), max(a[1], b[1])),
    "min": lambda a, b: (min(a[0], b[0]), min(a[1], b[1])),
    "clamp": lambda low, _a, high: (low[0], high[1]),
}


def _union(cases: Sequence[Bounds]) -> Bounds:
    return min(low for low, _ in cases), max(high for _, high in cases)
