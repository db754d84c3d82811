"""The spectral radius at which the gradient of a network keeps its norm over the length of the user's data."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import scipy  # its optimization is loaded at first use: a fifth of a second
import torch
from torch import nn

from unitcircle._keywords import right_keywords
from unitcircle._renamed import renamed_arguments
from unitcircle.dynamics._calibration_curve import SIGMAS, Curve, standard_error
from unitcircle.dynamics._calibration_result import Calibration, CalibrationStatus, Criterion, LayerCalibration
from unitcircle.dynamics._driven_layers import DrivenLayer, driven_layers
from unitcircle.dynamics._prepared import prepared
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.torch import Rng, copied, generator_of, initialize_

CRITERIA: tuple[Criterion, ...] = ("gradient_ratio", "typical_direction")
IDENTITY_LIKE = 0.9
"""Cosine between W and the identity, tr W / (√n ‖W‖_F), above which a larger gain only saturates the units."""
PRECISION = 0.005
"""Tolerance of the logarithm of the radius; the sampling error of the curve is larger."""


@renamed_arguments(seed="rng")
@right_keywords
def calibrate_(
    model: nn.Module,
    batch: Any,
    /,
    *,
    criterion: Criterion = "gradient_ratio",
    radii: tuple[float, float] = (0.3, 2.5),
    grid: int = 13,
    probes: int = 8,
    rng: Rng = 0,
) -> Calibration:
    r"""Scale the recurrent weights of an untrained network so that its gradient keeps its norm over a batch.

    Layers are calibrated one after the other, lowest first, each on the inputs that it receives in the batch and from
    the zero state. With W scaled to the spectral radius ρ::

        gradient_ratio      the ρ at which   ½ log(‖∂h_T/∂h_0‖_F² / n) = 0
        typical_direction   the ρ at which   (1/n) Σ_i log σ_i(∂h_T/∂h_0)     is largest
        both                λ ≤ 0, within three standard errors: else the ρ below at which λ = 0

    λ is the leading Lyapunov exponent over the second half of the length. A gradient that keeps its norm in a chaotic
    network (λ > 0) is noise: one direction grows while the others are lost. Where the network turns chaotic before its
    gradient keeps its norm, the answer is the edge, λ = 0; the result says so.

    The norm is estimated with random cotangents, averaged over probes (squares) and over the batch (logarithms),
    since a single cotangent of a Gaussian network varies too much. A grid of radii, which includes the one that is
    critical in mean field for the inputs of the layer (:func:`unitcircle.ensembles.critical_gain`), is followed
    from below until it brackets the answer, which a scalar search then refines. If no radius of it keeps the norm, or
    only one above the critical radius at which a typical direction is shorter by more than ½ log n, a random weight
    gets the critical radius, and the status says so. An LSTM or GRU gets no gain: its biases are
    spread over the length (Chrono), because in our pilot experiments any bias common to all units was worse.

    Parameters
    ----------
    model
        Any module with recurrent layers, before training; changed only if no layer is refused.
    batch
        Inputs in any form that :func:`prepared` takes. The model is calibrated for their length.
    criterion
        Which of the two radii to find.
    radii
        The smallest and the largest spectral radius, whatever that of the weight is now.
    grid
        Number of radii in the range, evenly spaced in their logarithm; at least 5.
    probes
        Number of random cotangents.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents and biases.

    Returns
    -------
    Calibration
        Of every layer: gain or bias, radius, status and reason; λ and both criteria at the radius found; and the curve
        that was measured. A layer is refused if its curve is not monotone up to the radius (or not unimodal), if no
        radius of the range satisfies the criterion, if it is chaotic at all of them, if every eigenvalue is 0, or if
        its weight is close to the identity: then every gain above 1 saturates the units instead of keeping the
        gradient. The logarithm of a radius is found to 0.005.

    Raises
    ------
    UnknownNameError
        No such criterion.
    ArgumentError
        Radii that are not ``0 < smallest < largest``, a grid below 5, or a model without recurrent layers.

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
    if not 0 < radii[0] < radii[1] < math.inf:
        raise ArgumentError("radii", "must be a smallest and a larger spectral radius, above 0", f"{radii}")
    if grid < 5:
        raise ArgumentError("grid", "must be at least 5, to see whether the curve is monotone", f"{grid}")
    seed = _seed_of(rng)
    ready = prepared(model, batch)
    model, twin = ready.model, copied(ready.model)
    driven, dtype = ready.in_double(lambda dtype: driven_layers(twin, ready.batch, dtype=dtype))
    names = [layer.name for layer in driven if "#" not in layer.name]  # of a layer used again its first use
    if not names:
        raise ArgumentError("model", "must call an nn.RNN, GRU, LSTM or Cell", type(model).__name__)
    layers: list[LayerCalibration] = []
    curves: list[Curve] = []
    passes = 0
    for name in names:
        # Run the model again for every layer: its inputs depend on the layers below, which are calibrated by now.
        driven = next(layer for layer in driven_layers(twin, ready.batch, dtype=dtype) if layer.name == name)
        module = twin.get_submodule(driven.path)
        if isinstance(module, nn.LSTM | nn.GRU | nn.LSTMCell | nn.GRUCell):
            layers.append(_spread_biases(module, driven, seed))
            continue
        curve = Curve(module, driven, criterion, probes=probes, seed=seed)
        layers.append(_calibrate_layer(curve, math.log(radii[0]), math.log(radii[1]), grid))
        curve.multiply(1.0 if layers[-1].status.refused else layers[-1].gain)
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


