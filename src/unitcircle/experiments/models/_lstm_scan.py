"""Whole sequences of LSTMs, for many runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._aligned import align, empty, run_by_run
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


def is_fused(device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether sequences are computed by torch's own kernel, one run after another."""
    # oneDNN's fused kernels for one run are faster than batched products for many.
    return device.type == "cpu" and dtype == torch.float32


def lstm_scan(*arguments: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return h at every step, and h and c after the last, of x ``(R, T, B, m)``, U, b, W with gates i f g o, h, c."""
    if is_fused(arguments[0].device, arguments[0].dtype):
        hidden, h, c = run_by_run(_scan_one_run, *arguments)
        return hidden, h, c
    # The stubs of Function.apply have no types.
    return _LSTMScan.apply(*arguments)  # pyright: ignore[reportReturnType]


def last_states(*arguments: Tensor) -> Tensor:
    """Return h after the last step of :func:`lstm_scan`, by torch's own kernel."""
    return run_by_run(_last_of_one_run, *arguments)[0]


def _scan_one_run(*arguments: Tensor) -> tuple[Tensor, ...]:
    x, U, b, W, h, c = arguments
    weights = [U[0], W[0], b[0], torch.zeros_like(b[0])]
    hidden, h, c = torch.lstm(x[0], (h, c), weights, True, 1, 0.0, torch.is_grad_enabled(), False, False)
    return hidden.unsqueeze(0), h, c


def _last_of_one_run(*arguments: Tensor) -> tuple[Tensor]:
    return (_scan_one_run(*arguments)[1],)


class _LSTMScan(Function):
    """The LSTM's forward and backward pass, for all runs at once: on GPUs, and in double and half precision."""

    # Columns of gates and δ stand in torch's order i f g o, that of the rows of U, b and W: nothing is reordered.
    #
    # Backward, with G = ∂L/∂h_t, C = ∂L/∂c_t, a dot for the slope of an activation, computed from its value, and δ for
    # the gradient of a pre-activation:
    #
    #     C += G ⊙ o ⊙ (1 − tanh² c_t)           δ_o = G ⊙ tanh c_t ⊙ ȯ
    #     δ_i = C ⊙ g ⊙ i̇                        δ_g = C ⊙ i ⊙ ġ
    #     δ_f = C ⊙ c_{t−1} ⊙ ḟ
    #     ∂L/∂c_{t−1} = C ⊙ f                    ∂L/∂h_{t−1} = Wᵀ δ
    #     ∂L/∂U = Σ_t δ x̃_tᵀ                     ∂L/∂W = Σ_t δ h_{t−1}ᵀ

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, b, W, start, start_c = arguments
        ctx.set_materialize_grads(False)
        n = W.shape[-1]
        x, U, W = with_one(x), with_bias(U, b), align(W)
        start, start_c, back = align(start), align(start_c), W.transpose(1, 2)
        gates = empty(x, *x.shape[:3], 4 * n)
        h, c, tanh_c = (empty(x, *x.shape[:3], n) for _ in range(3))
        g = gates[..., 2 * n : 3 * n]
        candidate, output = tanh_steps(g, g), tanh_steps(c, tanh_c)
        before, before_c = start, start_c
        for first, last in chunks(h.shape[1]):
            drive_(gates, x, U, first, last)
            for t in range(first, last):
                now = gates[:, t].baddbmm_(before, back)
                i, f, g, o = now.chunk(4, -1)
                # i and f are neighbours: one call.
                now[..., : 2 * n].sigmoid_()
                o.sigmoid_()
                candidate(t)
                before_c = torch.mul(f, before_c, out=c[:, t]).addcmul_(i, g)
                output(t)
                before = torch.mul(o, tanh_c[:, t], out=h[:, t])
        # The gates after their activations, whose slopes need no more. tanh c is kept beside c: it is n numbers a step,
        # and computing it again would cost as much as the product.
        ctx.save_for_backward(x, U, W, start, start_c, gates, h, c, tanh_c)
        return h, before.clone(), before_c.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, W, start, start_c, gates, h, c, tanh_c = ctx.saved_tensors
        at_steps, at_end, at_end_c = gradients
        runs, steps, batch, n = h.shape
        into_U, into_W = empty(U, runs, U.shape[2], 4 * n).zero_(), empty(W, *W.shape).zero_()
        into_x = empty(x, *x.shape[:3], x.shape[3] - 1) if ctx.needs_input_grad[0] else None
        delta = empty(h, runs, min(CHUNK, steps), batch, 4 * n)
        # G = ∂L/∂h_t and C = ∂L/∂c_t, from the last step to the first.
        zero = start.new_zeros(())
        total = empty(h, *start.shape).copy_(zero if at_end is None else at_end)
        total_c = empty(h, *start.shape).copy_(zero if at_end_c is None else at_end_c)
        product, slope = empty(h, *start.shape), empty(h, *start.shape)
        tanh_backward = torch.ops.aten.tanh_backward.grad_input
        sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
        for first, last in reversed(list(chunks(steps))):
            for t in range(last - 1, first - 1, -1):
                if at_steps is not None:
                    total += at_steps[:, t]
                i, f, g, o = gates[:, t].chunk(4, -1)
                to_i, to_f, to_g, to_o = delta[:, t - first].chunk(4, -1)
                tanh_backward(torch.mul(total, o, out=product), tanh_c[:, t], grad_input=slope)
                total_c += slope
                sigmoid_backward(torch.mul(total, tanh_c[:, t], out=product), o, grad_input=to_o)
                sigmoid_backward(torch.mul(total_c, g, out=product), i, grad_input=to_i)
                sigmoid_backward(torch.mul(total_c, c[:, t - 1] if t else start_c, out=product), f, grad_input=to_f)
                tanh_backward(torch.mul(total_c, i, out=product), g, grad_input=to_g)
                total_c *= f
                torch.bmm(delta[:, t - first], W, out=total)
            undrive_(into_U, into_x, delta[:, : last - first], x, U, first=first)
            add_outer_(into_W, delta[:, : last - first], h, start, first)
        return into_x, into_U[:, :-1].transpose(1, 2), into_U[:, -1], into_W, total, total_c
