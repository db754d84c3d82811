"""Whole sequences of GRUs, with the backward pass written by hand."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._aligned import align, empty
from unitcircle.experiments.models._bptt import (
    CHUNK,
    add_outer_,
    chunks,
    drive_,
    flat,
    tanh_steps,
    undrive_,
    with_bias,
    with_one,
)


class _GRUScan(Function):
    """The GRU's forward and backward pass, for all runs at once."""

    # Columns. U drives n, r and z; W drives r, z and q. So the gradients δ are stored in the order n r z q: the columns
    # that go into U are the first 3n and those that go into W the last 3n, each one contiguous block and one product,
    # and r z q is torch's own order of W. The rows of U and b, which arrive as r z n, are rolled to n r z, and the
    # gradient of U is rolled back.
    #
    # Backward, with G = ∂L/∂h_t, a dot for the slope of an activation, computed from its value (1 − n², r (1 − r)), and
    # δ for the gradient of a pre-activation:
    #
    #     δ_n = G ⊙ (1 − z) ⊙ ṅ                  δ_z = G ⊙ (h_{t−1} − n) ⊙ ż
    #     δ_q = δ_n ⊙ r                          δ_r = δ_n ⊙ q ⊙ ṙ
    #     ∂L/∂h_{t−1} = G ⊙ z + W_rᵀ δ_r + W_zᵀ δ_z + W_nᵀ δ_q
    #     ∂L/∂U = Σ_t δ_{nrz} x̃_tᵀ      ∂L/∂W = Σ_t δ_{rzq} h_{t−1}ᵀ      ∂L/∂b_q = Σ_t δ_q

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, b, W, b_q, start = arguments
        ctx.set_materialize_grads(False)
        size = W.shape[-1]
        x, U = with_one(x), with_bias(U.roll(size, 1), b.roll(size, 1))
        W, start = align(W), align(start)
        to_rz, to_q = (part.transpose(1, 2) for part in W.split([2 * size, size], 1))
        gates = empty(x, *x.shape[:3], 3 * size)
        h, q = (empty(x, *x.shape[:3], size) for _ in range(2))
        candidates = gates[..., :size]
        candidate = tanh_steps(candidates, candidates)
        before = start
        for first, last in chunks(h.shape[1]):
            # U x + b of a chunk by one product; a step then adds its own part in place.
            drive_(gates, x, U, first, last)
            for t in range(first, last):
                n, r, z = gates[:, t].chunk(3, -1)
                gates[:, t, :, size:].baddbmm_(before, to_rz).sigmoid_()
                n.addcmul_(r, torch.baddbmm(b_q.unsqueeze(1), before, to_q, out=q[:, t]))
                candidate(t)
                before = torch.lerp(n, before, z, out=h[:, t])
        # The gates after their activations, whose slopes need no more; q, which δ_r needs, and every h_{t−1}.
        ctx.save_for_backward(x, U, W, start, gates, h, q)
        return h, before.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, W, start, gates, h, q = ctx.saved_tensors
        at_steps, at_end = gradients
        runs, steps, batch, size = h.shape
        into_U, into_W = empty(U, runs, U.shape[2], 3 * size).zero_(), empty(W, *W.shape).zero_()
        into_q = empty(U, runs, 1, size).zero_()
        ones = empty(U, runs, 1, min(CHUNK, steps) * batch).fill_(1)
        into_x = empty(x, *x.shape[:3], x.shape[3] - 1) if ctx.needs_input_grad[0] else None
        delta = empty(h, runs, min(CHUNK, steps), batch, 4 * size)
        # G = ∂L/∂h_t, from the last step to the first. Two buffers take turns: a step allocates nothing.
        total = empty(h, *start.shape).copy_(start.new_zeros(()) if at_end is None else at_end)
        product = empty(h, *start.shape)
        tanh_backward = torch.ops.aten.tanh_backward.grad_input
        sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
        for first, last in reversed(list(chunks(steps))):
            for t in range(last - 1, first - 1, -1):
                if at_steps is not None:
                    total += at_steps[:, t]
                n, r, z = gates[:, t].chunk(3, -1)
                to_n, to_r, to_z, to_q = delta[:, t - first].chunk(4, -1)
                torch.sub(h[:, t - 1] if t else start, n, out=product).mul_(total)
                sigmoid_backward(product, z, grad_input=to_z)
                total_z = torch.mul(total, z, out=product)
                # G ⊙ (1 − z)
                total -= total_z
                tanh_backward(total, n, grad_input=to_n)
                sigmoid_backward(torch.mul(to_n, q[:, t], out=total), r, grad_input=to_r)
                torch.mul(to_n, r, out=to_q)
                torch.baddbmm(total_z, delta[:, t - first, :, size:], W, out=total)
            # The last chunk may be shorter than the buffer.
            used = delta[:, : last - first]
            undrive_(into_U, into_x, used[..., : 3 * size], x, U, first=first)
            add_outer_(into_W, used[..., size:], h, start, first)
            into_q.baddbmm_(ones[..., : (last - first) * batch], flat(used[..., 3 * size :]))
        into_U = into_U.roll(-size, 2)
        return into_x, into_U[:, :-1].transpose(1, 2), into_U[:, -1], into_W, into_q.squeeze(1), total


def gru_scan(*arguments: Tensor) -> tuple[Tensor, Tensor]:
    """Return h at every step and after the last, of x ``(R, T, B, m)``, U, b, W with gates r z n, b_q and h_0."""
    # The stubs of Function.apply have no types.
    return _GRUScan.apply(*arguments)  # pyright: ignore[reportReturnType]