def _calibrate_layer(curve: Curve, low: float, high: float, grid: int) -> LayerCalibration:
    W = curve.original.double()
    if not curve.radius:
        reason = "every eigenvalue of the recurrent weight is 0, so that no factor gives it another spectral radius"
        return _refused(curve, CalibrationStatus.NILPOTENT, reason)
    likeness = float(W.trace()) / (math.sqrt(W.shape[-1]) * float(torch.linalg.matrix_norm(W)))
    if likeness > IDENTITY_LIKE:
        reason = (
            f"the cosine between the recurrent weight and the identity is {likeness:.2f}: "
            "a gain would only saturate the units"
        )
        return _refused(curve, CalibrationStatus.IDENTITY_LIKE, reason)
    # The grid of the range, moved by less than a step so that the critical radius is on it.
    step = (high - low) / (grid - 1)
    start = min(max(math.log(curve.start), low), high)
    below = np.arange(start, low - step / 2, -step)
    logs = np.concatenate([below, np.arange(start + step, high + step / 2, step)]).clip(low, high)
    search = _crossing if curve.criterion == "gradient_ratio" else _maximum
    return search(curve, np.unique(logs))


def _crossing(curve: Curve, logs: np.ndarray) -> LayerCalibration:
    values: list[float] = []
    for at, x in enumerate(logs.tolist()):
        values.append(curve.value(x))
        if not math.isfinite(values[-1]):
            return _not_finite(curve, x)
        if _falls(curve, logs[: at + 1]):
            peak = int(np.argmax(values))
            reason = (
                f"the gradient's norm reaches {values[peak]:+.3g} nats at radius {math.exp(logs[peak]):.3g} and falls "
                "again before any radius preserves it"
            )
            return _in_mean_field(curve, logs, CalibrationStatus.NOT_MONOTONE, reason)
        if values[-1] >= 0:
            break
        if curve.is_chaotic(x):
            return _calibrated(curve, x, "", logs)
    if len(values) == 1 or values[-1] < 0:
        side = "shrinks" if values[-1] < 0 else "grows"
        x = math.exp(logs[len(values) - 1])
        reason = f"even at radius {x:.3g} the gradient's norm {side}, by {values[-1]:+.3g} nats"
        return _in_mean_field(curve, logs, CalibrationStatus.OUT_OF_RANGE, reason)
    root: Any = scipy.optimize.brentq(curve.value, logs[len(values) - 2], logs[len(values) - 1], xtol=PRECISION)
    if reason := _doubt(curve, float(root)):
        return _in_mean_field(curve, logs, CalibrationStatus.NOT_MONOTONE, reason)
    return _calibrated(curve, float(root), f"the gradient keeps its norm over {curve.steps} steps", logs)


def _doubt(curve: Curve, root: float) -> str:
    """Return why a norm that is kept at a log radius is no gradient that arrives; empty where it is one."""
    if curve.is_noise(root):
        return (
            f"the gradient keeps its norm at radius {math.exp(root):.3g} by chance: the leading exponent there is "
            f"{curve.exponent(root):+.2g} a step"
        )
    if curve.is_random and (lost := curve.lost_beyond_start(root)):
        return (
            f"the gradient keeps its norm only at radius {math.exp(root):.3g}, in a few directions: a typical one is "
            f"{lost:.3g} nats shorter there than at the critical radius"
        )
    return ""


