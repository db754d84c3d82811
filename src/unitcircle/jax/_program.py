"""A traced JAX function as a flat list of equations, whose loops and calls are seen through, in any precision."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal

INDEX, STACK = "index", "stack"
"""The equations that an unrolled scan adds: a slice along the first axis, and its inverse."""
_CALLS = frozenset({"jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint"})
_WIDER = {"float32": "float64", "float16": "float64", "bfloat16": "float64", "complex64": "complex128"}
_OF_LOOPS = frozenset({"scan", "while", "cond", "custom_jvp_call"})
LONGEST_UNROLLED = 64
"""Iterations up to which a scan over layers, with scans over time inside, is unrolled."""


class NotWidenedError(Exception):
    """A program whose derivative rules hold in its own precision only."""


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that the program holds."""

    value: Any


Atom = int | Constant
"""A variable, by number, or a constant."""


@dataclass(frozen=True, eq=False)
class Equation:
    """One operation of a program."""

    name: str
    primitive: Any  # The primitive of JAX; None for INDEX and STACK
    params: Mapping[str, Any]
    inputs: tuple[Atom, ...]
    outputs: tuple[int, ...]
    shapes: tuple[tuple[tuple[int, ...], Any], ...] = ()  # Shape and element type of each output

    @cached_property
    def bodies(self) -> tuple[Program, ...]:
        """The programs inside: of a scan and a custom derivative one, of a loop condition and body, of each branch."""
        found: list[Program] = []
        for value in self.params.values():
            items: Sequence[Any] = value if isinstance(value, tuple | list) else (value,)
            found += [Program.of(item) for item in items if isinstance(item, ClosedJaxpr)]
        return tuple(found)

    @cached_property
    def has_scan(self) -> bool:
        """Whether a scan is inside."""
        return any(one.name == "scan" or one.has_scan for body in self.bodies for one in body.equations)

    @cached_property
    def derivative(self) -> tuple[Program, Sequence[bool]]:
        """The program of a custom derivative, and which of its tangents are zero."""
        jaxpr, constants, zeros = self.params["jvp_jaxpr_fun"].call_wrapped(*[False] * len(self.inputs))
        return Program.of(ClosedJaxpr(jaxpr, constants)), zeros


@dataclass(frozen=True, eq=False)
class Program:
    """Inputs, equations in order, outputs."""

    inputs: tuple[int, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Atom, ...]

    @classmethod
    def of(cls, closed: ClosedJaxpr, /, *, unroll: bool = False) -> Program:
        """Return a traced function with its calls inlined; if asked, with the scans over layers unrolled."""
        flat = _Flattening(unroll=unroll)
        inputs = tuple(flat.new() for _ in closed.jaxpr.invars)
        outputs = flat.inline(closed, inputs)
        return cls(inputs, tuple(flat.equations), outputs)


