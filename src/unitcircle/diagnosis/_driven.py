"""The dynamics of a layer rebuilt from its weights and driven with inputs.

ρ of a gate block says little about a gated cell: working LSTMs have gate blocks with ρ well above 1. What carries a
gradient is the product of the step Jacobians along a trajectory, and this module measures its growth.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from unitcircle._array import reals
from unitcircle._keywords import right_keywords
from unitcircle.errors import ShapeError
from unitcircle.recurrence import Cell, EqualLayers, RecurrentLayer, is_known_activation, jvp, kind_of, step

BATCH = 4
PROBES = 8
LARGEST_COST = 5e11
"""Above this many multiplications (minutes) nothing is measured."""
FORGETTING = 10_000
"""Most steps that a layer runs before it is measured: what has not forgotten its initial state by then never does."""
TOGETHER = 2**17
"""Recurrent entries of layers that run together: a megabyte, which stays in a cache."""
SINGLE = 256
"""Units from which the products of a step, and not the calls, take its time."""
DRIVES = 2**20
"""Entries of the drives that are formed at once."""
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

    Examples
    --------
    A layer that keeps half of its state in a step:

    >>> import numpy as np
    >>> from unitcircle.diagnosis import drive
    >>> from unitcircle.recurrence import from_torch
    >>> dynamics = drive(from_torch(0.5 * np.eye(4), cell="linear"), steps=20)
    >>> dynamics.first_below(1e-3), round(float(np.exp(dynamics.growth_rate)), 4)
    (10, 0.5)
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


@right_keywords
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

    Examples
    --------
    A layer that keeps half of its state in a step:

    >>> import numpy as np
    >>> from unitcircle.recurrence import from_torch
    >>> dynamics = drive(from_torch(0.5 * np.eye(4), cell="linear"), steps=20)
    >>> np.exp(dynamics.log_growth[:3]).round(4).tolist()
    [1.0, 0.5, 0.25]
    """
    return drive_together([layer], steps=steps, data=data, rng=rng)[0]


def drive_together(
    layers: Sequence[RecurrentLayer],
    /,
    *,
    steps: int,
    data: np.ndarray | None = None,
    rng: np.random.Generator | int = 0,
) -> list[DrivenDynamics | None]:
    """Drive layers of one kind and size, each with the same inputs and probes, as :func:`drive` does one."""
    driven = [layer for layer in layers if not reason_not_to_drive(layer, steps)]
    if not driven:
        return [None] * len(layers)
    first, rng = driven[0], np.random.default_rng(rng)
    m, before = first.input_size or 0, min(steps, FORGETTING)
    if data is None:
        inputs = rng.standard_normal((before + steps, BATCH, m))
    else:
        data = reals(data, argument="data")
        if data.ndim != 3 or data.shape[-1] != m or not data.shape[0]:
            raise ShapeError("data", f"must have shape (time, batch, {m})", f"shape {data.shape}")
        inputs = data[np.arange(before + steps) % data.shape[0], :BATCH]
    probes = rng.standard_normal((inputs.shape[1], first.state_size, PROBES))
    runs: list[_Run] = []
    if kind_of(first) is None:
        runs += [_one_by_one(_to_double(layer), inputs, before, probes) for layer in driven]
    else:
        size = _pass_of(first)
        for start in range(0, len(driven), size):
            runs += _run(driven[start : start + size], inputs, before, probes)
    measured = iter(
        DrivenDynamics(run.logs.mean(axis=1), run.spread, run.saturated / max(steps, 1), _words(layer, data, inputs))
        for layer, run in zip(driven, runs, strict=True)
    )
    places = set(map(id, driven))
    return [next(measured) if id(layer) in places else None for layer in layers]


def _pass_of(layer: RecurrentLayer) -> int:
    """Return how many layers like this one are run in one pass."""
    return max(1, TOGETHER // max(sum(block.size for block in layer.gates.values()), 1))


@dataclass(frozen=True, eq=False)
class DrivenTogether:
    """The driven dynamics of the layers of a model: with one that is asked for, all that run in one pass with it."""

    layers: Sequence[RecurrentLayer]
    steps: int
    seed: int
    found: dict[int, DrivenDynamics | None] = field(default_factory=dict[int, "DrivenDynamics | None"])

    def of(self, layer: RecurrentLayer, data: np.ndarray | None, /) -> DrivenDynamics | None:
        """Return the driven dynamics of one of the layers, on data that fit it."""
        if id(layer) not in self.found:
            equal = self._passes.get(id(layer), [layer])
            driven = drive_together(equal, steps=self.steps, data=data, rng=self.seed)
            self.found.update(zip(map(id, equal), driven, strict=True))
        return self.found[id(layer)]

    @cached_property
    def _passes(self) -> dict[int, list[RecurrentLayer]]:
        """Id of a layer → the layers that run in one pass with it; none of a layer that runs alone."""
        by_kind: dict[object, list[RecurrentLayer]] = {}
        for layer in self.layers:
            if (kind := kind_of(layer)) is not None:
                by_kind.setdefault(kind, []).append(layer)
        passes: dict[int, list[RecurrentLayer]] = {}
        for equal in by_kind.values():
            size = _pass_of(equal[0])
            for start in range(0, len(equal), size):
                passes |= dict.fromkeys(map(id, equal[start : start + size]), equal[start : start + size])
        return passes


@dataclass(eq=False)
class _Run:
    """The growth of perturbations along the trajectories of one layer, ``(steps + 1, batch)``."""

    logs: np.ndarray
    saturated: float = 0.0

    @property
    def spread(self) -> np.ndarray:
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(self.logs).all(axis=1), self.logs.std(axis=1), np.nan)


