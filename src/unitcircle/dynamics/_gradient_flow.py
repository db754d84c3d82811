"""Gradient flow: the norm of the gradient at every time step, layer and batch element."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle._growth import Step, growth, horizon, steepest
from unitcircle.dynamics._batch import call, loss_of
from unitcircle.dynamics._cells import State
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._restoration import as_found
from unitcircle.dynamics._unrolling import Record, unrolled
from unitcircle.errors import ArgumentError, UnknownNameError

Norm = Literal["gradient", "jacobian", "spectral"]


@dataclass(frozen=True, eq=False)
class GradientFlow:
    """Norms of a gradient by lag, ``T`` steps back from the last state.

    Attributes
    ----------
    layers
        Names, one a layer and direction.
    log_norms
        ``(T + 1, layers, B)``: natural logarithm of the norm with respect to the layer's full state, by lag: lag 0
        is the last state that the layer computes, lag T its initial state. −inf where the norm is 0, inf where it
        overflows, NaN beyond the length of a layer that runs over fewer steps.
    parts
        ``"h"`` and, where a layer is an LSTM, ``"c"`` → log-norms with respect to that part, of the same shape.
    stderr
        Standard error of ``log_norms`` from the probes, of the same shape; 0 where the norm is exact.
    norm
        What was measured: ``"gradient"``, ``"jacobian"`` or ``"spectral"``.
    """

    layers: tuple[str, ...]
    log_norms: np.ndarray
    parts: Mapping[str, np.ndarray]
    stderr: np.ndarray
    norm: Norm

    @property
    def norms(self) -> np.ndarray:
        """The norms themselves, by lag, ``(T + 1, layers, B)``."""
        return np.exp(self.log_norms)

    @property
    def steps(self) -> int:
        """T."""
        return len(self.log_norms) - 1

    @cached_property
    def _growth(self) -> list[tuple[float, float]]:
        return [growth(self._curve(k)) for k in range(len(self.layers))]

    def _curve(self, k: int) -> np.ndarray:
        curve = self.log_norms[:, k]
        return curve[~np.isnan(curve).any(-1)]

    @property
    def growth_rate(self) -> np.ndarray:
        """Change of the log-norm per step back, ``(layers,)`` nats; for long lags the leading Lyapunov exponent."""
        return np.array([rate for rate, _ in self._growth])

    @property
    def growth_rate_stderr(self) -> np.ndarray:
        """Standard error of the growth rate, ``(layers,)``, from blocks of steps."""
        return np.array([error for _, error in self._growth])

    def horizon(self, factor: float = 1e-3) -> np.ndarray:
        """Return the first lag at which the norm has changed by a factor, ``(layers,)``; inf where it never does.

        Parameters
        ----------
        factor
            Relative to the norm at the first lag that the loss reaches (lag 0 if it reads the last state). Below 1: the
            lag at which the norm has vanished to this share. Above 1: the lag at which it has grown by this factor.

        Returns
        -------
        numpy.ndarray
            Lags, counted from lag 0; of the geometric mean over the batch. NaN where the loss reaches no state.
        """
        return np.array([horizon(self._curve(k), factor) for k in range(len(self.layers))])

    @property
    def worst_step(self) -> Step | None:
        """The single step back that loses most of the gradient: layer, lag it starts from, change in nats."""
        return steepest(self.layers, self.log_norms)

    def __str__(self) -> str:
        lines: list[str] = []
        for k, layer in enumerate(self.layers):
            rate, error = self._growth[k]
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
    rng: int = 0,
    dtype: torch.dtype | None = torch.float64,
) -> GradientFlow:
    """Measure how the norm of the gradient changes with the lag, in one forward and one backward pass.

    ::

        gradient   ‖∂L/∂s_t‖ for the loss, or for L = v·h_T with a random v, ‖v‖² ≈ n
        jacobian   ‖∂h_T/∂s_t‖_F, from E ‖vᵀ ∂h_T/∂s_t‖² over random signs v
        spectral   ‖∂h_T/∂s_t‖_2, exact, at the price of n cotangents

    ``s_t`` is a layer's full state (of an LSTM h and c, apart in ``parts``), ``h_T`` the last output of the last
    recurrent layer. Fused layers are run in plain operations; the model is left as found, dropout is off.

    Parameters
    ----------
    model
        Any module with nn.RNN, nn.GRU, nn.LSTM or their Cells inside, or a :class:`Recurrence`.
    batch
        Inputs in the model's own layout, ``(inputs, target)``, or a dictionary of the model's arguments.
    loss
        ``loss(output)``, or ``loss(output, target)``, to a scalar. None: cross entropy or squared error if there is
        a target, else the random cotangent.
    norm
        What to measure.
    probes
        Random cotangents for ``norm="jacobian"``.
    at
        Names of submodules that a hand-written recurrence calls once a step with its state as first argument, such
        as ``("h2h",)``. Their states count from the first call.
    rng
        Seed of the cotangents.
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
        stack.enter_context(model.as_found() if isinstance(model, Recurrence) else as_found(model))
        stack.enter_context(torch.enable_grad())
        record = Record()
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
            count, found = 1, list[Tensor | None](torch.autograd.grad(objective, leaves, allow_unused=True))
        else:
            top = torch.cat([record.layers[name][-1][0] for name in record.top], -1)
            v = _cotangents(top, norm, probes, rng)
            count = len(v)
            found = list[Tensor | None](torch.autograd.grad(top, leaves, v, is_grads_batched=True, allow_unused=True))
        # A state that the loss does not depend on has no gradient: it is 0.
        gradients = [
            leaf.new_zeros(()).expand(count, *leaf.shape) if g is None else g.reshape(count, *leaf.shape)
            for g, leaf in zip(found, leaves, strict=True)
        ]
    return _flow(record, gradients, norm)


