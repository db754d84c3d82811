"""Measuring a live JAX model on a batch (imports JAX; imported only for such a model)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import log_expit

from unitcircle._graded_products import log_singular_values_of
from unitcircle._growth import growth, mean_curve
from unitcircle._series import participation_ratio
from unitcircle.checkpoints import Coverage, Entry
from unitcircle.diagnosis._examination import DEFAULT_STEPS
from unitcircle.diagnosis._foretelling import foretold
from unitcircle.diagnosis._jax_model import JaxBatch, JaxModel, JaxObjective, require_finite
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._state_measures import (
    FEWEST,
    SPECTRUM_COST,
    dead_units,
    drive,
    gate_activities,
    leading_exponent,
    mean_distance,
    padding,
    revived,
    saturation,
)
from unitcircle.errors import ArgumentError
from unitcircle.jax import LiveScan, LiveScans, live_scans, named_leaves, to_layers
from unitcircle.recurrence import Cell, RecurrentLayer, Source, jacobian, step

PROBES = 8
"""Random cotangents of the Jacobian."""
_SLACK = 1000
"""Multiple of n·eps up to which a rebuilt cell may differ from the one that ran."""


@dataclass(frozen=True, eq=False)
class JaxRun:
    """How a model is run."""

    batch: JaxBatch
    loss: Callable[..., Any] | None
    seed: int


@dataclass(frozen=True, eq=False)
class LiveJax:
    """The recurrent layers of a live JAX model and their measurements."""

    layers: tuple[tuple[RecurrentLayer, LiveLayer | None], ...]
    steps: int
    coverage: Coverage
    found: LiveScans | None = None  # The traced model, to be run with other parameters


def measure(model: JaxModel, run: JaxRun, /, *, thorough: bool = True, traced: LiveScans | None = None) -> LiveJax:
    """Measure every recurrence that a model runs by ``jax.lax.scan``; the model is left unchanged."""
    leaves = {name: jnp.asarray(leaf) for name, leaf in named_leaves(model.params).items()}
    floating = {name: leaf for name, leaf in leaves.items() if jnp.issubdtype(leaf.dtype, jnp.inexact)}
    known = _known(model.source, leaves)
    broken = [name for name, leaf in floating.items() if not bool(jnp.isfinite(leaf).all())]
    if broken:
        others = f", nor are {len(broken) - 1} others" if len(broken) > 1 else ""
        coverage = _coverage(floating, known, [f"nothing was run: {broken[0]} is not finite{others}"], ())
        return LiveJax(tuple((layer, None) for layer in known), DEFAULT_STEPS, coverage)
    objective = JaxObjective(run.loss, run.batch.target)
    probes = PROBES if thorough else 0
    found = (
        _traced(model, run, objective, probes)
        if traced is None
        else traced.again(model.params, probes, jax.random.key(run.seed))
    )
    if not all(np.isfinite(leaf).all() for scan in found.scans for leaf in scan.states) or (
        objective.used and not math.isfinite(found.value)
    ):
        require_finite(run.batch)
    errors = _errors(model, run, objective) if thorough and known else None
    layers, notes = _layers(found, known, errors, thorough=thorough)
    notes += model.notes
    if not found.double:
        notes.append("the model has derivative rules of its own precision: it was measured in that, not in double")
    if not layers:
        notes.append("no jax.lax.scan carries a state that parameters reach: nothing here is recurrent (an associative "
                     "scan is no loop: write the recurrence with lax.scan to have it measured)")  # fmt: skip
    without = "the value that the function returns" if not math.isnan(found.value) else ""
    notes.append(
        f"the gradient is that of {objective.used or without or 'a random cotangent of the last state, without a loss'}"
    )
    measured = {name for layer, live in layers if live is not None for name in layer.source.tensors}
    unrolled = [
        f"{name} is applied {uses} times, each time to what the time before gave, in a loop of Python that tracing "
        "unrolls: not measured (write the loop with jax.lax.scan)"
        for name, uses in found.unrolled.items()
        if name not in measured and np.ndim(leaves[name]) > 1
    ]
    longest = max((live.steps for _, live in layers if live is not None), default=DEFAULT_STEPS)
    coverage = _coverage(floating, [layer for layer, _ in layers], notes, (*unrolled, *found.unread))
    return LiveJax(tuple(layers), longest, coverage, found)


def _traced(model: JaxModel, run: JaxRun, objective: JaxObjective, probes: int) -> LiveScans:
    loss = objective if objective.exists else None
    try:
        return live_scans(
            model.function, model.params, *run.batch.args, loss=loss, probes=probes, key=run.seed, **run.batch.options
        )
    except ArgumentError:
        raise
    except Exception as error:
        rule = "must be arguments that the model and the loss take"
        first = (str(error).splitlines() or [""])[0]
        raise ArgumentError("batch", rule, f"{type(error).__name__}: {first}") from error


def _errors(model: JaxModel, run: JaxRun, objective: JaxObjective) -> np.ndarray | None:
    """Return what there is to learn of each sequence: the gradient by the output of one answer for all."""
    if not objective.exists:
        return None
    shape = jax.eval_shape(model.function, model.params, *run.batch.args, **run.batch.options)
    if max((leaf.shape[0] for leaf in jax.tree.leaves(shape) if leaf.ndim), default=0) < FEWEST:
        return None  # of so few sequences nothing is foretold
    used = objective.used
    errors = objective.errors(model.function(model.params, *run.batch.args, **run.batch.options))
    objective.used = used
    return errors


def _known(source: Any, leaves: Mapping[str, Any]) -> list[RecurrentLayer]:
    """Return the cells of flax and equinox in a model."""
    try:
        return [layer for layer in to_layers(source) if leaves.keys() >= {*layer.source.tensors}]
    except ArgumentError:  # it holds none
        return []


def _layers(
    found: LiveScans, known: Sequence[RecurrentLayer], errors: np.ndarray | None, *, thorough: bool
) -> tuple[list[tuple[RecurrentLayer, LiveLayer | None]], list[str]]:
    """Return the layers of the scans, each flax cell once, and notes on how they were found."""
    notes: list[str] = []
    of_known: dict[int, list[LiveLayer]] = {}
    others: list[tuple[RecurrentLayer, LiveLayer | None]] = []
    seen: dict[tuple[str, ...], int] = {}
    names: dict[str, int] = {}
    for scan in found.scans:
        count = seen[scan.parameters] = seen.get(scan.parameters, 0) + 1
        places = [k for k, layer in enumerate(known) if layer.source.tensors[0] in scan.parameters]
        # Of kernels that layers are stacked in, the scans over time run one after the other.
        place = places[(count - 1) % len(places)] if places else None
        states = _states_of(known[place], scan, double=found.double) if place is not None else None
        if place is not None and states is not None:
            layer = known[place]
            of_known.setdefault(place, []).append(_measured(scan, layer, states, errors, thorough=thorough))
            continue
        name = known[place].name if place is not None else _common(scan.parameters)
        names[name] = names.get(name, 0) + 1
        title = name if names[name] == 1 else f"{name}#{names[name]}"
        shapes = " and ".join(str(leaf.shape[1:]) for leaf in scan.states)
        acting = ", ".join(scan.parameters) or "no parameter"
        notes.append(
            f"{title} is a scan of {len(scan.states[0]) - 1} steps: it carries a state of shape {shapes}, on which "
            f"{acting} act{'s' * (len(scan.parameters) < 2)}{', through gates' * scan.gated}"
        )
        size = sum(leaf[0].size for leaf in scan.states) // len(scan.lengths)
        source = Source(tensors=scan.parameters, layout="flax", dtype="float32")
        layer = RecurrentLayer(name=title, cell=Cell.HAND_WRITTEN, units=size, source=source)
        others.append((layer, _measured(scan, layer, None, None, thorough=thorough)))
    layers: list[tuple[RecurrentLayer, LiveLayer | None]] = []
    taken = {name for layer, _ in others for name in layer.source.tensors}
    for k, layer in enumerate(known):
        if k in of_known:
            worst = max(of_known[k], key=lambda live: abs(live.change(live.steps)))
            layers.append((layer, replace(worst, trajectories=len(of_known[k]))))
            if len(of_known[k]) > 1:
                notes.append(f"{layer.label} is run by {len(of_known[k])} scans: the one over which the gradient "
                             "changes most is reported")  # fmt: skip
        elif layer.source.tensors[0] not in taken:
            layers.append((layer, None))
            notes.append(f"{layer.label} is not run by a scan on this batch: only its weights were examined")
    return [*layers, *others], notes


def _common(parameters: Sequence[str]) -> str:
    """Return the path that parameters have in common; of a single one its name."""
    if len(parameters) < 2:
        return parameters[0] if parameters else "scan"
    parts = [name.split(".") for name in parameters]
    common = [column[0] for column in zip(*parts, strict=False) if len(set(column)) == 1]
    return ".".join(common) or parameters[0]


@dataclass(frozen=True, eq=False)
class _States:
    """The full states ``(T + 1, B, N)`` of a flax cell, h first, and its inputs ``(T, B, m)``."""

    states: np.ndarray
    inputs: np.ndarray


def _states_of(layer: RecurrentLayer, scan: LiveScan, *, double: bool) -> _States | None:
    """Return the states and inputs of a flax cell; None where the scan does not run the cell as rebuilt."""
    if any(leaf.ndim > 3 or np.iscomplexobj(leaf) for leaf in scan.states):
        return None
    # flax carries (c, h), equinox (h, c), and we h, then c.
    parts = [leaf if leaf.ndim == 3 else leaf[:, None] for leaf in scan.states]
    states = np.concatenate(parts if layer.source.layout == "equinox" else parts[::-1], -1)
    for leaf in jax.tree.leaves(scan.inputs[0]):
        xs = np.asarray(leaf)
        xs = xs if xs.ndim == 3 else xs[:, None] if xs.ndim == 2 else xs
        if xs.ndim != 3 or xs.shape[-1] != layer.input_size or xs.shape[:2] != (len(states) - 1, states.shape[1]):
            continue
        if states.shape[-1] != layer.state_size or not np.isfinite(states).all():
            return None
        after = step(layer, xs, states[:-1])
        eps = np.finfo(np.float64 if double else np.float32).eps
        largest = max(1.0, float(np.abs(states).max()))
        if np.abs(after - states[1:]).max() <= _SLACK * (layer.hidden_size + xs.shape[-1]) * eps * largest:
            return _States(states, xs)
    return None


def _measured(
    scan: LiveScan, layer: RecurrentLayer, of_cell: _States | None, errors: np.ndarray | None, *, thorough: bool
) -> LiveLayer:
    gradient = mean_curve(scan.log_gradient)
    rate, error = growth(scan.log_gradient)
    jacobian = scan.log_jacobian if thorough else np.full_like(scan.log_gradient, np.nan)
    known = not np.isnan(jacobian).all()
    lost = np.flatnonzero(np.isneginf(jacobian).all(1)) if known and scan.detached else np.empty(0, int)
    cuts = [int(lost[0])] if lost.size else []
    exponent, uncertainty = leading_exponent(jacobian, scan.lengths, cuts) if known else (math.nan, math.nan)
    measured = LiveLayer(
        gradient,
        mean_curve(jacobian) if known else gradient,
        rate,
        error,
        len(scan.lengths),
        units=layer.output_size,
        exponent=exponent,
        exponent_stderr=uncertainty,
        cut=cuts[0] if cuts else None,
        links=len(cuts),
        gated=scan.gated,
    )
    if of_cell is None:
        return measured
    measured = replace(measured, **padding(of_cell.inputs, scan.lengths, scan.log_gradient, measured.start))
    return _with_states(measured, layer, of_cell, scan.lengths, errors, thorough=thorough)


def _with_states(
    measured: LiveLayer,
    layer: RecurrentLayer,
    of_cell: _States,
    lengths: np.ndarray,
    errors: np.ndarray | None,
    *,
    thorough: bool,
) -> LiveLayer:
    """Add what the states show, each sequence up to its own end."""
    n = layer.output_size
    lengths = np.maximum(
        lengths if len(lengths) == of_cell.states.shape[1] else np.full(of_cell.states.shape[1], lengths[0]), 1
    )
    h = of_cell.states[1:, :, :n]
    after = np.arange(1, len(h) + 1)[:, None] <= lengths
    last = h[lengths - 1, np.arange(len(lengths))]
    changes: dict[str, Any] = {
        "distance": mean_distance(h, lengths),
        "dimension": participation_ratio(last),
        "largest_dimension": min(n, h.shape[1] - 1),
    }
    steps = int(lengths[0])
    if measured.cut is None and steps * layer.state_size**3 <= SPECTRUM_COST:
        changes["spectrum"] = _Spectrum(layer, of_cell.inputs[:steps, 0], of_cell.states[:steps, 0])
    if thorough and errors is not None:
        changes |= foretold(measured, layer, inputs=of_cell.inputs, h=h, lengths=lengths, errors=errors)
    if thorough:
        xs = of_cell.inputs[after]
        parts = {"h": slice(n), "c": slice(n, None)}
        dead = dead_units(h[after], float(jnp.finfo(layer.source.dtype).eps))
        changes |= {
            "saturation": saturation(layer, parts, of_cell.states[1:][after]),
            "dead": dead,
            "revived": revived(layer, dead, of_cell.inputs, of_cell.states[0]),
            "gates": gate_activities(layer, xs if xs.size else None, of_cell.states[:-1][after], log_expit),
            "drive": drive(layer, xs) if xs.size else None,
        }
    return replace(measured, **changes)


@dataclass(frozen=True, eq=False)
class _Spectrum:
    """Measures the median log singular value of ∂h_T/∂s_0 of one sequence; a class, so that it can be pickled."""

    layer: RecurrentLayer
    inputs: np.ndarray
    states: np.ndarray

    def __call__(self) -> float:
        """Measure it."""
        transposed = (jacobian(self.layer, x, s).T for x, s in zip(self.inputs[::-1], self.states[::-1], strict=True))
        of_output = np.eye(self.layer.state_size, self.layer.output_size)
        with np.errstate(invalid="ignore"):
            return float(np.median(log_singular_values_of(transposed, of_output)))


def _coverage(
    leaves: Mapping[str, Any], layers: Sequence[RecurrentLayer], notes: Sequence[str], unread: Sequence[str]
) -> Coverage:
    entries: dict[str, Entry] = {}
    for layer in layers:
        for name in layer.source.tensors:
            if name in leaves:
                entries.setdefault(name, Entry(name, tuple(np.shape(leaves[name])), layer.label))
    return Coverage(tuple(entries.values()), (), tuple(notes), len(leaves) - len(entries), tuple(unread))
