"""Measuring a live PyTorch model on a batch (imports torch; imported only for such a model)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parameter import is_lazy

from unitcircle._array import to_numpy
from unitcircle._growth import mean_curve
from unitcircle.checkpoints import Coverage, Entry, Layers, config_of
from unitcircle.checkpoints import read as read_tensors
from unitcircle.diagnosis._examination import DEFAULT_STEPS
from unitcircle.diagnosis._linear_attention import told_by_class
from unitcircle.diagnosis._live_layer import LiveLayer
from unitcircle.diagnosis._live_loops import LoopLayers, Names, loop_layers, names_of, square
from unitcircle.diagnosis._live_states import add_states
from unitcircle.diagnosis._state_measures import leading_exponent, padding
from unitcircle.dynamics import (
    DrivenLayer,
    GradientFlow,
    NoLayerError,
    measured_layers,
    prepared,
)
from unitcircle.errors import ArgumentError, NotFiniteError
from unitcircle.recurrence import RecurrentLayer
from unitcircle.report import Progress
from unitcircle.torch import RecurrentTensors, recurrent_tensors, suspects

PROBES = 3
"""Random cotangents of the Jacobian of each sequence. Where one direction is left, which is the worst case, they make
the log-norm low by .18 nats, with a standard error of .48 nats for each sequence (moments of log χ² with 3 degrees)."""
LOOP_PROBES = 8
"""Random cotangents of the Jacobian of a hand-written recurrence."""


@dataclass(frozen=True, eq=False)
class Execution:
    """How a model is executed: batch, loss and seed."""

    batch: Any  # In a form that :func:`unitcircle.dynamics.prepared` takes
    loss: Callable[..., Any] | None = None  # Loss function; see :func:`unitcircle.dynamics.prepared`
    at: Names = ()  # Modules or parameters that act on the state of a hand-written recurrence
    seed: int = 0  # Seed of cotangents and initial states
    progress: Progress = field(default_factory=lambda: Progress("measurements"))


@dataclass(frozen=True, eq=False)
class LiveModel:
    """The recurrent layers of a live model and their measurements."""

    # Layers with their measurements; None for one that the model did not call.
    layers: tuple[tuple[RecurrentLayer, LiveLayer | None], ...]
    steps: int  # The length of the batch: the longest of the layers
    coverage: Coverage  # Which parameters were analysed, which were not, and why
    loops: bool = False  # Whether some layers are loops of the model itself
    interrupted: bool = False  # Whether a keyboard interrupt ended the measurement; coverage says what is missing


def read(model: nn.Module, /) -> Iterator[RecurrentTensors]:
    """Yield every recurrent layer of a module under the name that its measurements have."""
    for path, module in model.named_modules():
        yield from RecurrentTensors.of(module, path)


def weights(model: nn.Module, at: Names = (), /) -> tuple[list[RecurrentLayer], Coverage]:
    """Return the layers of a module that is not run, what no layer of torch holds as of a state dict, and coverage."""
    squares = {name: square(model, name) for name in names_of(model, at)}
    for name, weight in squares.items():
        if weight is None:
            remedy = "Pass a batch: then the loop that applies it is measured."
            raise ArgumentError("at", "must name modules with a square weight", repr(name), remedy)
    tensors = [*recurrent_tensors(model), *(weight for weight in squares.values() if weight is not None)]
    layers = [weight.as_layer() for weight in tensors]
    others, found = _read_by_name(model, tensors, {layer.label for layer in layers})
    notes = ["the model was not run: only its weights were examined; pass a batch to measure its gradient and states"]
    if squares:
        notes.append("modules named by at= are taken as plain tanh layers without inputs")
    read_already = {name for layer in others for name in layer.source.tensors}
    unnamed = [name for name in suspects(model) if name not in squares and f"{name}.weight" not in read_already]
    if unnamed:
        notes.append(f"recurrent by name, and not examined: {', '.join(unnamed)}; if they are, pass at={unnamed}")
    if not layers and not others:
        notes.append(f"{type(model).__name__} holds no nn.RNN, GRU, LSTM or Cell")
    coverage = _coverage(model, layers, notes)
    named = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    coverage = replace(
        coverage,
        analysed=(*coverage.analysed, *found.analysed),
        skipped=found.skipped,
        notes=(*coverage.notes, *found.notes),
        unread=(*coverage.unread, *found.unread, *told_by_class(model, found.unread)),
        other=coverage.other - len(named.intersection(entry.name for entry in (*found.analysed, *found.skipped))),
    )
    return [*layers, *others], coverage


def _read_by_name(
    model: nn.Module, known: Sequence[RecurrentTensors], labels: Collection[str]
) -> tuple[list[RecurrentLayer], Coverage]:
    """Return the layers that a state dict gives of the tensors that no known layer holds, under labels of their own."""
    owners = (nn.RNNBase, nn.RNNCellBase)
    owned: set[str] = set()
    computed: list[str] = []
    for path, part in model.named_modules():
        if isinstance(part, owners):
            stem = f"{path}.".lstrip(".")
            owned |= {stem + name for name, _ in part.named_parameters(recurse=False)}
            owned |= {stem + name for name, _ in part.named_buffers(recurse=False)}
            computed.append(f"{stem}parametrizations.")
    taken = {id(tensor) for one in known for tensor in one.stored.values()}
    free = {
        name: tensor
        for name, tensor in model.state_dict(keep_vars=True).items()
        if name not in owned and not name.startswith(tuple(computed)) and id(tensor) not in taken
        if not is_lazy(tensor) and not name.endswith("_extra_state")
    }
    found = read_tensors(free, config=config_of(model)) if free else Layers((), Coverage(), format="arrays", path=None)
    names = {
        layer.label: replace(layer, name=layer.source.tensors[0].removesuffix(".weight"))
        if layer.label in labels
        else layer
        for layer in found
    }
    analysed = tuple(
        replace(one, reason=names[one.reason].label) if one.reason in names else one for one in found.coverage.analysed
    )
    return list(names.values()), replace(found.coverage, analysed=analysed)


def measure(model: nn.Module, execution: Execution, /, *, thorough: bool = True, loops: bool = True) -> LiveModel:
    """Measure every recurrent layer of a model on a batch, and its ``loops``; the model is left unchanged."""
    broken = [name for name, tensor in model.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if broken:
        others = f", nor are {len(broken) - 1} others" if len(broken) > 1 else ""
        examined = [tensors.as_layer() for tensors in read(model)]
        coverage = _coverage(model, examined, [f"nothing was run: {broken[0]} is not finite{others}"])
        return LiveModel(tuple((layer, None) for layer in examined), DEFAULT_STEPS, coverage)
    notes: list[str] = []
    ready = prepared(model, execution.batch, execution.loss)
    execution = replace(execution, batch=ready.batch, loss=ready.loss)
    tensors = list(read(model))
    plain = [one for one in tensors if not one.own_forward or isinstance(model.get_submodule(one.path), nn.RNNBase)]
    layers: list[tuple[RecurrentLayer, LiveLayer | None]] = []
    lengths: list[int] = []
    found = LoopLayers((), (), ())
    missing: tuple[str, ...] = ()
    progress = execution.progress
    progress.expect((1 + len(plain)) * bool(plain) + loops if thorough else 0)
    advance = progress.advance if thorough else lambda: None
    try:
        if plain:
            steps = _measure_modules(model, execution, plain, layers, notes, advance, thorough=thorough)
            lengths += [steps] if steps else []
        if loops:
            known = {name for one, (_, live) in zip(plain, layers, strict=True) if live for name in one.names.values()}
            found = loop_layers(
                model,
                execution.batch,
                execution.loss,
                execution.at,
                known=known,
                explained={name for one in tensors for name in one.names.values()},
                probes=LOOP_PROBES if thorough else 0,
                seed=execution.seed,
            )
            advance()
    except KeyboardInterrupt:
        if not thorough:
            raise
        left = [one.as_layer() for one in plain[len(layers) :]]
        layers += [(layer, None) for layer in left]
        missing = (
            *(f"interrupted: {layer.label} was not measured" for layer in left),
            "interrupted: no loop was sought",
        )
    measured = {name for one, (_, live) in zip(plain, layers, strict=True) if live for name in one.names.values()}
    of_modules = list(zip(plain, layers, strict=True))
    for layer, loop in found.layers:
        live = _measure_layer(loop.gradient.layers[0], layer, loop.gradient, loop.jacobian, None, seed=0)
        layers.append((layer, replace(live, gated=loop.gated)))
        lengths.append(loop.gradient.steps)
        measured |= set(layer.source.tensors)
    # A subclass with a forward of its own that does not call torch's is the loop that it runs in, where there is one.
    beside = {id(pair) for one, pair in of_modules if one.own_forward and pair[1] is None}
    layers = [pair for pair in layers if id(pair) not in beside]
    left = [one for one in tensors if one.own_forward and measured.isdisjoint(one.names.values())]
    layers += [(one.as_layer(), None) for one in left]
    if not layers:
        conclusion = "" if found.unread or missing else ": nothing here is recurrent"
        notes.append(f"no loop carries a state through the same parameters on this batch{conclusion}")
    notes.append(f"the gradient is that of {ready.loss.used or 'a random cotangent of the last state, without a loss'}")
    coverage = _coverage(model, [layer for layer, _ in layers], list(dict.fromkeys([*found.notes, *notes])))
    coverage = replace(coverage, unread=(*coverage.unread, *found.unread, *missing, *told_by_class(model)))
    return LiveModel(
        tuple(layers), max(lengths, default=DEFAULT_STEPS), coverage, bool(found.layers), interrupted=bool(missing)
    )


def _measure_modules(  # noqa: PLR0917  (an interrupt leaves what was added to the lists)
    model: nn.Module,
    execution: Execution,
    tensors: Sequence[RecurrentTensors],
    layers: list[tuple[RecurrentLayer, LiveLayer | None]],
    notes: list[str],
    advance: Callable[[], None],
    *,
    thorough: bool,
) -> int:
    """Measure the recurrent layers that are modules of torch, add them to a list, and return the batch's length."""
    ready = prepared(model, execution.batch, execution.loss)
    probes = PROBES if thorough else 0
    try:
        found, dtype = ready.in_double(
            lambda dtype: measured_layers(
                model, execution.batch, execution.loss, probes=probes, rng=execution.seed, dtype=dtype
            )
        )
    except NoLayerError:
        examined = [one.as_layer() for one in tensors]
        notes += [
            f"{layer.label} is not called on this batch: only its weights were examined"
            for layer, one in zip(examined, tensors, strict=True)
            if not one.own_forward
        ]
        layers += [(layer, None) for layer in examined]
        return 0
    advance()
    if dtype is None:
        notes.append("the model makes tensors of a fixed precision: it was measured in that, not in double precision")
    flow, jacobian, driven = found.gradient, found.jacobian, {layer.name: layer for layer in found.layers}
    errors = None if found.errors is None else to_numpy(found.errors)
    notes += flow.notes
    for one in tensors:
        keys = [key for key in flow.layers if key.partition("#")[0] == one.key]
        layer, live = (replace(one, own_forward=False) if keys else one).as_layer(), None
        if keys:
            of_all = [
                _measure_layer(
                    key, layer, flow, jacobian, driven.get(key), errors=errors, seed=execution.seed, thorough=thorough
                )
                for key in ([_worst(keys, flow)] if len(keys) > 1 else keys)
            ]
            live = replace(of_all[0], trajectories=len(keys))
            notes += _how_called(layer.label, keys, flow)
            if one.own_forward:
                notes.append(
                    f"{layer.label} is a subclass that calls torch's forward: the state inside it was measured"
                )
        elif not one.own_forward:
            notes.append(f"{layer.label} is not called on this batch: only its weights were examined")
        layers.append((layer, live))
        advance()
    return flow.steps