def _run_recurrence(recurrence: Recurrence, inputs: Any, record: Record) -> Tensor:
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
    model: nn.Module, batch: Any, at: Sequence[str], record: Record, dtype: torch.dtype | None
) -> tuple[Any, Any]:
    def take(tensor: Tensor) -> Tensor:
        tensor = tensor.detach()
        if not tensor.is_floating_point():
            return tensor.clone()
        # Only what requires a gradient has a graph: states of hand-written recurrences need that of the weights.
        return tensor.to(dtype or tensor.dtype, copy=True).requires_grad_()

    tensors = {name: take(t) for name, t in model.named_parameters()}
    tensors |= {name: take(t).detach() for name, t in model.named_buffers()}
    known = dict(model.named_modules())
    handles: list[Any] = []
    try:
        for name in at:
            if name not in known:
                raise UnknownNameError("at", name, (key for key in known if key))

            def keep(_module: nn.Module, arguments: tuple[Any, ...], name: str = name) -> None:
                if arguments[0].requires_grad:
                    record.layers.setdefault(name, []).append((arguments[0],))
                    record.top = [name]

            handles.append(known[name].register_forward_pre_hook(keep))
        with unrolled(model, record=record):
            return call(lambda *a, **k: functional_call(model, tensors, a, k), batch, dtype)
    finally:
        for handle in handles:
            handle.remove()


def _cotangents(top: Tensor, norm: Norm, probes: int, rng: int) -> Tensor:
    if norm == "spectral":
        n = top.shape[-1]
        return torch.eye(n, dtype=top.dtype, device=top.device).unsqueeze(1).expand(n, *top.shape)
    if probes < 2 and norm == "jacobian":
        raise ArgumentError("probes", "must be at least 2, for their scatter is the error", f"{probes}")
    generator = torch.Generator().manual_seed(rng)
    count = probes if norm == "jacobian" else 1
    signs = torch.randint(0, 2, (count, *top.shape), generator=generator)
    return (2 * signs - 1).to(top.dtype).to(top.device)


def _flow(record: Record, gradients: Sequence[Tensor], norm: Norm) -> GradientFlow:
    found = list(record.layers.values())
    length = max(len(states) for states in found)
    batch = found[0][0][0].shape[0]
    shape = (length, len(found), batch)
    kinds = max(len(states[0]) for states in found)
    whole, error = np.full(shape, np.nan), np.full(shape, np.nan)
    parts = {name: np.full(shape, np.nan) for name in "hc"[:kinds]}
    taken = iter(gradients)
    for k, states in enumerate(found):
        grads = [[next(taken) for _ in state] for state in states][::-1]  # lag 0 first
        columns = [torch.stack(column) for column in zip(*grads, strict=True)]
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
