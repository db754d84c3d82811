"""Gradient flow: the norm of the gradient at every time step, layer and batch element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle._growth import Flow, Step, steepest
from unitcircle.dynamics._batch import call, loss_of
from unitcircle.dynamics._cells import State
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.dynamics._unrolling import StateRecord, unrolled
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.torch import Rng, generator_of

Norm = Literal["gradient", "jacobian", "spectral"]


@dataclass(frozen=True, eq=False)
class GradientFlow(Flow[np.ndarray]):
    """Norms of a gradient by lag, ``T`` steps back from the last state; rates and horizons are ``(layers,)``.

    Attributes
    ----------
    layers
        Names, one per layer and direction.
    log_norms
        ``(T + 1, layers, B)``: natural logarithm of the norm with respect to the layer's full state, by lag: lag 0
        is the last state that the layer computes, lag T its initial state. −inf where the norm is 0, inf where it
        overflows, NaN beyond the length of a layer that runs over fewer steps.
    parts
        ``"h"`` and, if a layer is an LSTM, ``"c"`` → log-norms with respect to that part, of the same shape.
    stderr
        Standard error of ``log_norms`` from the probes, of the same shape; 0 where the norm is exact.
    norm
        The norm: ``"gradient"``, ``"jacobian"`` or ``"spectral"``.
    """

    layers: tuple[str, ...]
    log_norms: np.ndarray
    parts: Mapping[str, np.ndarray]
    stderr: np.ndarray
    norm: Norm

    @property
    def norms(self) -> np.ndarray:
        """The norms by lag, ``(T + 1, layers, B)``."""
        return np.exp(self.log_norms)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.log_norms) - 1

    def _measure(self, measure: Callable[[np.ndarray], float], /) -> np.ndarray:
        return np.array([measure(self.log_norms[:, k]) for k in range(len(self.layers))])

    @property
    def worst_step(self) -> Step | None:
        """The step back that loses most of the gradient: layer, the lag it starts from, change in nats."""
        return steepest(self.layers, self.log_norms)

    def __str__(self) -> str:
        lines: list[str] = []
        for k, (layer, rate, error) in enumerate(
            zip(self.layers, self.growth_rate, self.growth_rate_stderr, strict=True)
        ):
            if math.isnan(rate):
                lines.append(f"{layer}: the gradient reaches at most one of its states")
                continue
            factor = 1e-3 if not rate > 0 else 1e3
            lag = self.horizon(factor)[k]
            fate = f"changes by {factor:g} within {lag:.0f} steps" if lag < math.inf else "keeps its order of magnitude"
            lines.append(f"{layer}: {rate:+.3g} ± {error:.1g} nats per step back; {fate} of {self.steps}")
        return "\n".join(lines)


def gradient_flow(
    model: nn.Module | Recurrence,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    norm: Norm = "gradient",
    probes: int = 8,
    at: Sequence[str] = (),
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> GradientFlow:
    """Measure how the norm of the gradient changes with the lag, in one forward and one backward pass.

    ::

        gradient   ‖∂L/∂s_t‖ for the loss, or for L = v·h_T with a random v, ‖v‖² ≈ n
        jacobian   ‖∂h_T/∂s_t‖_F, from E ‖vᵀ ∂h_T/∂s_t‖² over random signs v
        spectral   ‖∂h_T/∂s_t‖_2, exact, at the cost of n cotangents

    ``s_t`` is a layer's full state (of an LSTM h and c together; ``parts`` has each), ``h_T`` the last output of the
    last recurrent layer. Fused layers are run in plain operations. The model is not changed; dropout is off.

    Parameters
    ----------
    model
        Any module with nn.RNN, nn.GRU, nn.LSTM or their Cells inside, or a :class:`Recurrence`.
    batch
        Inputs in the model's own layout, ``(inputs, target)``, or a dictionary of the model's arguments.
    loss
        ``loss(output)`` or ``loss(output, target)``, a scalar. None: cross entropy (integer targets) or mean squared
        error if there is a target, else a random cotangent.
    norm
        The norm to measure.
    probes
        Number of random cotangents for ``norm="jacobian"``.
    at
        Names of submodules that a hand-written recurrence calls once per step with its state as first argument, such
        as ``("h2h",)``. Their states are counted from the first call.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    GradientFlow
        Log-norms by lag, with growth rate, horizon and the worst step.

    Raises
    ------
    ArgumentError
        No recurrent layer was found, or the model mixes precisions.
    UnknownNameError
        No such norm, or no such submodule.

    References
    ----------
    Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks (2013), eqs. 3-5.

    Examples
    --------
    >>> flow = gradient_flow(nn.LSTM(3, 16), torch.randn(50, 4, 3))
    >>> flow.layers, flow.log_norms.shape
    (('l0',), (51, 1, 4))
    """
    if norm not in {"gradient", "jacobian", "spectral"}:
        raise UnknownNameError("norm", norm, ("gradient", "jacobian", "spectral"))
    with ExitStack() as stack:
        stack.enter_context(model.as_found() if isinstance(model, Recurrence) else evaluation_mode(model))
        stack.enter_context(torch.enable_grad())
        record = StateRecord()
        if isinstance(model, Recurrence):
            output, target = _run_recurrence(model, batch, record), None
            objective = None if loss is None else loss(output)
        else:
            output, target = _run_module(model, batch, at, record, dtype)
            objective = loss_of(output, target, loss) if norm == "gradient" else None
        if not record.layers:
            remedy = "Name the recurrent submodules with at=, or pass as_recurrence(step, state=...)."
            raise ArgumentError("model", "must call an nn.RNN, GRU, LSTM or Cell", type(model).__name__, remedy)
        leaves = [part for states in record.layers.values() for state in states for part in state]
        if objective is not None:
            count, derivatives = 1, list[Tensor | None](torch.autograd.grad(objective, leaves, allow_unused=True))
        else:
            top = torch.cat([record.layers[name][-1][0] for name in record.top], -1)
            v = _cotangents(top, norm, probes, rng)
            count = len(v)
            derivatives = list[Tensor | None](
                torch.autograd.grad(top, leaves, v, is_grads_batched=True, allow_unused=True)
            )
        # autograd returns None for a state that the loss does not depend on: its gradient is 0.
        gradients = [
            leaf.new_zeros(()).expand(count, *leaf.shape) if g is None else g.reshape(count, *leaf.shape)
            for g, leaf in zip(derivatives, leaves, strict=True)
        ]
    return _flow(record, gradients, norm)


def _run_recurrence(recurrence: Recurrence, inputs: Any, record: StateRecord) -> Tensor:
    xs = recurrence.sequence(inputs)
    steps: Sequence[Tensor | None] = [None] * xs if isinstance(xs, int) else xs.unbind(0)
    batch = 1 if isinstance(xs, int) else xs.shape[1]
    state = recurrence.initial(batch).detach().requires_grad_()
    states: list[State] = [(state,)]
    for x in steps:
        states.append((recurrence.step(x, states[-1][0]),))
    record.top = [record.add(recurrence.name, states)]
    return states[-1][0]


def _run_module(
    model: nn.Module, batch: Any, at: Sequence[str], record: StateRecord, dtype: torch.dtype | None
) -> tuple[Any, Any]:
    def take(tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        if not tensor.is_floating_point():
            return tensor.clone()
        # Weights require gradients so that the states of hand-written recurrences are part of a graph.
        return tensor.to(dtype or tensor.dtype, copy=True).requires_grad_()

    tensors = {name: take(t) for name, t in model.named_parameters()}
    tensors |= {name: take(t).detach() for name, t in model.named_buffers()}
    modules = dict(model.named_modules())
    handles: list[Any] = []
    try:
        for name in at:
            if name not in modules:
                raise UnknownNameError("at", name, (key for key in modules if key))

            def hook(_module: nn.Module, arguments: tuple[Any, ...], name: str = name) -> None:
                if arguments[0].requires_grad:
                    record.layers.setdefault(name, []).append((arguments[0],))
                    record.top = [name]

            handles.append(modules[name].register_forward_pre_hook(hook))
        with unrolled(model, record=record):
            return call(lambda *a, **k: functional_call(model, tensors, a, k), batch, dtype)
    finally:
        for handle in handles:
            handle.remove()


def _cotangents(top: Tensor, norm: Norm, probes: int, rng: Rng) -> Tensor:
    if norm == "spectral":
        n = top.shape[-1]
        return torch.eye(n, dtype=top.dtype, device=top.device).unsqueeze(1).expand(n, *top.shape)
    if probes < 2 and norm == "jacobian":
        raise ArgumentError("probes", "must be at least 2, since their scatter gives the error", f"{probes}")
    generator = generator_of(rng)
    count = probes if norm == "jacobian" else 1
    signs = torch.randint(0, 2, (count, *top.shape), generator=generator, device=generator.device)
    return (2 * signs - 1).to(top.dtype).to(top.device)


def _flow(record: StateRecord, gradients: Sequence[Tensor], norm: Norm) -> GradientFlow:
    layers = list(record.layers.values())
    length = max(len(states) for states in layers)
    batch = layers[0][0][0].shape[0]
    shape = (length, len(layers), batch)
    kinds = max(len(states[0]) for states in layers)
    whole, error = np.full(shape, np.nan), np.full(shape, np.nan)
    parts = {name: np.full(shape, np.nan) for name in "hc"[:kinds]}
    # Gradients come in the order of the leaves: layer by layer, step by step, part by part.
    remaining = iter(gradients)
    for k, states in enumerate(layers):
        by_lag = [[next(remaining) for _ in state] for state in states][::-1]
        columns = [torch.stack(column) for column in zip(*by_lag, strict=True)]
        for name, column in zip(parts, columns, strict=False):
            parts[name][: len(states), k] = _log_norm([column], norm)[0]
        whole[: len(states), k], error[: len(states), k] = _log_norm(columns, norm)
    return GradientFlow(tuple(record.layers), whole, parts, error, norm)


def _log_norm(columns: Sequence[Tensor], norm: Norm) -> tuple[np.ndarray, np.ndarray]:
    """Return log-norm and its standard error ``(T + 1, B)`` of gradients ``(T + 1, cotangents, B, n)`` of all parts."""
    with torch.no_grad(), np.errstate(divide="ignore", invalid="ignore"):
        if norm == "spectral":
            J = torch.cat(list(columns), -1).transpose(1, 2)
            top = torch.linalg.matrix_norm(J, 2).cpu().numpy()
            return np.log(top), np.zeros_like(top)
        lengths = torch.stack([torch.linalg.vector_norm(c.double(), dim=-1) for c in columns])
        length = torch.linalg.vector_norm(lengths, dim=0).cpu().numpy()
        # An overflow in the backward pass turns into NaN one step further back.
        length = np.where(np.isnan(length), np.inf, length)
        scale = length.max(1, keepdims=True)
        squares = np.where(scale > 0, length / scale, 0.0) ** 2
        mean = squares.mean(1)
        log_norm = np.where(scale[:, 0] == 0, -np.inf, np.log(scale[:, 0]) + 0.5 * np.log(mean))
        log_norm = np.where(np.isinf(scale[:, 0]), np.inf, log_norm)
        count = length.shape[1]
        error = np.zeros_like(mean) if count == 1 else squares.std(1, ddof=1) / np.sqrt(count) / (2 * mean)
        return log_norm, error
