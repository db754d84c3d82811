"""The recurrent gain at which a network of the user's keeps its gradient, over the user's length and data."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import Tensor, nn

from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._driven_layers import DrivenLayer, driven_layers
from unitcircle.dynamics._gradient_flow import gradient_flow
from unitcircle.dynamics._jacobian_spectrum import mean_log_singular_value
from unitcircle.dynamics._layers import STEPWISE
from unitcircle.errors import ArgumentError, NotFiniteError, UnknownNameError
from unitcircle.torch import initialize_

Criterion = Literal["gradient_ratio", "typical_direction"]
CRITERIA: tuple[Criterion, ...] = ("gradient_ratio", "typical_direction")
IDENTITY_LIKE = 0.9
"""Cosine between W and the identity, tr W / (√n ‖W‖_F), from which scaling W means nothing but saturating it."""
PRECISION = 0.005
"""To this the logarithm of the gain is found; the curve's own error is larger."""
SIGMAS = 3.0


class CalibrationStatus(StrEnum):
    """What became of a layer; every member but the first two is a refusal."""

    CALIBRATED = "calibrated"
    SPREAD_BIASES = "spread biases"
    IDENTITY_LIKE = "identity-like"
    NOT_MONOTONE = "not monotone"
    OUT_OF_RANGE = "out of range"
    NOT_FINITE = "not finite"
    NO_BIASES = "no biases"

    @property
    def refused(self) -> bool:
        """Whether the layer was not calibrated."""
        return self not in {CalibrationStatus.CALIBRATED, CalibrationStatus.SPREAD_BIASES}


@dataclass(frozen=True, eq=False)
class LayerCalibration:
    """One layer: what was found, and the curve it was found on.

    Attributes
    ----------
    name
        The layer, as :func:`gradient_flow` names it.
    status, reason
        What became of it and why, the reason a sentence.
    gain
        Factor for the recurrent weight as it was; NaN where there is none.
    bias
        What the biases of an LSTM or GRU were set to: ``"chrono(max_steps=64)"``; else empty.
    gains
        ``(G,)``, ascending: every gain that was measured; empty for a gated layer.
    values
        ``(G,)`` in nats over the whole length: log-ratio of gradient norms, or mean log singular value.
    stderr
        ``(G,)``: standard error of the values over the batch.
    steps
        T.
    """

    name: str
    status: CalibrationStatus
    reason: str
    gain: float
    bias: str
    gains: np.ndarray
    values: np.ndarray
    stderr: np.ndarray
    steps: int

    def __str__(self) -> str:
        return f"{self.name}: {self.status}: {self.reason}"


@dataclass(frozen=True, eq=False)
class Calibration:
    """What :func:`calibrate_` found.

    Attributes
    ----------
    criterion
        ``"gradient_ratio"`` or ``"typical_direction"``.
    layers
        One for each layer and direction, lowest first.
    applied
        Whether the model was changed: only if no layer was refused.
    passes
        Runs of one layer over the batch that it took.
    """

    criterion: Criterion
    layers: tuple[LayerCalibration, ...]
    applied: bool
    passes: int

    @property
    def status(self) -> CalibrationStatus:
        """The first refusal, else what became of the first layer."""
        return next((layer.status for layer in self.layers if layer.status.refused), self.layers[0].status)

    @property
    def gains(self) -> dict[str, float]:
        """Layer → gain, of the layers that have one."""
        return {layer.name: layer.gain for layer in self.layers if not math.isnan(layer.gain)}

    def __str__(self) -> str:
        end = "applied" if self.applied else "the model is as it was"
        return "\n".join([*map(str, self.layers), f"{end}; {self.passes} passes"])


