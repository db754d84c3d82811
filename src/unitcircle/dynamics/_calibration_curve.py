"""A criterion of one plain layer against the spectral radius of its recurrent weight."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from unitcircle.dynamics._calibration_result import CalibrationStatus, Criterion, LayerCalibration
from unitcircle.dynamics._driven_layers import DrivenLayer
from unitcircle.dynamics._gradient_flow import gradient_flow
from unitcircle.dynamics._jacobian_spectrum import mean_log_singular_value
from unitcircle.dynamics._lyapunov import lyapunov_exponents
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.errors import ArgumentError, NotFiniteError
from unitcircle.initializers import Critical
from unitcircle.torch import RecurrentTensors, write_weight

SIGMAS = 3.0
"""Standard errors by which a curve must fall, or an exponent exceed 0, before it counts."""


class Curve:
    """The criterion and the leading exponent of one plain layer as functions of log ρ, each measured once."""

    def __init__(self, module: nn.Module, driven: DrivenLayer, criterion: Criterion, *, probes: int, seed: int) -> None:
        tensors = next(one for one in RecurrentTensors.of(module, driven.path) if one.key == driven.name)
        self.original: Tensor = tensors.recurrent.detach().clone()
        self.radius = float(torch.linalg.eigvals(self.original.double()).abs().max())
        self.criterion: Criterion = criterion
        # Of a Haar weight the root mean square singular value is the radius, of a Gaussian one nearly.
        spread = float(torch.linalg.matrix_norm(self.original.double())) / math.sqrt(len(self.original))
        self.is_random = bool(2 / 3 < spread / self.radius < 3 / 2) if self.radius else False
        self.steps = len(driven.inputs)
        self.measured: dict[float, np.ndarray] = {}
        self._exponents: dict[float, tuple[float, float]] = {}
        self._place, self._driven, self._module = tensors.name, driven, module
        self._probes, self._seed = probes, seed
        self.start = _critical_radius(driven, getattr(module, "nonlinearity", "tanh"))

    def multiply(self, gain: float) -> None:
        """Set the weight of the layer to its original times a gain."""
        with torch.no_grad():
            value = (self.original.double() * gain).to(self.original.dtype)
            write_weight(self._module, self._place.rpartition(".")[2], value, self._place)

    def write_to(self, model: nn.Module) -> None:
        """Give the layer of another model the weight that this one has now."""
        leaf = self._place.rpartition(".")[2]
        write_weight(model.get_submodule(self._driven.path), leaf, getattr(self._module, leaf).detach(), self._place)

    def per_sequence(self, log_radius: float) -> np.ndarray:
        """Return the criterion of every sequence ``(B,)``, nats over the whole length."""
        log_radius = float(log_radius)
        if log_radius not in self.measured:
            self.measured[log_radius] = self._measure(self.criterion, self._at(log_radius))
        return self.measured[log_radius]

    def value(self, log_radius: float) -> float:
        """Return the mean of the criterion over the batch."""
        return float(self.per_sequence(log_radius).mean())

    def exponent(self, log_radius: float) -> float:
        """Return the leading Lyapunov exponent, nats per step, mean over the batch."""
        return self._leading(log_radius)[0]

    def is_chaotic(self, log_radius: float) -> bool:
        """Whether the leading exponent is above 0 by more than its error."""
        mean, error = self._leading(log_radius)
        return mean > SIGMAS * error

    def is_noise(self, log_radius: float) -> bool:
        """Whether the leading exponent is too far below 0 for a gradient that keeps its norm."""
        # ‖J‖_F² = n lets log σ_1 be between 0 and ½ log n; λT may differ from it by as much.
        mean, error = self._leading(log_radius)
        return self.steps * (mean + SIGMAS * error) < -0.5 * math.log(len(self.original))

    def lost_beyond_start(self, log_radius: float) -> float:
        """Return how much shorter a typical direction is than at the critical radius (nats); 0 below ½ log n."""
        # There the norm is that of the few directions that grow, which can hold it up by as much and no more.
        if math.exp(log_radius) <= self.start:
            return 0.0
        at_start, there = (
            float(self._measure("typical_direction", self._at(x)).mean()) for x in (math.log(self.start), log_radius)
        )
        lost = at_start - there
        return lost if lost > 0.5 * math.log(len(self.original)) else 0.0

    def result(self, status: CalibrationStatus, reason: str, found: float | None) -> LayerCalibration:
        """Return the measured curve with what was found on it, a log ρ or nothing."""
        logs = sorted(self.measured)
        radii = np.exp(logs)
        at_radius: dict[str, Any] = {}
        if found is not None:
            exponent, error = self._leading(found)
            recurrence = self._at(found)
            at_radius = {
                "gain": math.exp(found) / self.radius,
                "radius": math.exp(found),
                "exponent": exponent,
                "exponent_stderr": error,
                "gradient_ratio": float(self._measure("gradient_ratio", recurrence).mean()),
                "typical_direction": float(self._measure("typical_direction", recurrence).mean()),
            }
        return LayerCalibration(
            self._driven.name,
            status,
            reason,
            self.steps,
            start=self.start,
            gains=radii / self.radius if logs else radii,
            radii=radii,
            values=np.array([self.value(x) for x in logs]),
            stderr=np.array([standard_error(self.per_sequence(x)) for x in logs]),
            **at_radius,
        )

    def _at(self, log_radius: float) -> Recurrence:
        self.multiply(math.exp(log_radius) / self.radius)
        return self._driven.recurrence_of(self._module)

    def _leading(self, log_radius: float) -> tuple[float, float]:
        log_radius = float(log_radius)
        if log_radius not in self._exponents:
            recurrence = self._at(log_radius)
            # The first half of the length lets the state and the tangent vector settle.
            result = lyapunov_exponents(recurrence, self._driven.inputs, k=1, burn_in=self.steps // 2)
            leading, over_time = result.exponents[:, 0], result.stderr[:, 0]
            # Of a single sequence, over time; of a single step there is no error.
            error = standard_error(leading) if len(leading) > 1 else float(np.nan_to_num(over_time[0]))
            self._exponents[log_radius] = float(leading.mean()), error if math.isfinite(error) else 0.0
        return self._exponents[log_radius]

    def _measure(self, criterion: Criterion, recurrence: Recurrence) -> np.ndarray:
        inputs = self._driven.inputs
        try:
            if criterion == "typical_direction":
                return mean_log_singular_value(recurrence, inputs)
            flow = gradient_flow(recurrence, inputs, norm="jacobian", probes=self._probes, rng=self._seed)
        except NotFiniteError:
            return np.array([math.nan])
        with np.errstate(invalid="ignore"):
            return flow.log_norms[-1, 0] - flow.log_norms[0, 0]


def standard_error(values: np.ndarray, /) -> float:
    """Return the standard error of a mean over the batch: NaN if a value is not finite, 0 for a single one."""
    if not np.isfinite(values).all():
        return math.nan
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def _critical_radius(driven: DrivenLayer, activation: str) -> float:
    """Return the radius that is critical in mean field for the drive U x + b of the layer, or 1."""
    (cell,) = driven.recurrence.cells  # pyright: ignore[reportAttributeAccessIssue]
    present = torch.arange(len(driven.inputs))[:, None] < driven.lengths
    drive = cell.drive(driven.inputs)[present.to(driven.inputs.device)]
    try:
        return Critical.of_drive(drive, activation=activation).gain
    except ArgumentError:  # no radius below 1000 is critical
        return 1.0