def _worst(keys: Sequence[str], flow: GradientFlow) -> str:
    """Return the trajectory over which the gradient changes most."""

    def change(key: str) -> float:
        curve = mean_curve(flow.log_norms[:, flow.layers.index(key)])
        reached = curve[~np.isneginf(curve)]
        return abs(float(curve[-1] - reached[0])) if reached.size and math.isfinite(reached[0]) else -1.0

    return max(keys, key=change)


def _how_called(label: str, keys: Sequence[str], flow: GradientFlow) -> list[str]:
    """Return what the model does with the states of a layer that it calls more than once."""
    calls = [flow.calls[flow.layers.index(key)] for key in keys]
    if len(keys) > 1:
        runs = f"{label} runs along {len(keys)} trajectories, each with an initial state of its own"
        return [f"{runs}: each was measured, and the one over which the gradient changes most is reported"]
    return [f"{label} is called {calls[0]} times with its state passed on: one trajectory"] if calls[0] > 1 else []


def _coverage(model: nn.Module, layers: Sequence[RecurrentLayer], notes: Sequence[str]) -> Coverage:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    entries = [
        Entry(name, tuple(parameters[name].shape), layer.label)
        for layer in layers
        for tensor in layer.source.tensors
        for name in _parameters_of(tensor, parameters)
    ]
    unread = [
        f"{layer.label} is a subclass of torch's {layer.cell} with a forward of its own: not measured; pass its step, "
        "as_recurrence(module, state=...), to unitcircle.dynamics.gradient_flow"
        for layer in layers
        if "step" in layer.unknown
    ]
    other = len(parameters) - len({entry.name for entry in entries})
    return Coverage(tuple(entries), (), tuple(notes), other, tuple(unread))


