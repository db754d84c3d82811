"""Whole sequences of plain and leaky recurrences, with the backward pass written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._activation import Activation
from unitcircle.experiments.models._aligned import align, empty
from unitcircle.experiments.models._bptt import (
    CHUNK,
    add_outer_,
    chunks,
    drive_,
    tanh_steps,
    undrive_,
    with_bias,
    with_one,
)


class _PlainScan(Function):
    """``a_t = φ(W h_{t-1} + U x_t + b)``, ``h_t = (1 − α) h_{t-1} + α a_t`` for R runs."""

    # Backward, with G = ∂L/∂h_t and δ the gradient of the pre-activation; φ' is computed from the value a_t:
    #
    #     δ = α G ⊙ φ'         ∂L/∂h_{t−1} = (1 − α) G + Wᵀ δ
    #     ∂L/∂U = Σ_t δ x̃_tᵀ   ∂L/∂W = Σ_t δ h_{t−1}ᵀ

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, b, W, start, activation, alpha = arguments
        ctx.set_materialize_grads(False)
        x, U, W, start = with_one(x), with_bias(U, b), align(W), align(start)
        back = W.transpose(1, 2)
        h = empty(x, *x.shape[:3], W.shape[-1])
        # Without a leak the state is the activation, and one memory serves both.
        a = h if alpha == 1 else empty(h, *h.shape)
        activate = _activation(a, activation)
        inner, outer = a.unbind(1), h.unbind(1)
        before = start
        for first, last in chunks(h.shape[1]):
            drive_(a, x, U, first, last)
            for t in range(first, last):
                inner[t].baddbmm_(before, back)
                activate(t)
                if alpha != 1:
                    torch.lerp(before, inner[t], alpha, out=outer[t])
                before = outer[t]
        ctx.save_for_backward(x, U, W, start, a, h)
        ctx.activation, ctx.alpha = activation, alpha
        return h, before.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, W, start, a, h = ctx.saved_tensors
        alpha, slope = ctx.alpha, _SLOPES[ctx.activation]
        at_steps, at_end = gradients
        runs, steps, batch, n = h.shape
        into_U, into_W = empty(U, runs, U.shape[2], n).zero_(), empty(W, *W.shape).zero_()
        into_x = empty(x, *x.shape[:3], x.shape[3] - 1) if ctx.needs_input_grad[0] else None
        delta = empty(h, runs, min(CHUNK, steps), batch, n)
        deltas, inner = delta.unbind(1), a.unbind(1)
        into_steps = None if at_steps is None else at_steps.unbind(1)
        # G = ∂L/∂h_t, from the last step to the first.
        total = empty(h, *start.shape).copy_(start.new_zeros(()) if at_end is None else at_end)
        for first, last in reversed(list(chunks(steps))):
            for t in range(last - 1, first - 1, -1):
                if into_steps is not None:
                    total += into_steps[t]
                now = deltas[t - first]
                slope(total, inner[t], now)
                if alpha == 1:
                    torch.bmm(now, W, out=total)
                else:
                    now *= alpha
                    total.baddbmm_(now, W, beta=1 - alpha)
            undrive_(into_U, into_x, delta[:, : last - first], x, U, first=first)
            add_outer_(into_W, delta[:, : last - first], h, start, first)
        return into_x, into_U[:, :-1].transpose(1, 2), into_U[:, -1], into_W, total, None, None


def _activation(a: Tensor, activation: Activation) -> Callable[[int], object]:
    if activation == "tanh":
        return tanh_steps(a, a)
    steps = a.unbind(1)
    return (lambda t: steps[t].relu_()) if activation == "relu" else (lambda _: None)


# (∂L/∂a, a, out): out becomes ∂L/∂a · φ'.
_SLOPES: dict[Activation, Callable[[Tensor, Tensor, Tensor], object]] = {
    "tanh": lambda g, a, out: torch.ops.aten.tanh_backward.grad_input(g, a, grad_input=out),
    "relu": lambda g, a, out: torch.ops.aten.threshold_backward.grad_input(g, a, 0, grad_input=out),
    "linear": lambda g, _, out: out.copy_(g),
}


def scan(
    x: Tensor, U: Tensor, b: Tensor, W: Tensor, start: Tensor, /, *, activation: Activation, alpha: float = 1.0
) -> tuple[Tensor, Tensor]:
    """Return the states of ``h_t = (1 − α) h_{t-1} + α φ(W h_{t-1} + U x_t + b)``, ``(R, T, B, n)``, and the last."""
    # x is (R, T, B, m), start (R, B, n), and U, b and W have a leading R.
    # The stubs of Function.apply have no types.
    return _PlainScan.apply(x, U, b, W, start, activation, alpha)  # pyright: ignore[reportReturnType]
