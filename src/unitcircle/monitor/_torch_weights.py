"""The watched weights of a PyTorch module, and measurements of its dynamics on a batch."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from unitcircle.diagnosis import SATURATED, Place
from unitcircle.dynamics import (
    DrivenLayer,
    Prepared,
    driven_layers,
    gradient_flow,
    lyapunov_exponents,
    prepared,
    unwrapped,
)
from unitcircle.errors import ArgumentError, NotFiniteError
from unitcircle.monitor._finding_reporter import UnitcircleWarning
from unitcircle.monitor._square_weights import square_weights
from unitcircle.monitor._weights import BatchDynamics, WeightBlock, WeightRole, Weights
from unitcircle.torch import RecurrentTensors, gradient_of, has_gradient, recurrent_tensors, suspects

COMPILED = "_orig_mod."
SEQUENCES = 8
"""Sequences of the batch whose states are measured; the gradient is that of the whole batch."""


class TorchWeights(Weights):
    """Every gate block of a module's recurrent layers, the square weights in ``names``, and some of the others."""

    def __init__(self, module: nn.Module, names: Collection[str], limit: int) -> None:
        module = unwrapped(module)
        self._module = module
        self._first: Prepared | None = None
        self._squares = square_weights(module, names, limit)
        if not self._squares and not any(True for _ in recurrent_tensors(module)):
            rule = "must hold a recurrent layer, or a square weight that trains"
            raise ArgumentError("model", rule, type(module).__name__)
        if computed := [
            tensors.name
            for tensors in recurrent_tensors(module)
            if not has_gradient(module.get_submodule(tensors.path), tensors.name.rpartition(".")[2])
        ]:
            message = f"{', '.join(computed)}: computed from other parameters, so no gradient of it is recorded"
            warnings.warn(message, UnitcircleWarning, stacklevel=4)
        recurrent = {name for square in self._squares if square.recurrent for name in square.names}
        if paths := [path for path in suspects(module) if path not in recurrent]:
            message = (
                f"{', '.join(paths)}: recurrent by its name, but not watched as recurrent; pass names={paths} "
                "if it is recurrent"
            )
            # 4: this method, weights_of, Monitor, and the line that made the monitor.
            warnings.warn(message, UnitcircleWarning, stacklevel=4)

    def blocks(self) -> dict[str, WeightBlock]:
        """Return name → block; with a projection P the weight that acts on the state fed back, P W."""
        blocks: dict[str, WeightBlock] = {}
        with torch.no_grad():
            for tensors in recurrent_tensors(self._module):
                blocks |= _blocks(tensors, self._module.get_submodule(tensors.path))
            for square in self._squares:
                name = square.name.replace(COMPILED, "")
                blocks[name] = _square_block(
                    name, square.tensor, WeightRole.PLAIN if square.recurrent else WeightRole.SQUARE
                )
        return blocks

    def gradient_norm(self) -> float:
        """Return the norm of the gradient over all parameters; NaN where there is none."""
        gradients = [p.grad for p in self._module.parameters() if p.grad is not None and not p.grad.is_sparse]
        return float(nn.utils.get_total_norm(gradients)) if gradients else float("nan")

    def settle(self) -> None:
        """Wait for the devices of the parameters."""
        for device in {p.device for p in self._module.parameters() if p.device.type == "cuda"}:
            torch.cuda.synchronize(device)

    def is_main(self) -> bool:
        """Whether this process has rank 0, or is the only one."""
        distributed = torch.distributed
        return not (distributed.is_available() and distributed.is_initialized()) or distributed.get_rank() == 0

    def sample(self, batch: Any, loss: Callable[..., Tensor] | None, metrics: Collection[str], /) -> BatchDynamics:
        """Measure gradient by lag, leading exponent, saturation and dead units; the module is left as it was."""
        if isinstance(batch, DataLoader):  # the same batch at every measurement
            self._first = self._first or prepared(self._module, batch)
            batch = self._first.batch
        module = self._module
        first = next(iter(module.parameters()))
        dtype = torch.promote_types(first.dtype, torch.float32)
        scalars: dict[str, float] = {}
        by_lag: dict[str, np.ndarray] = {}
        with torch.autocast(first.device.type, enabled=False):
            if "flow" in metrics:
                # One seed for all: measurements differ by the weights, not by the probes.
                flow = gradient_flow(module, batch, loss, rng=0, dtype=dtype)
                with np.errstate(invalid="ignore"):
                    curves = flow.log_norms.mean(-1)
                for k, layer in enumerate(flow.layers):
                    by_lag[layer] = curves[:, k]
                    scalars[f"{layer}/gradient_growth"] = float(flow.growth_rate[k])
                    scalars[f"{layer}/gradient_horizon"] = float(flow.horizon()[k])
            if {"exponent", "states"} & set(metrics):
                for layer in driven_layers(module, batch, dtype=dtype):
                    scalars |= _state_metrics(layer, metrics)
        return BatchDynamics(scalars, by_lag)

    def wrap(self, array: np.ndarray, /) -> Tensor:
        """Return a copy of an array as a tensor, which ``torch.load(weights_only=True)`` reads."""
        return torch.tensor(array)