def _words(layer: RecurrentLayer, data: np.ndarray | None, inputs: np.ndarray) -> str:
    """Return what a layer was driven with."""
    if data is not None:
        words = f"the data given ({inputs.shape[1]} trajectories)"
    elif layer.input_size:
        words = f"standard-normal inputs ({BATCH} trajectories)"
    else:
        words = "no input (its input weights are unknown)" if "input" in layer.unknown else "no input"
    return words + (", with biases of 0 because they are unknown" if "bias" in layer.unknown else "")


def _run(layers: Sequence[RecurrentLayer], inputs: np.ndarray, before: int, probes: np.ndarray) -> list[_Run]:
    """Run equal layers; a large one that is stored in single precision or less is run in it, as in its network."""
    block = next(iter(layers[0].gates.values()))
    if len(layers) == 1 and len(block) >= SINGLE and block.dtype.itemsize <= 4:
        (run,) = _run_together(EqualLayers(layers, dtype=np.float32), inputs, before, probes)
        # What single precision cannot hold is run again.
        if np.isfinite(run.logs).all():
            return [run]
    return _run_together(EqualLayers(layers), inputs, before, probes)


def _run_together(layers: EqualLayers, inputs: np.ndarray, before: int, probes: np.ndarray) -> list[_Run]:
    """Run equal layers, and multiply perturbations by the step Jacobians after the first steps."""
    length, batch, _ = inputs.shape
    count, steps = len(layers.recurrent), length - before
    inputs, probes = inputs.astype(layers.dtype, copy=False), probes.astype(layers.dtype, copy=False)
    state = np.zeros((count, layers.state_size, batch), layers.dtype)
    tangents = np.broadcast_to(np.moveaxis(probes, 0, 1), (count, layers.state_size, batch, PROBES)).copy()
    logs = np.zeros((steps + 1, count, batch))
    start, scale = np.log(_sizes(tangents)), np.zeros((count, batch))
    saturated, exploded = np.zeros(count), np.zeros(count, dtype=bool)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for t, drive_ in enumerate(_drives(layers, inputs)):
            if t < before:
                state = layers.step(drive_, state)
                continue
            lag = t - before + 1
            state, pushed = layers.advance(drive_, state, tangents)
            assert pushed is not None
            tangents = pushed
            finite = np.isfinite(state).all(axis=(1, 2))
            if not finite.all():  # a state that overflows is a result: the layer explodes
                logs[lag:, ~finite & ~exploded] = np.inf
                exploded |= ~finite
                state[exploded], tangents[exploded] = 0.0, 0.0
                if exploded.all():
                    break
            sizes = _sizes(tangents)
            logs[lag, ~exploded] = (np.log(sizes) + scale - start)[~exploded]
            sizes[~(sizes > 0)] = 1.0
            tangents /= sizes[:, None, :, None].astype(layers.dtype)
            scale += np.log(sizes)
            saturated += np.where(exploded, 0.0, (np.abs(state[:, : layers.n]) > 0.99).mean(axis=(1, 2)))
    return [_Run(logs[:, k], float(saturated[k])) for k in range(count)]


def _sizes(tangents: np.ndarray) -> np.ndarray:
    """Return the norm of the perturbations of each layer and trajectory."""
    return np.sqrt(np.einsum("lsbp,lsbp->lb", tangents, tangents)).astype(np.float64)


def _drives(layers: EqualLayers, inputs: np.ndarray) -> Iterator[np.ndarray]:
    """Yield ``U x + b`` of every step, many steps in one product."""
    length, batch, m = inputs.shape
    if not m or layers.input is None:
        yield from (layers.drives(None) for _ in range(length))
        return
    size = max(1, DRIVES // (layers.bias.size * batch))
    for start in range(0, length, size):
        some = inputs[start : start + size]
        drives = layers.drives(some.reshape(-1, m).T).reshape(*layers.bias.shape[:2], len(some), batch)
        yield from (drives[:, :, t] for t in range(len(some)))


def _one_by_one(layer: RecurrentLayer, inputs: np.ndarray, before: int, probes: np.ndarray) -> _Run:
    """Run a layer that is stepped by itself."""
    batch, steps = inputs.shape[1], len(inputs) - before
    state = np.zeros((batch, layer.state_size))
    sequence = [x if layer.input_size else None for x in inputs]
    tangents = probes
    run = _Run(np.zeros((steps + 1, batch)))
    start, scale = np.log(np.linalg.norm(tangents, axis=(1, 2))), np.zeros(batch)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for x in sequence[:before]:
            state = step(layer, x, state)
        for lag, x in enumerate(sequence[before:], start=1):
            tangents = jvp(layer, x, state, tangents)
            state = step(layer, x, state)
            if not np.isfinite(state).all():
                run.logs[lag:] = np.inf
                break
            norms = np.linalg.norm(tangents, axis=(1, 2))
            run.logs[lag] = np.log(norms) + scale - start
            alive = norms > 0
            tangents[alive] /= norms[alive, None, None]
            scale[alive] += np.log(norms[alive])
            run.saturated += float(np.mean(np.abs(state[:, : layer.output_size]) > 0.99))
    return run


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