def _parameters_of(tensor: str, parameters: Collection[str]) -> list[str]:
    """Return the names of the parameters that a tensor is, or is computed from by a parametrization."""
    path, _, leaf = tensor.rpartition(".")
    computed_from = f"{path}.parametrizations.{leaf}.".lstrip(".")
    return [name for name in parameters if name == tensor or name.startswith(computed_from)]


def _measure_layer(
    name: str,
    layer: RecurrentLayer,
    flow: GradientFlow,
    jacobian: GradientFlow | None,
    driven: DrivenLayer | None,
    *,
    errors: np.ndarray | None = None,
    seed: int,
    thorough: bool = True,
) -> LiveLayer:
    k = flow.layers.index(name)
    gradient = mean_curve(flow.log_norms[:, k])
    # A model that draws anew at each run may call a layer otherwise in the next.
    j = None if jacobian is None or name not in jacobian.layers else jacobian.layers.index(name)
    of_state = gradient if jacobian is None or j is None else mean_curve(jacobian.log_norms[:, j])
    rate, error = float(flow.growth_rate[k]), float(flow.growth_rate_stderr[k])
    exponent, uncertainty = (
        (math.nan, math.nan)
        if jacobian is None or j is None
        else leading_exponent(jacobian.log_norms[:, j], jacobian.lengths[j], jacobian.cuts[j])
    )
    measured = LiveLayer(
        gradient,
        of_state,
        rate,
        error,
        len(flow.lengths[k]),
        units=layer.output_size,
        exponent=exponent,
        exponent_stderr=uncertainty,
        cut=flow.cuts[k][0] if flow.cuts[k] else None,
        links=len(flow.cuts[k]),
    )
    if driven is None:
        return measured
    xs = to_numpy(driven.inputs)
    measured = replace(measured, **padding(xs, flow.lengths[k], flow.log_norms[:, k], measured.start))
    try:
        return add_states(measured, layer, driven, flow.lengths[k], errors=errors, seed=seed, thorough=thorough)
    except NotFiniteError:  # the states overflow, and the gradient already shows it
        return measured
