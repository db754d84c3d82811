"""The dynamics of a layer rebuilt from its weights and driven with inputs.

ρ of a gate block says little about a gated cell: working LSTMs have gate blocks with ρ well above 1. What carries a
gradient is the product of the step Jacobians along a trajectory, and this module measures its growth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from unitcircle._array import reals
from unitcircle.errors import ShapeError
from unitcircle.recurrence import Cell, RecurrentLayer, is_known_activation, jacobian, jvp, step

BATCH = 4
PROBES = 8
LARGEST_COST = 5e11
"""Above this many multiplications (minutes) nothing is measured."""
FORGETTING = 10_000
"""Most steps that a layer runs before it is measured: what has not forgotten its initial state by then never does."""
FEW_UNITS = 32
"""Up to this size of the state Jacobians are formed for many steps at once: a product costs less than a call."""
ENTRIES = 2**20
"""Entries of the Jacobians that are formed at once."""
LOST = 1e-3
"""A gradient below this share of its end value counts as lost: other terms of the loss dominate."""


@dataclass(frozen=True, eq=False)
class DrivenDynamics:
    """How a perturbation of the full state grows along driven trajectories.

    Attributes
    ----------
    log_growth
        ``(steps + 1,)``: ½ log of the mean over probes v of ‖J_t ⋯ J_1 v‖², averaged over trajectories, minus its
        value at lag 0: the growth of the Frobenius norm of the state's Jacobian with the lag (nats).
    spread
        ``(steps + 1,)``: standard deviation of the same quantity over trajectories.
    saturation
        Share of the units of h with |h| > 0.99 along the trajectories; a property of bounded activations.
    inputs
        Description of the inputs.
    """

    log_growth: np.ndarray
    spread: np.ndarray
    saturation: float
    inputs: str

    @property
    def steps(self) -> int:
        """The length T."""
        return len(self.log_growth) - 1

    @property
    def growth_rate(self) -> float:
        """Slope of log-growth over the second half of the lags (nats per step)."""
        half = self.steps // 2
        span = self.steps - half
        if span == 0:
            return 0.0
        end = float(self.log_growth[-1])
        return (end - float(self.log_growth[half])) / span if np.isfinite(end) else end

    def first_below(self, factor: float) -> int | None:
        """Return the first lag at which the growth has fallen below a factor, or None."""
        below = np.flatnonzero(self.log_growth < np.log(factor))
        return int(below[0]) if below.size else None

    def first_above(self, factor: float) -> int | None:
        """Return the first lag at which the growth has risen above a factor, or None."""
        above = np.flatnonzero(self.log_growth > np.log(factor))
        return int(above[0]) if above.size else None


def drive(
    layer: RecurrentLayer, /, *, steps: int, data: np.ndarray | None = None, rng: np.random.Generator | int = 0
) -> DrivenDynamics | None:
    """Drive a layer with inputs and measure the growth of perturbations of its full state.

    The layer runs for ``steps`` steps, at most 10,000, to forget its initial state of zero, then for ``steps`` further
    steps in which Gaussian probes are multiplied by the step Jacobians.

    Parameters
    ----------
    layer
        The layer.
    steps
        The length T.
    data
        Inputs ``(time, batch, m)``, repeated where they are too short; by default standard-normal inputs.
    rng
        Generator or seed, for inputs and probes.

    Returns
    -------
    DrivenDynamics or None
        None where :func:`reason_not_to_drive` gives a reason.

    Raises
    ------
    ShapeError
        ``data`` does not fit the layer's inputs.
    """
    if reason_not_to_drive(layer, steps):
        return None
    layer = _to_double(layer)
    rng = np.random.default_rng(rng)
    m = layer.input_size or 0
    before = min(steps, FORGETTING)
    if data is None:
        inputs = rng.standard_normal((before + steps, BATCH, m))
        words = f"standard-normal inputs ({BATCH} trajectories)" if m else "no input"
        if not m and "input" in layer.unknown:
            words = "no input (its input weights are unknown)"
    else:
        data = reals(data, argument="data")
        if data.ndim != 3 or data.shape[-1] != m or not data.shape[0]:
            raise ShapeError("data", f"must have shape (time, batch, {m})", f"shape {data.shape}")
        inputs = data[np.arange(before + steps) % data.shape[0], :BATCH]
        words = f"the data given ({inputs.shape[1]} trajectories)"
    if "bias" in layer.unknown:
        words += ", with biases of 0 because they are unknown"
    state = np.zeros((inputs.shape[1], layer.state_size))
    sequence = [x if m else None for x in inputs]
    tangents = rng.standard_normal((inputs.shape[1], layer.state_size, PROBES))
    logs = np.zeros((steps + 1, inputs.shape[1]))
    start = np.log(np.linalg.norm(tangents, axis=(1, 2)))
    scale = np.zeros(inputs.shape[1])
    saturated = 0.0
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for x in sequence[:before]:
            state = step(layer, x, state)
        for lag, (after, push) in enumerate(_pushed(layer, sequence[before:], inputs[before:], state), start=1):
            tangents = push(tangents)
            if not np.isfinite(after).all():  # a state that overflows is a result: the layer explodes
                logs[lag:] = np.inf
                break
            norms = np.linalg.norm(tangents, axis=(1, 2))
            logs[lag] = np.log(norms) + scale - start
            alive = norms > 0
            tangents[alive] /= norms[alive, None, None]
            scale[alive] += np.log(norms[alive])
            saturated += float(np.mean(np.abs(after[:, : layer.output_size]) > 0.99))
    with np.errstate(invalid="ignore"):
        spread = np.where(np.isfinite(logs).all(axis=1), logs.std(axis=1), np.nan)
    return DrivenDynamics(logs.mean(axis=1), spread, saturated / max(steps, 1), words)


def _pushed(
    layer: RecurrentLayer, sequence: Sequence[np.ndarray | None], inputs: np.ndarray, state: np.ndarray
) -> Iterator[tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]]:
    """Yield the state after each step, and what the step does to perturbations of the state before it."""
    if layer.state_size > FEW_UNITS:
        for x in sequence:
            before, state = state, step(layer, x, state)
            yield state, partial(jvp, layer, x, before)
        return
    size = max(1, ENTRIES // (len(state) * layer.state_size**2))
    for start in range(0, len(sequence), size):
        states = [state]
        for x in sequence[start : start + size]:
            states.append(step(layer, x, states[-1]))
        state = states[-1]
        xs = None if sequence[start] is None else inputs[start : start + size]
        for after, J in zip(states[1:], jacobian(layer, xs, np.stack(states[:-1])), strict=True):
            yield after, partial(np.matmul, J)


def reason_not_to_drive(layer: RecurrentLayer, steps: int, /) -> str:
    """Return why a layer is not driven, as a clause; empty where it is."""
    # A ReLU layer without inputs and biases stays at the origin, where the slope of ReLU is a convention.
    at_origin = layer.cell is Cell.RNN_RELU and not layer.inputs and not any(b.any() for b in layer.biases.values())
    cost = 2 * steps * BATCH * (PROBES + 1) * max(len(layer.gates), 1) * layer.hidden_size**2
    strange = sorted({name for name in layer.activations.values() if not is_known_activation(name)})
    reasons = {
        "its forward is not torch's": "step" in layer.unknown,
        "its leak is unknown; name it with --leak or leak=, 1 for none": "leak" in layer.unknown,
        "its biases are unknown; name them in tensors=": "bias" in layer.unknown and layer.cell.gated,
        f"its activation {', '.join(strange)} is not known": bool(strange),
        "its activation is unknown": "activation" in layer.unknown,
        "whether z keeps or replaces its state is not in the file": "gating" in layer.unknown,
        f"{layer.state_size} states over {steps} steps take too long": cost > LARGEST_COST,
        "a ReLU layer without inputs and biases stays at the origin": at_origin,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _to_double(layer: RecurrentLayer) -> RecurrentLayer:
    """Return a layer in double precision, converted once rather than at every step."""
    names = ("gates", "inputs", "biases", "recurrent_biases", "peepholes", "projected_gates")
    cast = {
        name: {gate: np.asarray(b, np.result_type(b, float)) for gate, b in getattr(layer, name).items()}
        for name in names
    }
    return replace(layer, **cast)
