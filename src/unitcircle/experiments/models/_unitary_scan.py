"""Whole sequences of a complex recurrence with modReLU, with the backward pass written by hand."""

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
    undrive_,
    with_bias,
    with_one,
)


class _UnitaryScan(Function):
    """``h_t = u s`` with ``z = W h_{t-1} + U x_t``, ``u = z / |z|``, ``s = max(0, |z| + b)``."""

    # With G = ∂L/∂h (real part along the real axis) and p = ū G, the gradient has a part along u, which the bias
    # shares, and one across it: ∂L/∂z = u (1[s > 0] Re p + i (s / |z|) Im p).

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> tuple[Tensor, Tensor]:  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx.set_materialize_grads(False)
        x, U, b, start, W = arguments
        n = W.shape[-1]
        # The bias stands inside modReLU, not beside U x.
        x, U, W = with_one(x), with_bias(U, U.new_zeros(())), align(W)
        back, offset = W.transpose(1, 2), b.unsqueeze(1)
        z, h = (empty(W, *x.shape[:3], n) for _ in range(2))
        drive, hidden = (empty(x, *x.shape[:3], 2 * n) for _ in range(2))
        length = empty(x, x.shape[0], x.shape[2], n)
        before = begin = empty(W, *length.shape)
        _join(begin, start)
        for first, last in chunks(z.shape[1]):
            drive_(drive, x, U, first, last)
            _join(z[:, first:last], drive[:, first:last])
            for t in range(first, last):
                now = z[:, t].baddbmm_(before, back)
                torch.abs(now, out=length).add_(offset).relu_()
                before = torch.mul(torch.sgn(now, out=h[:, t]), length, out=h[:, t])
        hidden[..., :n], hidden[..., n:] = h.real, h.imag
        ctx.save_for_backward(x, U, b, W, begin, z, h)
        return hidden, hidden[:, -1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U, b, W, begin, z, h = ctx.saved_tensors
        at_steps, at_end = gradients
        runs, steps, batch, n = z.shape
        into_U, into_W = empty(U, runs, U.shape[2], 2 * n).zero_(), empty(W, *W.shape).zero_()
        into_b = empty(W, runs, 1, n).zero_()
        into_x = empty(x, *x.shape[:3], x.shape[3] - 1) if ctx.needs_input_grad[0] else None
        size = (runs, min(CHUNK, steps), batch, n)
        delta, p = empty(W, *size), empty(W, *size)
        parts = empty(x, *size[:3], 2 * n)
        ones = empty(W, runs, 1, size[1] * batch).fill_(1)
        W_bar = torch.conj_physical(W, out=empty(W, *W.shape))
        # Products of δ with conjugate states: those of conjugate δ with the states, conjugated at the end.
        delta_bar = empty(W, *size)
        # ∂L/∂h_t, from the last step to the first.
        total = empty(W, runs, batch, n).zero_()
        if at_end is not None:
            _add(total, at_end)
        for first, last in reversed(list(chunks(steps))):
            used = slice(0, last - first)
            u, factors = _slopes(z[:, first:last], b)
            for t in range(last - 1, first - 1, -1):
                k = t - first
                if at_steps is not None:
                    _add(total, at_steps[:, t])
                torch.mul(torch.conj_physical(u[:, k], out=p[:, k]), total, out=p[:, k])
                torch.view_as_real(p)[:, k].mul_(factors[:, k])
                torch.mul(u[:, k], p[:, k], out=delta[:, k])
                torch.bmm(delta[:, k], W_bar, out=total)
            parts[..., :n], parts[..., n:] = delta.real, delta.imag
            undrive_(into_U, into_x, parts[:, used], x, U, first=first)
            torch.conj_physical(delta, out=delta_bar)
            add_outer_(into_W, delta_bar[:, used], h, begin, first)
            into_b.baddbmm_(ones[..., : (last - first) * batch], flat(p[:, used]))
        into_start = torch.cat([total.real, total.imag], -1)
        into_U = into_U[:, :-1].transpose(1, 2)
        return into_x, into_U, into_b.real.squeeze(1), into_start, into_W.conj()


def _slopes(z: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return u, and ``(1[s > 0], s / |z|)`` as the last axis."""
    u, length, factors = empty(z, *z.shape), empty(b, *z.shape), empty(b, *z.shape, 2)
    torch.sgn(z, out=u)
    torch.abs(z, out=length)
    s = torch.add(length, b[:, None, None], out=factors[..., 1]).relu_()
    factors[..., 0] = s > 0
    # u is 0 where z is: any number but NaN will do.
    s.div_(length).masked_fill_(length == 0, 0)
    return u, factors


def _join(out: Tensor, x: Tensor) -> None:
    """Write numbers (Re, Im) ``(..., 2n)`` as complex ones."""
    out.real, out.imag = x.chunk(2, -1)


def _add(out: Tensor, x: Tensor) -> None:
    re, im = x.chunk(2, -1)
    out.real.add_(re)
    out.imag.add_(im)


def unitary_scan(x: Tensor, U: Tensor, b: Tensor, start: Tensor, W: Tensor, /) -> tuple[Tensor, Tensor]:
    """Return the states of ``h_t = modReLU(W h_{t-1} + U x_t)`` as (Re, Im), ``(R, T, B, 2n)``, and the last."""
    # The stubs of Function.apply have no types.
    return _UnitaryScan.apply(x, U, b, start, W)  # pyright: ignore[reportReturnType]