@dataclass
class _Flattening:
    """Collects the equations of a traced function."""

    unroll: bool
    equations: list[Equation] = field(default_factory=list[Equation])
    count: int = 0

    def new(self) -> int:
        self.count += 1
        return self.count - 1

    def add(self, name: str, params: Mapping[str, Any], inputs: Sequence[Atom]) -> int:
        out = self.new()
        self.equations.append(Equation(name, None, params, tuple(inputs), (out,)))
        return out

    def inline(self, closed: ClosedJaxpr, inputs: Sequence[Atom]) -> tuple[Atom, ...]:
        names: dict[Any, Atom] = dict(zip(closed.jaxpr.invars, inputs, strict=True))
        names |= {var: Constant(value) for var, value in zip(closed.jaxpr.constvars, closed.consts, strict=True)}

        def atom(var: Any) -> Atom:
            return Constant(var.val) if isinstance(var, Literal) else names[var]

        for eqn in closed.jaxpr.eqns:
            taken = [atom(var) for var in eqn.invars]
            name = eqn.primitive.name
            if name in _CALLS and (inner := eqn.params.get("jaxpr", eqn.params.get("call_jaxpr"))) is not None:
                closed_inner = inner if isinstance(inner, ClosedJaxpr) else ClosedJaxpr(inner, ())
                names |= zip(eqn.outvars, self.inline(closed_inner, taken), strict=True)
                continue
            if _is_copy(eqn):
                names[eqn.outvars[0]] = taken[0]
                continue
            shapes = tuple((getattr(v.aval, "shape", ()), getattr(v.aval, "dtype", None)) for v in eqn.outvars)
            equation = Equation(name, eqn.primitive, eqn.params, tuple(taken), (), shapes)
            if self.unroll and name == "scan" and equation.has_scan and eqn.params["length"] <= LONGEST_UNROLLED:
                names |= zip(eqn.outvars, self._unrolled(eqn, taken), strict=True)
                continue
            if name == "custom_jvp_call" and equation.has_scan:
                names |= zip(eqn.outvars, self.inline(eqn.params["call_jaxpr"], taken), strict=True)
                continue
            outputs = tuple(self.new() for _ in eqn.outvars)
            names |= zip(eqn.outvars, outputs, strict=True)
            self.equations.append(replace(equation, outputs=outputs))
        return tuple(atom(var) for var in closed.jaxpr.outvars)

    def _unrolled(self, eqn: Any, taken: Sequence[Atom]) -> list[Atom]:
        params = eqn.params
        first, carries = params["num_consts"], params["num_carry"]
        constants, carry, xs = taken[:first], list(taken[first : first + carries]), taken[first + carries :]
        steps = range(params["length"])
        rows: dict[int, list[Atom]] = {}
        for t in reversed(steps) if params["reverse"] else steps:
            x = [self.add(INDEX, {"at": t}, [one]) for one in xs]
            outputs = self.inline(params["jaxpr"], [*constants, *carry, *x])
            carry, rows[t] = list(outputs[:carries]), list(outputs[carries:])
        stacks = [self.add(STACK, {}, [rows[t][k] for t in steps]) for k in range(len(eqn.outvars) - carries)]
        return [*carry, *stacks]


def _is_copy(eqn: Any) -> bool:
    if eqn.primitive.name not in {"convert_element_type", "copy", "copy_p", "reshape"}:
        return False
    before, after = eqn.invars[0].aval, eqn.outvars[0].aval
    return before.shape == after.shape and widened(before.dtype) == widened(after.dtype)


def widened(dtype: Any, /) -> Any:
    """Return the element type in double precision of a floating-point one, and others unchanged."""
    name = _WIDER.get(getattr(dtype, "name", ""))
    return dtype if name is None else np.dtype(name)


def widen(value: Any, /) -> Any:
    """Return an array in double precision; keys of random numbers and integers unchanged."""
    dtype = widened(value.dtype) if hasattr(value, "dtype") else None
    return value if dtype is None or dtype == value.dtype else jnp.asarray(value, dtype)


