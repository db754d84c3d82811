"""Whole sequences of strongly-typed RNNs, with the backward pass written by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._aligned import align, empty


class _StronglyTypedScan(Function):
    """``h_t = f_t h_{t-1} + (1 − f_t) v_t`` with ``f = σ(gate)``."""

    # Backward, with G = ∂L/∂h_t:
    #
    #     ∂L/∂v_t = (1 − f_t) G     ∂L/∂h_{t−1} = f_t G     ∂L/∂gate_t = (h_{t−1} − v_t) G f_t (1 − f_t)
    #
    # There is no product: the slope of the gate is applied to the whole sequence at the end, by one call.

    @staticmethod
    def forward(ctx: Any, value: Tensor, gate: Tensor, start: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.set_materialize_grads(False)
        value, start = align(value), align(start)
        f, h = torch.sigmoid(align(gate), out=empty(gate, *gate.shape)), empty(value, *value.shape)
        before = start
        for v, keep, now in zip(value.unbind(1), f.unbind(1), h.unbind(1), strict=True):
            before = torch.lerp(v, before, keep, out=now)
        ctx.save_for_backward(value, f, h, start)
        return h, before.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        value, f, h, start = ctx.saved_tensors
        at_steps, at_end = gradients
        into_value, into_f = empty(h, *h.shape), empty(h, *h.shape)
        # ∂L/∂h_t, from the last step to the first.
        total = empty(h, *start.shape).copy_(start.new_zeros(()) if at_end is None else at_end)
        for t in range(h.shape[1] - 1, -1, -1):
            if at_steps is not None:
                total += at_steps[:, t]
            torch.sub(h[:, t - 1] if t else start, value[:, t], out=into_f[:, t]).mul_(total)
            into_before = total * f[:, t]
            torch.sub(total, into_before, out=into_value[:, t])
            total.copy_(into_before)
        torch.ops.aten.sigmoid_backward.grad_input(into_f, f, grad_input=into_f)
        return into_value, into_f, total


def strongly_typed_scan(value: Tensor, gate: Tensor, start: Tensor, /) -> tuple[Tensor, Tensor]:
    """Return h at every step ``(R, T, B, n)`` and after the last."""
    # The stubs of Function.apply have no types.
    return _StronglyTypedScan.apply(value, gate, start)  # pyright: ignore[reportReturnType]