def calibrate_(
    model: nn.Module,
    batch: Any,
    /,
    *,
    criterion: Criterion = "gradient_ratio",
    gains: tuple[float, float] = (0.5, 2.5),
    grid: int = 13,
    probes: int = 8,
    seed: int = 0,
) -> Calibration:
    r"""Scale the recurrent weights of an untrained network so that its gradient survives this length on these data.

    Layer by layer, lowest first, each under the inputs that it sees in the batch, from the zero state::

        gradient_ratio      the g at which   ½ log(‖∂h_T/∂h_0‖_F² / n) = 0,   with recurrent weight g W
        typical_direction   the g at which   (1/n) Σ_i log σ_i(∂h_T/∂h_0)     is largest

    The norm is that of random cotangents, averaged over probes (squares) and the batch (logarithms), since one
    cotangent of a Gaussian network can jump. A grid of gains brackets, a bracketing search refines. An LSTM or GRU gets
    no gain: its biases are spread over the length (Chrono), for in our pilot a common bias, however chosen, was worse.

    Parameters
    ----------
    model
        Any module with recurrent layers, before training; changed only if no layer is refused.
    batch
        Inputs in the model's own layout, ``(inputs, target)``, or a dictionary of the model's arguments. Its length
        is the length that is calibrated for.
    criterion
        Which gain is wanted.
    gains
        The smallest and the largest gain.
    grid
        How many gains are measured first, spaced evenly in their logarithm; at least 5.
    probes
        Random cotangents.
    seed
        Of cotangents and biases.

    Returns
    -------
    Calibration
        Gain or bias, status with its reason, and the curve measured, layer by layer. A layer is refused where the
        curve is not monotone up to the gain (or not unimodal), where no gain of the range does it, or where the
        weight is identity-like: then every gain above 1 saturates the units instead of keeping the gradient.

    Raises
    ------
    UnknownNameError
        No such criterion.
    ArgumentError
        Gains that are not ``0 < smallest < largest``, a grid below 5, or a model without recurrent layers.

    Examples
    --------
    >>> from unitcircle.torch import initialize_
    >>> rnn = nn.RNN(1, 32)
    >>> done = initialize_(rnn, recurrent="orthogonal(gain=0.8)", bias="zeros", rng=0)
    >>> result = calibrate_(rnn, 0.1 * torch.ones(50, 4, 1))
    >>> result.status, 1.25 < result.gains["l0"] < 1.35
    (<CalibrationStatus.CALIBRATED: 'calibrated'>, True)
    """
    if criterion not in CRITERIA:
        raise UnknownNameError("criterion", criterion, CRITERIA)
    if not 0 < gains[0] < gains[1] < math.inf:
        raise ArgumentError("gains", "must be a smallest and a larger one, above 0", f"{gains}")
    if grid < 5:
        raise ArgumentError("grid", "must be at least 5, to see whether the curve is monotone", f"{grid}")
    twin = copy.deepcopy(model)
    names = [layer.name for layer in driven_layers(twin, batch)]
    if not names:
        raise ArgumentError("model", "must call an nn.RNN, GRU, LSTM or Cell", type(model).__name__)
    logs = np.linspace(math.log(gains[0]), math.log(gains[1]), grid)
    found: list[LayerCalibration] = []
    passes = 0
    for name in names:
        # Again for every layer: what it sees depends on the layers below, which are calibrated by now.
        driven = next(layer for layer in driven_layers(twin, batch) if layer.name == name)
        module = twin.get_submodule(driven.path)
        if isinstance(module, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
            found.append(_spread(module, driven, seed))
            continue
        curve = _Curve(module, driven, criterion, probes=probes, seed=seed)
        found.append(_calibrated(curve, logs))
        curve.set(1.0 if found[-1].status.refused else found[-1].gain)
        passes += len(curve.measured)
    applied = not any(layer.status.refused for layer in found)
    if applied:
        with torch.no_grad():
            for parameter, calibrated in zip(model.parameters(), twin.parameters(), strict=True):
                if not torch.equal(parameter, calibrated):
                    parameter.copy_(calibrated)
    return Calibration(criterion, tuple(found), applied, passes)


class _Curve:
    """The criterion of one plain layer as a function of the log-gain, every value measured once."""

    def __init__(self, module: nn.Module, driven: DrivenLayer, criterion: Criterion, *, probes: int, seed: int) -> None:
        reverse = "_reverse" * (driven.direction == "reverse")
        name = "weight_hh" if isinstance(module, STEPWISE) else f"weight_hh_l{driven.layer}{reverse}"
        self.weight: Tensor = getattr(module, name)
        self.original = self.weight.detach().clone()
        self.driven = driven
        self.criterion = criterion
        self.steps = _steps(driven)
        self.measured: dict[float, np.ndarray] = {}
        self._module, self._probes, self._seed = module, probes, seed

    def set(self, gain: float) -> None:
        """Give the layer its weight as it was times a gain."""
        with torch.no_grad():
            self.weight.copy_(self.original.double() * gain)

    def each(self, log_gain: float) -> np.ndarray:
        """Return the criterion of every sequence (nats over the whole length)."""
        log_gain = float(log_gain)
        if log_gain not in self.measured:
            self.set(math.exp(log_gain))
            self.measured[log_gain] = self._measure()
        return self.measured[log_gain]

    def value(self, log_gain: float) -> float:
        """Return the criterion, mean over the batch."""
        return float(self.each(log_gain).mean())

    def _measure(self) -> np.ndarray:
        driven = self.driven
        fused = isinstance(self._module, nn.RNNBase)
        place: Any = {"layer": driven.layer, "direction": driven.direction} if fused else {}
        recurrence = as_recurrence(self._module, **place)
        try:
            if self.criterion == "typical_direction":
                return mean_log_singular_value(recurrence, driven.inputs)
            flow = gradient_flow(recurrence, driven.inputs, norm="jacobian", probes=self._probes, rng=self._seed)
        except NotFiniteError:
            return np.array([math.nan])
        with np.errstate(invalid="ignore"):
            return flow.log_norms[-1, 0] - flow.log_norms[0, 0]


def _calibrated(curve: _Curve, logs: np.ndarray) -> LayerCalibration:
    W = curve.original.double()
    n = W.shape[-1]
    norm = float(torch.linalg.matrix_norm(W))
    likeness = float(W.trace()) / (math.sqrt(n) * norm) if norm else 1.0
    if likeness > IDENTITY_LIKE:
        reason = (
            f"the cosine between the recurrent weight and the identity is {likeness:.2f}: a gain would only saturate it"
        )
        return _result(curve, CalibrationStatus.IDENTITY_LIKE, reason)
    values = np.array([curve.value(x) for x in logs])
    if not np.isfinite(values).all():
        gain = math.exp(logs[np.flatnonzero(~np.isfinite(values))[0]])
        reason = f"the criterion is not finite at gain {gain:.3g}: a Jacobian has lost rank, or overflows"
        return _result(curve, CalibrationStatus.NOT_FINITE, reason)
    search = _crossing if curve.criterion == "gradient_ratio" else _maximum
    return search(curve, logs, values)


def _crossing(curve: _Curve, logs: np.ndarray, values: np.ndarray) -> LayerCalibration:
    above = np.flatnonzero(values >= 0)
    top = int(above[0]) if above.size else len(values) - 1
    dip = _falls(curve, logs[: top + 1])
    if dip is not None:
        peak = int(np.argmax(values[: dip + 1]))
        reason = (
            f"the gradient's norm rises to {values[peak]:+.3g} nats at gain {math.exp(logs[peak]):.3g} and falls again "
            "before any gain keeps it"
        )
        return _result(curve, CalibrationStatus.NOT_MONOTONE, reason)
    if not above.size or top == 0:
        side, end = ("shrinks", -1) if not above.size else ("grows", 0)
        reason = f"even at gain {math.exp(logs[end]):.3g} the gradient's norm {side}, by {values[end]:+.3g} nats"
        return _result(curve, CalibrationStatus.OUT_OF_RANGE, reason)
    root: Any = brentq(curve.value, logs[top - 1], logs[top], xtol=PRECISION)
    gain = math.exp(float(root))
    reason = f"at gain {gain:.3g} the gradient keeps its norm over {curve.steps} steps"
    return _result(curve, CalibrationStatus.CALIBRATED, reason, gain=gain)


def _maximum(curve: _Curve, logs: np.ndarray, values: np.ndarray) -> LayerCalibration:
    best = int(np.argmax(values))
    if best in {0, len(values) - 1}:
        reason = f"the typical direction is kept best at the end of the range, gain {math.exp(logs[best]):.3g}"
        return _result(curve, CalibrationStatus.OUT_OF_RANGE, reason)
    if _falls(curve, logs[: best + 1]) is not None or _falls(curve, logs[best:][::-1]) is not None:
        reason = "the mean log singular value has more than one maximum"
        return _result(curve, CalibrationStatus.NOT_MONOTONE, reason)
    bounds = (logs[best - 1], logs[best + 1])
    found: Any = minimize_scalar(lambda x: -curve.value(x), bounds=bounds, method="bounded", options={"xatol": 0.01})
    gain = math.exp(float(found.x))
    reason = f"at gain {gain:.3g} the mean log singular value is largest, {-float(found.fun):+.3g} nats"
    return _result(curve, CalibrationStatus.CALIBRATED, reason, gain=gain)


def _falls(curve: _Curve, logs: np.ndarray) -> int | None:
    """Return the first place after which the curve falls by more than its error, sequence by sequence."""
    for j in range(len(logs) - 1):
        change = curve.each(logs[j + 1]) - curve.each(logs[j])
        if change.mean() < -SIGMAS * _stderr(change):
            return j
    return None


def _stderr(values: np.ndarray) -> float:
    if not np.isfinite(values).all():
        return math.nan
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _result(curve: _Curve, status: CalibrationStatus, reason: str, *, gain: float = math.nan) -> LayerCalibration:
    logs = sorted(curve.measured)
    return LayerCalibration(
        curve.driven.name,
        status,
        reason,
        gain,
        "",
        np.exp(logs),
        np.array([curve.value(x) for x in logs]),
        np.array([_stderr(curve.each(x)) for x in logs]),
        curve.steps,
    )


def _spread(module: nn.Module, driven: DrivenLayer, seed: int) -> LayerCalibration:
    steps = _steps(driven)
    bias = f"chrono(max_steps={max(steps, 3)})"
    none = np.zeros(0)
    if not any("bias" in name for name, _ in module.named_parameters()):
        reason = "a gated layer is calibrated by its biases, and it has none"
        return LayerCalibration(driven.name, CalibrationStatus.NO_BIASES, reason, math.nan, "", none, none, none, steps)
    # One module's layers all get theirs at once, and again the same for the next of them.
    initialize_(module, bias=bias, rng=seed)
    reason = f"the biases are spread over {steps} steps, {bias}; the recurrent weight stays"
    return LayerCalibration(
        driven.name, CalibrationStatus.SPREAD_BIASES, reason, math.nan, bias, none, none, none, steps
    )


def _steps(driven: DrivenLayer) -> int:
    xs = driven.recurrence.sequence(driven.inputs)
    return xs if isinstance(xs, int) else len(xs)
