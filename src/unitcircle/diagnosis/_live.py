"""Measuring a live PyTorch model on a batch (imports torch; imported only for such a model)."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import torch
from scipy.special import expit, log_expit
from torch import nn

from unitcircle._array import to_numpy
from unitcircle.checkpoints import Coverage, Entry
from unitcircle.diagnosis._examination import DEFAULT_STEPS
from unitcircle.diagnosis._live_layer import SATURATED, GateActivity, LiveLayer
from unitcircle.dynamics import (
    DrivenLayer,
    GradientFlow,
    driven_layers,
    gradient_flow,
    hidden_states,
    jacobian_spectrum,
)
from unitcircle.errors import ArgumentError, NotFiniteError, UnknownNameError
from unitcircle.recurrence import Cell, RecurrentLayer
from unitcircle.torch import RecurrentTensors, recurrent_tensors, suspects

BLOCKS = 8
"""Blocks of time whose scatter is the error of the leading exponent."""
SPECTRUM_COST = 1e9
"""Above T·N³ of this (some seconds) the singular values of the long-term Jacobian are not measured."""


@dataclass(frozen=True, eq=False)
class Execution:
    """How a model is executed: batch, loss and seed."""

    batch: Any  # Inputs in the model's own layout, (inputs, target), or a dictionary of the model's arguments
    loss: Callable[..., torch.Tensor] | None = None  # Loss function; see :func:`unitcircle.dynamics.gradient_flow`
    at: Sequence[str] = ()  # Submodules that a hand-written recurrence calls with its state
    seed: int = 0  # Seed of cotangents and initial states

    def flow(self, model: nn.Module, /, *, norm: Literal["gradient", "jacobian"], dtype: Any) -> GradientFlow:
        """Return the gradient flow of a model."""
        return gradient_flow(model, self.batch, self.loss, norm=norm, at=self.at, rng=self.seed, dtype=dtype)


@dataclass(frozen=True, eq=False)
class LiveModel:
    """The recurrent layers of a live model and their measurements."""

    # Layers with their measurements; None for one that the model did not call.
    layers: tuple[tuple[RecurrentLayer, LiveLayer | None], ...]
    steps: int  # The length of the batch: the longest of the layers
    coverage: Coverage  # Which parameters were analysed, which were not, and why


def read(model: nn.Module, at: Sequence[str] = (), /) -> Iterator[tuple[str, RecurrentLayer]]:
    """Yield every recurrent layer of a module under the name that its measurements have."""
    for path, module in model.named_modules():
        for tensors in RecurrentTensors.of(module, path):
            yield tensors.key, tensors.as_layer()
    for tensors in _squares(model, at).values():
        if tensors is not None:
            yield tensors.key, tensors.as_layer()


def _squares(model: nn.Module, at: Sequence[str]) -> dict[str, RecurrentTensors | None]:
    """Return name → the square weight of a submodule, or None where it has none."""
    modules = dict(model.named_modules())
    for name in at:
        if name not in modules:
            raise UnknownNameError("at", name, (key for key in modules if key))
    return {name: RecurrentTensors.of_square(modules[name], name) for name in at}


def weights(model: nn.Module, at: Sequence[str] = (), /) -> tuple[list[RecurrentLayer], Coverage]:
    """Return the recurrent layers of a module that is not run, each shared weight once, and what was read."""
    squares = _squares(model, at)
    for name, square in squares.items():
        if square is None:
            raise ArgumentError("at", "must name modules with a square weight", repr(name))
    tensors = [*recurrent_tensors(model), *(square for square in squares.values() if square is not None)]
    layers = [weight.as_layer() for weight in tensors]
    notes = ["the model was not run: only its weights were examined; pass a batch to measure its gradient and states"]
    if squares:
        notes.append("modules named by at= are taken as plain tanh layers without inputs")
    unnamed = [name for name in suspects(model) if name not in at]
    if unnamed:
        notes.append(f"recurrent by name, and not examined: {', '.join(unnamed)}; if they are, pass at={unnamed}")
    if not layers:
        notes.append(f"{type(model).__name__} holds no nn.RNN, GRU, LSTM or Cell")
    return layers, _coverage(model, layers, notes)


def measure(model: nn.Module, execution: Execution, /, *, thorough: bool = True) -> LiveModel:
    """Measure every recurrent layer of a model on a batch; the model and the random state are left unchanged."""
    broken = [name for name, tensor in model.named_parameters() if not bool(torch.isfinite(tensor).all())]
    if broken:
        others = f", nor are {len(broken) - 1} others" if len(broken) > 1 else ""
        examined = [layer for _, layer in read(model, execution.at)]
        coverage = _coverage(model, examined, [f"nothing was run: {broken[0]} is not finite{others}"])
        return LiveModel(tuple((layer, None) for layer in examined), DEFAULT_STEPS, coverage)
    notes: list[str] = []
    dtype: torch.dtype | None = torch.float64
    try:
        flow = execution.flow(model, norm="gradient", dtype=dtype)
    except ArgumentError as error:
        if error.argument != "model" or "precision" not in str(error):
            raise
        notes.append("the model makes tensors of a fixed precision: it was measured in that, not in double precision")
        dtype = None
        flow = execution.flow(model, norm="gradient", dtype=dtype)
    jacobian = execution.flow(model, norm="jacobian", dtype=dtype) if thorough else None
    driven = {layer.name: layer for layer in driven_layers(model, execution.batch, dtype=dtype)}
    layers: list[tuple[RecurrentLayer, LiveLayer | None]] = []
    for name, layer in read(model, execution.at):
        live = None
        if name in flow.layers:
            live = _measure_layer(name, layer, flow, jacobian, driven.get(name), seed=execution.seed, thorough=thorough)
        else:
            notes.append(f"{layer.label} is not called on this batch: only its weights were examined")
        layers.append((layer, live))
    for layer in {layer.path: layer for layer in driven.values()}.values():
        if layer.calls > 1:
            notes.append(f"{layer.path or 'the model'} is called {layer.calls} times: its first call was measured")
    return LiveModel(tuple(layers), flow.steps, _coverage(model, [layer for layer, _ in layers], notes))


def _coverage(model: nn.Module, layers: Sequence[RecurrentLayer], notes: Sequence[str]) -> Coverage:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    entries = [
        Entry(name, tuple(parameters[name].shape), layer.label)
        for layer in layers
        for tensor in layer.source.tensors
        for name in _parameters_of(tensor, parameters)
    ]
    return Coverage(tuple(entries), (), tuple(notes), len(parameters) - len(entries))


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
    seed: int,
    thorough: bool,
) -> LiveLayer:
    k = flow.layers.index(name)
    gradient = _mean_curve(flow, k)
    of_state = gradient if jacobian is None else _mean_curve(jacobian, k)
    rate, error = float(flow.growth_rate[k]), float(flow.growth_rate_stderr[k])
    exponent, uncertainty = (math.nan, math.nan) if jacobian is None else _leading_exponent(jacobian, k)
    measured = LiveLayer(
        gradient,
        of_state,
        rate,
        error,
        flow.log_norms.shape[-1],
        units=layer.output_size,
        exponent=exponent,
        exponent_stderr=uncertainty,
    )
    if driven is None:
        return measured
    try:
        return _add_states(measured, layer, driven, seed=seed, thorough=thorough)
    except NotFiniteError:  # the states overflow, and the gradient already shows it
        return measured


def _mean_curve(flow: GradientFlow, k: int) -> np.ndarray:
    curve = flow.log_norms[:, k]
    with np.errstate(invalid="ignore"):
        return curve[~np.isnan(curve).any(-1)].mean(-1)


def _add_states(
    measured: LiveLayer, layer: RecurrentLayer, driven: DrivenLayer, *, seed: int, thorough: bool
) -> LiveLayer:
    recurrence = driven.recurrence
    geometry = hidden_states(recurrence, driven.inputs, initial=driven.initial, threshold=SATURATED, rng=seed)
    h = geometry.states
    limit = min(h.shape[-1], h.shape[1] - 1)
    changes: dict[str, Any] = {
        "distance": geometry.distance.mean(1),
        "dimension": float(geometry.effective_dimension[-1]),
        "largest_dimension": limit,
        "input_share": float(geometry.input_share[-1]),
        "typical": _typical_direction(layer, driven),
    }
    if thorough:
        xs, states = recurrence.trajectory(driven.inputs, initial=driven.initial)
        before = to_numpy(states)[:-1]
        # Bound of the change of h when each of n weights changes by one unit in the last place.
        resolution = h.shape[-1] * torch.finfo(_precision(layer)).eps
        changes |= {
            "saturation": _saturation(layer, recurrence.parts, to_numpy(states)[1:]),
            "dead": tuple(np.flatnonzero(np.ptp(h, axis=(0, 1)) <= resolution).tolist()),
            "gates": _gates(layer, None if xs is None else to_numpy(xs), before),
        }
    return LiveLayer(**(vars(measured) | changes))


def _precision(layer: RecurrentLayer) -> torch.dtype:
    return cast("torch.dtype", getattr(torch, layer.source.dtype))


def _typical_direction(layer: RecurrentLayer, driven: DrivenLayer) -> float:
    """Return the median log singular value of ∂h_T/∂s_0, whose n values are the n largest of the full state's."""
    recurrence = driven.recurrence
    inputs, initial = driven.first(1)
    steps = len(cast("torch.Tensor", recurrence.sequence(inputs)))
    if steps * recurrence.state_size**3 > SPECTRUM_COST:
        return math.nan
    values = jacobian_spectrum(recurrence, inputs, initial=initial).log_singular_values
    with np.errstate(invalid="ignore"):
        median = np.median(values[:, : layer.output_size], axis=-1).mean()
    return float(median)


