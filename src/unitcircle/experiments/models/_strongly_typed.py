"""The strongly-typed RNN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._aligned import affine, align, empty
from unitcircle.experiments.models._cell import Parameter, Parameters, Role, State, TrainableCell


@dataclass(frozen=True)
class StronglyTyped(TrainableCell):
    r"""The T-RNN: a running average with a rate that depends on the input, without a recurrent weight.

    .. math:: f_t = σ(V x_t + b), \qquad h_t = f_t ⊙ h_{t-1} + (1 - f_t) ⊙ W x_t

    No recurrent initializer applies. The gradient through a unit is Π f_t ≤ 1, which cannot explode.

    References
    ----------
    D. Balduzzi, M. Ghifary, "Strongly-typed recurrent neural networks", ICML 2016, arXiv 1602.02218, section 3.2.

    Examples
    --------
    >>> cell = StronglyTyped(size=8)
    >>> sorted(cell.parameters(2))
    ['bias', 'input']
    """

    name = "strongly_typed"
    aliases = ("trnn",)

    def parameters(self, inputs: int, /) -> dict[str, Parameter]:
        n = self.size
        return {
            "input": Parameter((2 * n, inputs), Role.INPUT, ("h", "f")),
            "bias": Parameter((n,), Role.BIAS, ("f",)),
        }

    def step(self, parameters: Parameters, x: Tensor, state: State, /) -> State:
        value, f = torch.bmm(x, parameters["input"].transpose(1, 2)).chunk(2, -1)
        return (torch.lerp(value, state[0], torch.sigmoid(f + parameters["bias"].unsqueeze(1))),)

    def scan(self, parameters: Parameters, inputs: Tensor, start: State | None = None, /) -> tuple[Tensor, State]:
        (h,) = self.initial(parameters, inputs.shape[2]) if start is None else start
        W, V = parameters["input"].chunk(2, 1)
        value, gate = affine(inputs, W, None), affine(inputs, V, parameters["bias"])
        # The stubs of Function.apply have no types.
        hidden, h = _StronglyTypedScan.apply(value, gate, h)  # pyright: ignore[reportGeneralTypeIssues]
        return hidden, (h,)


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