@dataclass(frozen=True)
class Evaluator:
    """Evaluates programs, in double precision whatever they were traced in, or as traced."""

    double: bool

    def run(
        self,
        program: Program,
        inputs: Sequence[Any],
        /,
        *,
        replaced: Mapping[int, Any] | None = None,
        values: dict[int, Any] | None = None,
        hook: Callable[[Equation, list[Any]], Sequence[Any] | None] | None = None,
    ) -> list[Any]:
        """Return the outputs; ``hook`` may replace an equation, ``replaced`` variables."""
        # With ``values`` of an earlier run on the same inputs, only what follows from the replaced variables is run.
        earlier = bool(values)
        known: dict[int, Any] = {} if values is None else values
        known |= zip(program.inputs, inputs, strict=True)
        replaced = replaced or {}
        changed = set(replaced)

        def read(atom: Atom) -> Any:
            return known[atom] if not isinstance(atom, Constant) else self._constant(atom.value)

        for equation in program.equations:
            if earlier and changed.isdisjoint(equation.inputs):
                known |= {var: replaced[var] for var in equation.outputs if var in replaced}
                continue
            changed |= set(equation.outputs)
            taken = [read(atom) for atom in equation.inputs]
            outputs = None if hook is None else hook(equation, taken)
            if outputs is None:
                outputs = self._apply(equation, taken)
            for var, value in zip(equation.outputs, outputs, strict=True):
                known[var] = replaced.get(var, value)
        return [read(atom) for atom in program.outputs]

    def _constant(self, value: Any) -> Any:
        if not hasattr(value, "dtype") or jnp.issubdtype(value.dtype, jax.dtypes.prng_key):
            return value
        return jnp.asarray(value, widened(value.dtype) if self.double else value.dtype)

    def _apply(self, equation: Equation, taken: list[Any]) -> Sequence[Any]:
        name, params = equation.name, equation.params
        if name == INDEX:
            return [taken[0][params["at"]]]
        if name == STACK:
            return [jnp.stack(taken)]
        if not self.double:
            return _bound(equation.primitive, params, taken)
        if name in _OF_LOOPS:
            return getattr(self, f"_{name}")(equation, taken)
        if any(_holds_program(value) for value in params.values()):
            raise NotWidenedError(name)
        return _bound(equation.primitive, {key: _widened_param(value) for key, value in params.items()}, taken)

    def _scan(self, equation: Equation, taken: list[Any]) -> Sequence[Any]:
        params, (body,) = equation.params, equation.bodies
        first, carries = params["num_consts"], params["num_carry"]

        def step(carry: Any, x: Any) -> Any:
            outputs = self.run(body, [*taken[:first], *carry, *x])
            return tuple(outputs[:carries]), tuple(outputs[carries:])

        carry, xs = tuple(taken[first : first + carries]), tuple(taken[first + carries :])
        last, ys = jax.lax.scan(step, carry, xs, length=params["length"], reverse=params["reverse"])
        return [*last, *ys]

    def _while(self, equation: Equation, taken: list[Any]) -> Sequence[Any]:
        condition, body = (Program.of(equation.params[key]) for key in ("cond_jaxpr", "body_jaxpr"))
        a, b = equation.params["cond_nconsts"], equation.params["body_nconsts"]
        first, second, carry = taken[:a], taken[a : a + b], tuple(taken[a + b :])
        return jax.lax.while_loop(
            lambda c: self.run(condition, [*first, *c])[0], lambda c: tuple(self.run(body, [*second, *c])), carry
        )

    def _cond(self, equation: Equation, taken: list[Any]) -> Sequence[Any]:
        branches = [lambda *args, body=body: tuple(self.run(body, args)) for body in equation.bodies]
        return jax.lax.switch(jnp.asarray(taken[0], jnp.int32), branches, *taken[1:])

    def _custom_jvp_call(self, equation: Equation, taken: list[Any]) -> Sequence[Any]:
        (body,) = equation.bodies
        if not all(jnp.issubdtype(value.dtype, jnp.inexact) for value in taken):
            return self.run(body, taken)

        @jax.custom_jvp
        def function(*args: Any) -> Any:
            return tuple(self.run(body, args))

        @function.defjvp
        def _(primals: Any, tangents: Any) -> Any:
            rule, zeros = equation.derivative
            outputs = self.run(rule, [*primals, *tangents])
            values, given = outputs[: len(zeros)], iter(outputs[len(zeros) :])
            return tuple(values), tuple(
                jnp.zeros_like(v) if zero else next(given) for v, zero in zip(values, zeros, strict=True)
            )

        return function(*taken)


def _bound(primitive: Any, params: Mapping[str, Any], taken: Sequence[Any]) -> Sequence[Any]:
    bind_params = primitive.get_bind_params(params)
    # Before JAX 0.9 the functions that an operation calls were its first arguments.
    functions, bind_params = bind_params if isinstance(bind_params, tuple) else ((), bind_params)
    outputs = primitive.bind(*functions, *taken, **bind_params)
    return outputs if primitive.multiple_results else [outputs]


def _holds_program(value: Any) -> bool:
    items: Sequence[Any] = value if isinstance(value, tuple | list) else (value,)
    return any(hasattr(item, "eqns") or hasattr(item, "jaxpr") or hasattr(item, "call_wrapped") for item in items)


def _widened_param(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_widened_param(item) for item in value) if type(value) is tuple else value
    return widened(value) if isinstance(value, np.dtype) else value
