"""Measurements of a run beyond its score: weights at every evaluation, dynamics at chosen steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unitcircle import dynamics
from unitcircle.experiments.models import AnyNetwork, Parameters, Stack, select
from unitcircle.experiments.training._evaluation import FEWEST
from unitcircle.experiments.training._measurable import measurable
from unitcircle.experiments.training._run import Run
from unitcircle.spectra import departure_from_normality, eigenvalues, polar_factor, tangent_share

SEQUENCES = 8
"""Validation sequences on which gradients, exponents and Jacobians are measured."""
STATES = 128
"""Validation sequences on which the geometry of the hidden states is measured."""


class Diagnostics:
    """The measurements of R runs; ``seconds`` is what they took."""

    def __init__(
        self, network: AnyNetwork, validation: Sequence[tuple[Tensor, Tensor, Tensor | None]], runs: Sequence[Run]
    ) -> None:
        self.seconds = 0.0
        self._network, self._cell = network, network.cell
        self._at = set(runs[0].measure_at)
        parts = [inputs[0] for inputs, _, _ in validation[: STATES // FEWEST]]
        alike = [part for part in parts if len(part) == len(parts[0])]
        self._inputs = torch.cat(alike, 1)[:, :STATES].cpu()
        self._measurements: list[list[dict[str, Any]]] = [[] for _ in runs]
        self._start: dict[str, tuple[Tensor, Tensor]] | None = None

    def of(self, r: int, /) -> tuple[dict[str, Any], ...]:
        """Return what was measured of one run."""
        return tuple(self._measurements[r])

    def weights(self, parameters: Parameters, runs: np.ndarray, /) -> list[dict[str, float]]:
        """Measure the recurrent weights of the runs ``(K,)``: radius, norm, and how far they have moved."""
        #     orthogonality    ‖WᵀW − I‖_F / √n
        #     drift            ‖W − W_0‖_F / ‖W_0‖_F
        #     tangent_share    ‖skew(QᵀΔW)‖² / ‖ΔW‖²,   W_0 = Q P (polar)
        #
        # The tangent share is the part of the squared movement along which an orthogonal weight stays orthogonal.
        began = time.perf_counter()
        rows: list[dict[str, float]] = [{} for _ in runs]
        if self._cell.recurrent:
            for name, value in self._weight_curves(parameters, runs).items():
                for row, number in zip(rows, value.tolist(), strict=True):
                    row[name] = number
        self.seconds += time.perf_counter() - began
        return rows

    @torch.no_grad()
    def _weight_curves(self, parameters: Parameters, runs: np.ndarray) -> dict[str, np.ndarray]:
        gates = self._gates(parameters)
        if self._start is None:
            self._start = {gate: (W, polar_factor(W)) for gate, W in gates.items()}
        curves: dict[str, Tensor] = {}
        for gate, values in gates.items():
            before, Q = (start[runs] for start in self._start[gate])
            # If one run of a stack has diverged: LAPACK refuses values that are not finite.
            finite = torch.isfinite(values).all(-1).all(-1)
            W = torch.where(finite[:, None, None], values, before)
            eye = torch.eye(W.shape[-1], dtype=W.dtype)
            change = W - before
            curves[f"radius[{gate}]"] = torch.linalg.eigvals(W).abs().amax(-1)
            curves[f"norm[{gate}]"] = torch.linalg.matrix_norm(W, 2)
            curves[f"orthogonality[{gate}]"] = _norm(W.mH @ W - eye) / W.shape[-1] ** 0.5
            curves[f"drift[{gate}]"] = _norm(change) / _norm(before)
            curves[f"tangent_share[{gate}]"] = tangent_share(change, Q)
            lost = ~finite
            for name in ("radius", "norm", "orthogonality", "drift", "tangent_share"):
                curves[f"{name}[{gate}]"][lost] = torch.nan
        return {name: value.numpy() for name, value in curves.items()}

    def _gates(self, parameters: Parameters) -> dict[str, Tensor]:
        weights = self._network.recurrent_weights(parameters)
        return {gate: _high(W.detach().cpu()) for gate, W in weights.items()}

    def measure(
        self, step: int, parameters: Parameters, runs: np.ndarray, /, *, ended: np.ndarray, lost: np.ndarray
    ) -> None:
        """Measure the runs ``(K,)`` whose ``measure_at`` has this step, or has −1 if the run has ended."""
        due = ~lost & ((step in self._at) | (ended & (-1 in self._at)))
        if not due.any():
            return
        began = time.perf_counter()
        high = {name: _high(value.detach().cpu()) for name, value in parameters.items()}
        for k in map(int, np.flatnonzero(due)):
            self._measurements[runs[k]].append({"step": step} | self._dynamics(select(high, k)))
        self.seconds += time.perf_counter() - began

    def _dynamics(self, parameters: Parameters) -> dict[str, Any]:
        # The first cell that the data meet stands for the network.
        cell_parameters = next(iter(self._network.stacks(parameters).values()))
        inputs = self._network.embed(parameters, self._inputs[None])[0]
        if isinstance(self._cell, Stack):
            flow = dynamics.depth_flow(self._cell.module(cell_parameters), inputs[-1, :SEQUENCES], jacobians=False)
            return {"gradient.growth_rate": flow.growth_rate, "gradient.horizon": flow.horizon()}
        numbers: dict[str, Any] = {}
        for gate, W in self._network.recurrent_weights(parameters).items():
            numbers[f"departure[{gate}]"] = float(departure_from_normality(W[0].numpy()))
            numbers[f"eigenvalues[{gate}]"] = [[v.real, v.imag] for v in eigenvalues(W[0].numpy()).tolist()]
        model = measurable(self._cell, cell_parameters)
        few = inputs[:, :SEQUENCES]
        flow = dynamics.gradient_flow(model, few, norm="jacobian")
        ends = flow.log_norms[[0, -1], 0].mean(-1)
        numbers["gradient.growth_rate"] = float(flow.growth_rate[0])
        numbers["gradient.horizon"] = float(flow.horizon()[0])
        numbers["gradient.log_ratio"] = float(ends[1] - ends[0])
        numbers["lyapunov.leading"] = float(dynamics.lyapunov_exponents(model, few, k=1).exponents.mean())
        jacobian = dynamics.jacobian_spectrum(model, few[:, :2])
        numbers["jacobian.median"] = float(jacobian.median.mean())
        numbers["jacobian.mean"] = float(jacobian.mean.mean())
        numbers["jacobian.effective_rank"] = float(jacobian.effective_rank.mean())
        hidden = dynamics.hidden_states(model, inputs, replicas=2, last_only=True)
        numbers["hidden.effective_dimension"] = float(hidden.effective_dimension[-1])
        numbers["hidden.input_share"] = float(hidden.input_share[-1])
        numbers["hidden.distance"] = float(hidden.distance[-1].mean())
        numbers["hidden.saturation"] = float(hidden.saturation[-1])
        return numbers


def _high(value: Tensor) -> Tensor:
    return value.to(torch.complex128 if value.is_complex() else torch.float64)


def _norm(W: Tensor) -> Tensor:
    return torch.linalg.matrix_norm(W)
