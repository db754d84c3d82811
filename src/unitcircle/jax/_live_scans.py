"""The states of the scans that a JAX function runs, and the gradients of its loss at them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from unitcircle._keywords import right_keywords
from unitcircle.errors import ArgumentError
from unitcircle.jax._cells import named_leaves
from unitcircle.jax._perturbed_scan import (
    ends_of_batch,
    of_last_states,
    perturbed,
    state_step,
    total,
    zeros_like_made,
    zeros_like_states,
)
from unitcircle.jax._program import Evaluator, NotWidenedError, Program, widen
from unitcircle.jax._scan_chains import Leaves, ScanChain, scan_chains
from unitcircle.jax._scan_curves import ScanCurves, batch_axes, is_separate, scan_curves
from unitcircle.jax._scan_states import RecurrentScan, recurrent_scans, unread_loops
from unitcircle.jax._trajectory import real_parts

Cotangents = dict[int, tuple[Any, ...]]
"""Place of a scan → an array ``(T + 1, ...)`` for each leaf of its state."""


@dataclass(frozen=True, eq=False)
class LiveScan:
    """A ``jax.lax.scan`` that carries a state, measured inside the function that runs it.

    Attributes
    ----------
    parameters
        Qualified names of the parameters that act on the state.
    states
        The arrays of the state, each ``(T + 1, ...)``: the initial one first, in the order of the steps.
    heads
        Which of them the rest of the function reads.
    axes
        The axis of the batch in each (without that of time); empty where there is none.
    log_gradient, log_jacobian
        ``(T + 1, B)``: log ‖∂L/∂s_t‖ and log ‖∂h_T/∂s_t‖_F by lag, each sequence counted back from its end; NaN beyond
        the start of a shorter one. h_T are the last states that the function reads, of the last recurrences.
    lengths
        ``(B,)``: steps of each sequence.
    step, inputs, initial
        The recurrence as a step over its state, for :func:`lyapunov_exponents` and the others; complex arrays are real
        ones with an axis of length 2 at the end.
    reverse
        Whether it runs from the end of its inputs.
    detached
        Whether a step stops a gradient.
    gated
        Whether a step multiplies what depends on the state by a gate: a value that depends on the input or the state,
        and that the operations which compute it keep in [0, 1].

    Examples
    --------
    >>> W = 0.9 * jnp.eye(4)
    >>> def last(W, xs):
    ...     return jax.lax.scan(lambda h, x: (W @ h + x, None), jnp.zeros(4), xs)[0].sum()
    >>> (scan,) = live_scans(last, W, jnp.ones((5, 4))).scans
    >>> scan.states[0].shape, scan.lengths.tolist()
    ((6, 4), [5])
    """

    parameters: tuple[str, ...]
    states: tuple[np.ndarray, ...]
    heads: tuple[int, ...]
    axes: tuple[int, ...]
    log_gradient: np.ndarray
    log_jacobian: np.ndarray
    lengths: np.ndarray
    step: Callable[[Any, Any], Any]
    inputs: Any
    initial: Any
    reverse: bool
    detached: bool
    gated: bool = False


@dataclass(frozen=True, eq=False)
class LiveScans:
    """The recurrences of a function.

    Attributes
    ----------
    scans
        In the order in which they run.
    unrolled
        Parameter → how often it is applied in a row outside of scans, from three times on: a loop of Python.
    unread
        Sentences on the loops that were not measured.
    double
        Whether it was run in double precision.
    value
        The value of the loss; NaN without one.
    again
        ``again(params, probes, key)`` measures the same function with other parameters, without tracing it again.
    """

    scans: tuple[LiveScan, ...]
    unrolled: Mapping[str, int]
    unread: tuple[str, ...]
    double: bool
    value: float
    again: Callable[[Any, int, Any], LiveScans]


@right_keywords
def live_scans(
    function: Callable[..., Any],
    params: Any,
    /,
    *args: Any,
    loss: Callable[[Any], Any] | None = None,
    probes: int = 8,
    key: jax.Array | int = 0,
    **options: Any,
) -> LiveScans:
    r"""Find the recurrences that a function runs by ``jax.lax.scan``, and measure gradients at their states.

    The function is traced. A scan is a recurrence if parameters reach what it carries; its state s_t are the carries
    that change and are read, without counters and sums. To each state a perturbation ε_t = 0 is added, and

    .. math:: \frac{∂L}{∂s_t} = \frac{∂L}{∂ε_t}

    in one backward pass, through the next step and what else this one returns; of an LSTM h and c are independent.
    Calls under ``jax.jit``, ``jax.checkpoint`` and custom derivatives are seen through, and scans over layers are
    unrolled. The function is run in double precision, also where it makes arrays of float32; in its own where it has
    a rule of ``jax.custom_vjp``.

    Parameters
    ----------
    function
        ``function(params, *args)``, of arrays.
    params
        Its parameters, any tree of arrays.
    args, options
        Its other arguments.
    loss
        Scalar function of its output. None: the output where it is a scalar; else no loss, and the gradient is that of
        v·h_T with random signs v.
    probes
        Number of random cotangents v of ∂h_T/∂s_t; 0 to leave it out. Where h_T has fewer entries the norm is exact.
    key
        JAX key of the cotangents, or a seed for one.

    Returns
    -------
    LiveScans
        The recurrences with their states and gradients.

    Raises
    ------
    ArgumentError
        The loss is not a real scalar.

    Examples
    --------
    >>> W = 0.9 * jnp.eye(4)
    >>> def last(W, xs):
    ...     return jax.lax.scan(lambda h, x: (W @ h + x, None), jnp.zeros(4), xs)[0].sum()
    >>> [scan] = live_scans(last, W, jnp.ones((50, 4))).scans
    >>> scan.parameters, [round(float(norm), 4) for norm in scan.log_gradient[:2, 0]]  # from log 2, by log 0.9
    (('params',), [0.6931, 0.5878])
    """
    arguments = (params, args, options)
    call = _Call(function, loss, jax.tree.map(jnp.asarray, arguments))
    source = jax.random.key(key) if isinstance(key, int) else key
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: widen(jnp.asarray(leaf)), arguments)
    try:
        with jax.enable_x64(True):
            return _Compiled(call.traced(wide), Evaluator(double=True), wide).measured(params, probes, source)
    except ArgumentError:
        raise
    except Exception:  # whatever does not run in double precision is traced in its own
        program = call.traced(call.arguments)
    try:
        with jax.enable_x64(True):
            return _Compiled(program, Evaluator(double=True), wide).measured(params, probes, source)
    except NotWidenedError:
        return _Compiled(program, Evaluator(double=False), call.arguments).measured(params, probes, source)


def _is_inexact(leaf: Any) -> bool:
    return jnp.issubdtype(jnp.asarray(leaf).dtype, jnp.inexact)


@dataclass(frozen=True, eq=False)
class _Call:
    """A function with its arguments ``(params, args, options)``."""

    function: Callable[..., Any]
    loss: Callable[[Any], Any] | None
    arguments: Any

    def traced(self, arguments: Any) -> _Traced:
        """Trace the loss, or where there is none what the function returns."""
        scalar = False

        def whole(params: Any, args: Any, options: Any) -> Any:
            nonlocal scalar
            output = self.function(params, *args, **options)
            value = output if self.loss is None else self.loss(output)
            scalar = isinstance(value, jax.Array) and value.ndim == 0 and jnp.issubdtype(value.dtype, jnp.floating)
            if self.loss is not None and not scalar:
                raise ArgumentError("loss", "must return a real scalar", f"{value}", "Take its mean.")
            return value if scalar else jax.tree.leaves(output)

        closed = jax.make_jaxpr(whole)(*arguments)
        program = Program.of(closed, unroll=True)
        floating = {k for k, leaf in enumerate(jax.tree.leaves(arguments[0])) if _is_inexact(leaf)}
        scans, unrolled = recurrent_scans(program, floating)
        sizes = [leaf.shape[:2] for leaf in jax.tree.leaves(arguments[1:]) if hasattr(leaf, "shape") and leaf.ndim]
        return _Traced(program, scans, unrolled, scalar, [size for shape in sizes for size in shape])


@dataclass(frozen=True, eq=False)
class _Traced:
    """A traced function, its recurrences, and whether it returns a loss."""

    program: Program
    scans: Sequence[RecurrentScan]
    unrolled: Mapping[int, int]
    scalar: bool
    sizes: Sequence[int]


@dataclass(frozen=True, eq=False)
class _Compiled:
    """A traced function in a precision, compiled once for all parameters."""

    traced: _Traced
    evaluator: Evaluator
    arguments: Any

    @cached_property
    def _chains(self) -> list[ScanChain]:
        return scan_chains(self.traced.program, self.traced.scans)

    @cached_property
    def _possible_axes(self) -> list[list[tuple[int, ...]]]:
        """The axes of the batch that the states of each chain may have, the likeliest first."""
        shapes = [[chain.last.equation.shapes[j][0] for j in chain.last.leaves] for chain in self._chains]
        return [batch_axes(of, self.traced.sizes, chain.steps) for of, chain in zip(shapes, self._chains, strict=True)]

    def _forward(self, inputs: Sequence[Any], added: Cotangents, made: Cotangents) -> Any:
        """Run the function with something added to the states: its value and the states; inputs of the scans."""
        states: Cotangents = {}
        records: dict[int, Any] = {}

        def hook(equation: Any, taken: list[Any]) -> Sequence[Any] | None:
            scan = next((one for one in self.traced.scans if one.equation is equation), None)
            if scan is None:
                return None
            term = added[scan.place]
            found = perturbed(self.evaluator, scan, taken, term, made[scan.place])
            outputs, states[scan.place], records[scan.place] = found
            return outputs

        outputs = self.evaluator.run(self.traced.program, inputs, hook=hook)
        return (outputs[0] if self.traced.scalar else jnp.zeros(()), states), records

    def _zeros(self) -> Cotangents:
        return {scan.place: zeros_like_states(scan, double=self.evaluator.double) for scan in self.traced.scans}

    def _zeros_made(self) -> Cotangents:
        return {scan.place: zeros_like_made(scan, double=self.evaluator.double) for scan in self.traced.scans}

    @cached_property
    def _products(self) -> Callable[..., Any]:
        """Value, states, inputs of the scans, and products of cotangents of value and states with their Jacobians."""

        # One program, compiled once, serves the loss and the random cotangents: compiling takes longer than running.
        def run(inputs: Sequence[Any], of_value: jax.Array, of_states: Cotangents) -> Any:
            (value, states), pull, records = jax.vjp(
                lambda added, made: self._forward(inputs, added, made), self._zeros(), self._zeros_made(), has_aux=True
            )
            products = jax.vmap(lambda v, c: pull((v.astype(value.dtype), c)))(of_value, of_states)
            return value, states, records, products

        return jax.jit(run)

    def measured(self, params: Any, probes: int, key: Any) -> LiveScans:
        """Run it with parameters and differentiate it at every state."""
        with jax.enable_x64(self.evaluator.double or bool(jax.config.read("jax_enable_x64"))):
            own = jax.tree.map(jnp.asarray, params)
            given = jax.tree.map(widen, own) if self.evaluator.double else own
            return self._measured([*jax.tree.leaves(given), *jax.tree.leaves(self.arguments[1:])], params, probes, key)

    def _measured(self, inputs: Sequence[Any], params: Any, probes: int, key: Any) -> LiveScans:
        scans, chains = self.traced.scans, self._chains
        names = list(named_leaves(params))
        count = max(probes, 3)
        of_scans = {place: tuple(map(np.asarray, leaves)) for place, leaves in self._zeros().items()}
        zeros = [chain.joined(of_scans) for chain in chains]
        value, records, host, curves = self._curves(inputs, zeros, count)
        heads = [self._heads(chain.last) for chain in chains]
        tops = [k for k, c in enumerate(chains) if not any(c.last.place in other.before for other in scans)]
        jacobian, rows = None, slice(None)
        if scans and (probes or not self.traced.scalar):
            # Without a loss the first cotangent is that of the gradient.
            drawn = int(not self.traced.scalar)
            cotangents, complete = of_last_states(
                dict(enumerate(zeros)), {k: heads[k] for k in tops}, curves, count, key, drawn=drawn
            )
            rows = slice(drawn * complete, None)
            jacobian = self._pulled(inputs, np.zeros(count), list(cotangents.values()))[-1][0]
        found: list[LiveScan] = []
        for k, chain in enumerate(chains):
            curve, scan = curves[k], chain.scans[0]
            of_ends = None if jacobian is None else chain.joined(jacobian, axis=1)
            measured = None if of_ends is None else tuple(leaf[rows] for leaf in of_ends)
            log_jacobian = curve.by_lag(measured) if measured is not None else np.full_like(curve.log_gradient, np.nan)
            single = None if self.traced.scalar or of_ends is None else tuple(leaf[:1] for leaf in of_ends)
            constants, _, initial = records[scan.place]
            along = [records[one.place][1] for one in chain.scans]
            found.append(
                LiveScan(
                    tuple(names[k] for k in scan.parameters),
                    host[k],
                    heads[k],
                    curve.axes,
                    curve.log_gradient if single is None else curve.by_lag(single),
                    log_jacobian,
                    curve.lengths,
                    state_step(self.evaluator, scan, constants),
                    along[0] if len(along) == 1 else jax.tree.map(lambda *parts: jnp.concatenate(parts), *along),
                    tuple(map(real_parts, initial)),
                    bool(scan.equation.params["reverse"]),
                    chain.detached,
                    scan.gated,
                )
            )
        unrolled = {names[k]: count for k, count in self.traced.unrolled.items()}
        loss = float(value) if self.traced.scalar else math.nan
        unread = tuple(unread_loops(self.traced.program))
        return LiveScans(tuple(found), unrolled, unread, self.evaluator.double, loss, self.measured)

    def _pulled(self, inputs: Sequence[Any], of_value: np.ndarray, cotangents: Sequence[Leaves]) -> Any:
        """Return what :meth:`_products` does, for cotangents of the states of all chains."""
        of_scans = [chain.split(leaves) for chain, leaves in zip(self._chains, cotangents, strict=True)]
        return self._products(inputs, of_value, {place: leaves for one in of_scans for place, leaves in one.items()})

    def _curves(
        self, inputs: Sequence[Any], zeros: Sequence[Leaves], count: int
    ) -> tuple[Any, Any, list[tuple[np.ndarray, ...]], dict[int, ScanCurves]]:
        """Return value, inputs of the scans, states and gradients of the loss; along axes on which nothing acts."""
        left = [list(possible) for possible in self._possible_axes]
        while True:
            axes = [possible[0] if possible else () for possible in left]
            ends = [ends_of_batch(leaves, of, count) for leaves, of in zip(zeros, axes, strict=True)]
            value, states, records, (pulled, of_made) = self._pulled(inputs, np.eye(count)[0], ends)
            of_loss = {
                place: total([np.asarray(leaf[0]) for leaf in leaves], [np.asarray(leaf[0]) for leaf in of_made[place]])
                for place, leaves in pulled.items()
            }
            of_ends = [chain.joined(pulled, axis=1) for chain in self._chains]
            mixed = [k for k, of in enumerate(axes) if of and not is_separate(of_ends[k], of)]
            if not mixed:
                break
            for k in mixed:
                left[k].pop(0)
        by_place = {place: tuple(map(np.asarray, leaves)) for place, leaves in states.items()}
        host = [chain.joined(by_place) for chain in self._chains]
        curves = {k: scan_curves(host[k], axes[k], c.joined(of_loss)) for k, c in enumerate(self._chains)}
        return value, records, host, curves

    def _heads(self, scan: RecurrentScan) -> tuple[int, ...]:
        """Return which arrays of the state the rest of the program reads, all where it reads none as it is."""
        used = {atom for equation in self.traced.program.equations for atom in equation.inputs} | {
            *self.traced.program.outputs
        }
        carries = scan.equation.params["num_carry"]
        outputs = scan.equation.outputs
        emitted = {
            atom for atom, out in zip(scan.body.outputs, outputs, strict=True) if out in used and isinstance(atom, int)
        }
        heads = tuple(k for k, j in enumerate(scan.leaves) if scan.body.outputs[:carries][j] in emitted)
        return heads or tuple(range(len(scan.leaves)))
