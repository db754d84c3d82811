"""The recurrent gain at which the gradient of a network keeps its norm over the length of the user's data."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from scipy.optimize import brentq, minimize_scalar
from torch import nn

from unitcircle._renamed import renamed_arguments
from unitcircle.dynamics._calibration_result import Calibration, CalibrationStatus, Criterion, LayerCalibration
from unitcircle.dynamics._driven_layers import DrivenLayer, driven_layers
from unitcircle.dynamics._gradient_flow import gradient_flow
from unitcircle.dynamics._jacobian_spectrum import mean_log_singular_value
from unitcircle.dynamics._prepared import prepared
from unitcircle.errors import ArgumentError, NotFiniteError, UnknownNameError
from unitcircle.torch import RecurrentTensors, Rng, copied, generator_of, initialize_, write_weight

CRITERIA: tuple[Criterion, ...] = ("gradient_ratio", "typical_direction")
IDENTITY_LIKE = 0.9
"""Cosine between W and the identity, tr W / (√n ‖W‖_F), above which a larger gain only saturates the units."""
PRECISION = 0.005
"""Tolerance of the logarithm of the gain; the sampling error of the curve is larger."""
SIGMAS = 3.0
"""Standard errors by which a curve must fall before it counts as falling."""


@renamed_arguments(seed="rng")
def calibrate_(
    model: nn.Module,
    batch: Any,
    /,
    *,
    criterion: Criterion = "gradient_ratio",
    gains: tuple[float, float] = (0.5, 2.5),
    grid: int = 13,
    probes: int = 8,
    rng: Rng = 0,
) -> Calibration:
    r"""Scale the recurrent weights of an untrained network so that its gradient keeps its norm over a batch.

    Layers are calibrated one after the other, lowest first, each on the inputs that it receives in the batch and from
    the zero state::

        gradient_ratio      the g at which   ½ log(‖∂h_T/∂h_0‖_F² / n) = 0,   with recurrent weight g W
        typical_direction   the g at which   (1/n) Σ_i log σ_i(∂h_T/∂h_0)     is largest

    The norm is estimated with random cotangents, averaged over probes (squares) and over the batch (logarithms), since
    a single cotangent of a Gaussian network varies too much. A grid of gains brackets the answer, which a scalar search
    then refines. An LSTM or GRU gets no gain: its biases are spread over the length (Chrono), because in our pilot
    experiments any bias common to all units was worse.

    Parameters
    ----------
    model
        Any module with recurrent layers, before training; changed only if no layer is refused.
    batch
        Inputs in any form that :func:`prepared` takes. The model is calibrated for their length.
    criterion
        Which of the two gains to find.
    gains
        The smallest and the largest gain.
    grid
        Number of gains measured first, evenly spaced in their logarithm; at least 5.
    probes
        Number of random cotangents.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents and biases.

    Returns
    -------
    Calibration
        Gain or bias, status and reason, and the measured curve of every layer. A layer is refused if its curve is not
        monotone up to the gain (or not unimodal), if no gain of the range satisfies the criterion, or if its weight is
        close to the identity: then every gain above 1 saturates the units instead of keeping the gradient. The
        logarithm of a gain is found to 0.005.

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
    >>> filled = initialize_(rnn, recurrent="orthogonal(gain=0.8)", bias="zeros", rng=0)
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
    seed = _seed_of(rng)
    ready = prepared(model, batch)
    model, twin = ready.model, copied(ready.model)
    driven, dtype = ready.in_double(lambda dtype: driven_layers(twin, ready.batch, dtype=dtype))
    names = [layer.name for layer in driven if "#" not in layer.name]  # of a layer used again its first use
    if not names:
        raise ArgumentError("model", "must call an nn.RNN, GRU, LSTM or Cell", type(model).__name__)
    logs = np.linspace(math.log(gains[0]), math.log(gains[1]), grid)
    layers: list[LayerCalibration] = []
    curves: list[_Curve] = []
    passes = 0
    for name in names:
        # Run the model again for every layer: its inputs depend on the layers below, which are calibrated by now.
        driven = next(layer for layer in driven_layers(twin, ready.batch, dtype=dtype) if layer.name == name)
        module = twin.get_submodule(driven.path)
        if isinstance(module, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
            layers.append(_spread_biases(module, driven, seed))
            continue
        curve = _Curve(module, driven, criterion, probes=probes, seed=seed)
        layers.append(_calibrate_layer(curve, logs))
        curve.scale(1.0 if layers[-1].status.refused else layers[-1].gain)
        passes += len(curve.measured)
        curves.append(curve)
    applied = not any(layer.status.refused for layer in layers)
    if applied:
        with torch.no_grad():
            for parameter, calibrated in zip(model.parameters(), twin.parameters(), strict=True):
                if not torch.equal(parameter, calibrated):
                    parameter.copy_(calibrated)
        for curve in curves:  # a hook of weight_norm has stored what it computed before
            curve.write_to(model)
    return Calibration(criterion, tuple(layers), applied, passes)


def _seed_of(rng: Rng) -> int:
    """Return one seed for every measurement; a generator advances by one draw."""
    # The same cotangents at every gain make the curve smooth.
    if isinstance(rng, Integral):
        return int(rng)
    generator = generator_of(rng)
    return int(torch.randint(2**63 - 1, (), generator=generator, device=generator.device))


class _Curve:
    """The criterion of one plain layer as a function of the log-gain, every value measured once."""

    def __init__(self, module: nn.Module, driven: DrivenLayer, criterion: Criterion, *, probes: int, seed: int) -> None:
        tensors = next(one for one in RecurrentTensors.of(module, driven.path) if one.key == driven.name)
        self.place = tensors.name
        self.original = tensors.recurrent.detach().clone()
        self.driven = driven
        self.criterion = criterion
        self.steps = _steps(driven)
        self.measured: dict[float, np.ndarray] = {}
        self._module, self._probes, self._seed = module, probes, seed

    def scale(self, gain: float) -> None:
        """Set the weight of the layer to its original times a gain."""
        with torch.no_grad():
            value = (self.original.double() * gain).to(self.original.dtype)
            write_weight(self._module, self.place.rpartition(".")[2], value, self.place)

    def write_to(self, model: nn.Module) -> None:
        """Give the layer of another model the weight that this one has now."""
        leaf = self.place.rpartition(".")[2]
        write_weight(model.get_submodule(self.driven.path), leaf, getattr(self._module, leaf).detach(), self.place)

    def per_sequence(self, log_gain: float) -> np.ndarray:
        """Return the criterion of every sequence ``(B,)``, nats over the whole length."""
        log_gain = float(log_gain)
        if log_gain not in self.measured:
            self.scale(math.exp(log_gain))
            self.measured[log_gain] = self._measure()
        return self.measured[log_gain]

    def value(self, log_gain: float) -> float:
        """Return the mean of the criterion over the batch."""
        return float(self.per_sequence(log_gain).mean())

    def _measure(self) -> np.ndarray:
        driven = self.driven
        recurrence = driven.recurrence_of(self._module)
        try:
            if self.criterion == "typical_direction":
                return mean_log_singular_value(recurrence, driven.inputs)
            flow = gradient_flow(recurrence, driven.inputs, norm="jacobian", probes=self._probes, rng=self._seed)
        except NotFiniteError:
            return np.array([math.nan])
        with np.errstate(invalid="ignore"):
            return flow.log_norms[-1, 0] - flow.log_norms[0, 0]


def _calibrate_layer(curve: _Curve, logs: np.ndarray) -> LayerCalibration:
    W = curve.original.double()
    n = W.shape[-1]
    norm = float(torch.linalg.matrix_norm(W))
    likeness = float(W.trace()) / (math.sqrt(n) * norm) if norm else 1.0
    if likeness > IDENTITY_LIKE:
        reason = (
            f"the cosine between the recurrent weight and the identity is {likeness:.2f}: "
            "a gain would only saturate the units"
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
    fall = _first_fall(curve, logs[: top + 1])
    if fall is not None:
        peak = int(np.argmax(values[: fall + 1]))
        reason = (
            f"the gradient's norm rises to {values[peak]:+.3g} nats at gain {math.exp(logs[peak]):.3g} and falls again "
            "before any gain preserves it"
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
        reason = f"the mean log singular value is largest at the end of the range, at gain {math.exp(logs[best]):.3g}"
        return _result(curve, CalibrationStatus.OUT_OF_RANGE, reason)
    if _first_fall(curve, logs[: best + 1]) is not None or _first_fall(curve, logs[best:][::-1]) is not None:
        reason = "the mean log singular value has more than one maximum"
        return _result(curve, CalibrationStatus.NOT_MONOTONE, reason)
    bounds = (logs[best - 1], logs[best + 1])
    optimum: Any = minimize_scalar(lambda x: -curve.value(x), bounds=bounds, method="bounded", options={"xatol": 0.01})
    gain = math.exp(float(optimum.x))
    reason = f"at gain {gain:.3g} the mean log singular value is largest, {-float(optimum.fun):+.3g} nats"
    return _result(curve, CalibrationStatus.CALIBRATED, reason, gain=gain)


def _first_fall(curve: _Curve, logs: np.ndarray) -> int | None:
    """Return the first index after which the curve falls by more than its error; None if it does not."""
    # The error of the change of each sequence, which is far smaller than the scatter between sequences.
    for j in range(len(logs) - 1):
        change = curve.per_sequence(logs[j + 1]) - curve.per_sequence(logs[j])
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
        np.array([_stderr(curve.per_sequence(x)) for x in logs]),
        curve.steps,
    )


def _spread_biases(module: nn.Module, driven: DrivenLayer, seed: int) -> LayerCalibration:
    steps = _steps(driven)
    bias = f"chrono(max_steps={max(steps, 3)})"
    none = np.zeros(0)
    if not any("bias" in name for name, _ in module.named_parameters()):
        reason = "a gated layer is calibrated through its biases, and this one has none"
        return LayerCalibration(driven.name, CalibrationStatus.NO_BIASES, reason, math.nan, "", none, none, none, steps)
    # This fills every layer of the module at once; the next of them is filled again, with the same numbers.
    initialize_(module, bias=bias, rng=seed)
    reason = f"the biases are spread over {steps} steps, {bias}; the recurrent weight is unchanged"
    return LayerCalibration(
        driven.name, CalibrationStatus.SPREAD_BIASES, reason, math.nan, bias, none, none, none, steps
    )


def _steps(driven: DrivenLayer) -> int:
    xs = driven.recurrence.sequence(driven.inputs)
    return xs if isinstance(xs, int) else len(xs)