def _leading_exponent(jacobian: GradientFlow, k: int) -> tuple[float, float]:
    """Return the growth rate of ∂h_T/∂s_t with the lag, whose limit is the leading exponent, and its error."""
    # The norm covers all directions. A single tangent could start in a direction that nothing reads, and vanish.
    curve = jacobian.log_norms[:, k]
    curve = curve[~np.isnan(curve).any(-1)]
    # In the first quarter, decaying directions still contribute.
    with np.errstate(invalid="ignore"):
        changes = np.diff(curve[len(curve) // 4 :], axis=0)
    if not changes.size or not np.isfinite(changes).all():
        return math.nan, math.nan
    # Scatter over time within a sequence and scatter over sequences, which share the weights: neither alone is enough.
    blocks = np.array([block.mean() for block in np.array_split(changes.mean(1), min(BLOCKS, len(changes)))])
    return float(changes.mean()), math.hypot(_standard_error(blocks), _standard_error(changes.mean(0)))


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _saturation(layer: RecurrentLayer, parts: Mapping[str, slice], states: np.ndarray) -> float:
    if layer.cell is Cell.LSTM:
        return float(np.mean(np.abs(np.tanh(states[..., parts["c"]])) >= SATURATED))
    if layer.cell in {Cell.GRU, Cell.RNN_TANH}:
        return float(np.mean(np.abs(states) >= SATURATED))
    return math.nan


def _gates(layer: RecurrentLayer, xs: np.ndarray | None, before: np.ndarray) -> dict[str, GateActivity]:
    """Return how far the sigmoid gates are open at the states ``(T, B, N)`` before each step."""
    if not layer.cell.gated:
        return {}
    h = before[..., : layer.output_size]
    activities: dict[str, GateActivity] = {}
    for gate in ("i", "f", "o") if layer.cell is Cell.LSTM else ("r", "z"):
        pre = h @ np.asarray((layer.projected_gates or layer.gates)[gate], dtype=float).T
        if xs is not None:
            pre += xs @ np.asarray(layer.inputs[gate], dtype=float).T
        if gate in layer.biases:
            pre += np.asarray(layer.biases[gate], dtype=float)
        logs = log_expit(pre).mean((0, 1))
        activities[gate] = GateActivity(float(expit(pre).mean()), float(logs.mean()), float(logs.max()))
    return activities