def _blocks(tensors: RecurrentTensors, module: nn.Module) -> dict[str, WeightBlock]:
    name = tensors.name.replace(COMPILED, "")
    gates = tensors.gates
    gradient = gradient_of(module, tensors.name.rpartition(".")[2])
    # One copy from the device for the stack, not one a gate.
    stack = _array(tensors.recurrent)
    projection = None if tensors.projection is None else _array(tensors.projection)
    blocks: dict[str, WeightBlock] = {}
    rows = len(stack) // len(gates)
    for k, gate in enumerate(gates):
        part = slice(k * rows, (k + 1) * rows)
        value = stack[part] if projection is None else projection @ stack[part]
        norm = _norm(None if gradient is None else gradient[part])
        if len(gates) > 1:
            blocks[f"{name}.{gate}"] = WeightBlock(Place(name, gate, name), value, WeightRole.GATE, norm)
        else:
            blocks[name] = WeightBlock(Place(name, tensor=name), value, WeightRole.PLAIN, norm)
    return blocks


def _square_block(name: str, tensor: Tensor, role: WeightRole) -> WeightBlock:
    return WeightBlock(Place(name, tensor=name), _array(tensor), role, _norm(tensor.grad if tensor.is_leaf else None))


def _norm(gradient: Tensor | None) -> float:
    return float("nan") if gradient is None else float(torch.linalg.vector_norm(gradient.float()))


def _array(tensor: Tensor) -> np.ndarray:
    if tensor.is_meta:
        remedy = "Call model.to_empty(device=...) and load or initialize its weights first."
        raise ArgumentError("model", "must have weights", "a weight on the meta device", remedy)
    wide = torch.promote_types(tensor.dtype, torch.float32)
    return tensor.detach().to("cpu", wide).numpy()


def _state_metrics(layer: DrivenLayer, metrics: Collection[str]) -> dict[str, float]:
    """Return saturation, dead units and leading exponent of one layer, by name."""
    numbers: dict[str, float] = {}
    try:
        if "states" in metrics:
            inputs, initial = layer.first(SEQUENCES)
            states = layer.recurrence.trajectory(inputs, initial=initial)[1]
            h = states[1:, :, layer.recurrence.parts.get("h", slice(None))]
            numbers[f"{layer.name}/saturation"] = float((h.abs() >= SATURATED).float().mean())
            numbers[f"{layer.name}/dead"] = float((h == h[0, 0]).flatten(0, 1).all(0).float().mean())
        if "exponent" in metrics:
            inputs, initial = layer.first(1)
            leading = lyapunov_exponents(layer.recurrence, inputs, k=1, initial=initial)
            numbers[f"{layer.name}/exponent"] = float(leading.exponents[0, 0])
    except NotFiniteError:
        # A state that overflows is a result, not a mistake.
        numbers |= {f"{layer.name}/saturation": float("nan"), f"{layer.name}/exponent": float("nan")}
    return numbers