def _in_mean_field(curve: Curve, logs: np.ndarray, status: CalibrationStatus, reason: str) -> LayerCalibration:
    """Return the critical radius of the mean field where it holds, else a refusal."""
    start = math.log(curve.start)
    if not curve.is_random or not logs[0] < start < logs[-1] or curve.is_chaotic(start):
        return _refused(curve, status, reason)
    reason = f"{reason}; radius {curve.start:.3g} (gain {curve.start / curve.radius:.3g}) is critical in mean field"
    return curve.result(CalibrationStatus.CRITICAL, reason, start)


def _maximum(curve: Curve, logs: np.ndarray) -> LayerCalibration:
    values = np.array([curve.value(x) for x in logs])
    if not np.isfinite(values).all():
        return _not_finite(curve, float(logs[np.argmax(~np.isfinite(values))]))
    best = int(np.argmax(values))
    if best in {0, len(values) - 1}:
        reason = f"the mean log singular value is largest at the end of the range, at radius {math.exp(logs[best]):.3g}"
        return _refused(curve, CalibrationStatus.OUT_OF_RANGE, reason)
    if _falls(curve, logs[: best + 1]) or _falls(curve, logs[best:][::-1]):
        reason = "the mean log singular value has more than one maximum"
        return _refused(curve, CalibrationStatus.NOT_MONOTONE, reason)
    bounds = (logs[best - 1], logs[best + 1])
    optimum: Any = scipy.optimize.minimize_scalar(
        lambda x: -curve.value(x), bounds=bounds, method="bounded", options={"xatol": 0.01}
    )
    found = f"the mean log singular value is largest, {-float(optimum.fun):+.3g} nats"
    return _calibrated(curve, float(optimum.x), found, logs)


def _calibrated(curve: Curve, found: float, reason: str, logs: np.ndarray) -> LayerCalibration:
    """Return the radius found, or the largest below it at which the network is not chaotic."""
    if curve.is_chaotic(found):
        upper = found
        for lower in logs[logs < found][::-1]:
            if curve.exponent(lower) <= 0:
                break
            upper = float(lower)
        else:
            reason = f"the network is chaotic at every radius from {math.exp(logs[0]):.3g} to {math.exp(found):.3g}"
            return _refused(curve, CalibrationStatus.CHAOTIC, reason)
        chaotic = found
        # An exponent of −inf, where the state dies, has no place in a search for a root.
        edge: Any = scipy.optimize.brentq(lambda x: max(curve.exponent(x), -1.0), float(lower), upper, xtol=PRECISION)
        found = float(edge)
        if curve.is_chaotic(found):
            found = max(found - PRECISION, float(lower))
        first = f"{reason} only" if reason else "the gradient's norm still shrinks"
        reason = f"the leading exponent is 0; {first} at radius {math.exp(chaotic):.3g}, where the network is chaotic"
    reason = f"at radius {math.exp(found):.3g} (gain {math.exp(found) / curve.radius:.3g}) {reason}"
    return curve.result(CalibrationStatus.CALIBRATED, reason, found)


def _not_finite(curve: Curve, log_radius: float) -> LayerCalibration:
    radius = math.exp(log_radius)
    reason = f"the criterion is not finite at radius {radius:.3g}: a Jacobian has lost rank, or overflows"
    return _refused(curve, CalibrationStatus.NOT_FINITE, reason)


def _refused(curve: Curve, status: CalibrationStatus, reason: str) -> LayerCalibration:
    return curve.result(status, reason, None)


def _falls(curve: Curve, logs: np.ndarray) -> bool:
    """Whether the curve is anywhere below its peak so far by more than the error."""
    # The error of the change of each sequence, which is far smaller than the scatter between sequences.
    peak = curve.per_sequence(logs[0])
    for x in logs[1:]:
        change = curve.per_sequence(x) - peak
        if change.mean() < -SIGMAS * standard_error(change):
            return True
        peak = curve.per_sequence(x) if change.mean() > 0 else peak
    return False


def _spread_biases(module: nn.Module, driven: DrivenLayer, seed: int) -> LayerCalibration:
    steps = len(driven.inputs)
    bias = f"chrono(max_steps={max(steps, 3)})"
    if not any("bias" in name for name, _ in module.named_parameters()):
        reason = "a gated layer is calibrated through its biases, and this one has none"
        return LayerCalibration(driven.name, CalibrationStatus.NO_BIASES, reason, steps)
    # This fills every layer of the module at once; the next of them is filled again, with the same numbers.
    initialize_(module, bias=bias, rng=seed)
    reason = f"the biases are spread over {steps} steps, {bias}; the recurrent weight is unchanged"
    return LayerCalibration(driven.name, CalibrationStatus.SPREAD_BIASES, reason, steps, bias=bias)
