"""Memory in which a run has the same bits alone as in a stack of many.

This is documented (:func:`train`, docs/models.md) and tested, because a record is identified by the key of its run
alone, which does not depend on the runs that were trained together with it. Otherwise a study that is resumed, or split
over machines with other stacks, would mix results of different rounding under one key, and in a chaotic training run a
change of the last bit leads to another score. The cost is this file and memory padded to 128 bytes per run.

A library's product may add in another order if a matrix starts at another place in a cache line, and a vectorised
function may round its last few entries, which do not fill a vector, differently. So the memory of every run starts at a
multiple of two vectors. Operations whose order of summation depends on the size of the stack are done run by run.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

LINE = 128
"""Bytes of two of the longest vectors (AVX-512)."""


def empty(like: Tensor, /, *shape: int) -> Tensor:
    """Return memory for ``(R, ...)``, contiguous within a run, where every run starts at a multiple of 128 bytes."""
    numbers, line = prod(shape[1:]), LINE // like.element_size()
    strides = [prod(shape[axis + 1 :]) for axis in range(1, len(shape))]
    # Rounded up to whole lines.
    return torch.empty_strided(shape, (-(-numbers // line) * line, *strides), dtype=like.dtype, device=like.device)


def align(x: Tensor, /) -> Tensor:
    """Return ``(R, ...)`` in such memory: itself, or a copy."""
    bytes_between = x.stride(0) * x.element_size() if x.shape[0] > 1 else 0
    if x[0].is_contiguous() and bytes_between % LINE == 0 and x.data_ptr() % (LINE // 2) == 0:
        return x
    return empty(x, *x.shape).copy_(x)


class _Affine(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, U: Tensor, b: Tensor | None) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U = align(x), align(U)
        ctx.save_for_backward(x, U)
        out = empty(x, *x.shape[:2], U.shape[1])
        torch.bmm(x, U.transpose(1, 2), out=out)
        return out if b is None else out.add_(b.unsqueeze(1))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, U = ctx.saved_tensors
        g = align(gradients[0])
        into_x = torch.bmm(g, U, out=empty(x, *x.shape)) if ctx.needs_input_grad[0] else None
        into_U = torch.bmm(g.transpose(1, 2), x, out=empty(U, *U.shape))
        if not ctx.needs_input_grad[2]:
            return into_x, into_U, None
        # The sum over rows is a product with ones: it has the order of the other products, whatever R is.
        ones = empty(g, g.shape[0], 1, g.shape[1]).fill_(1)
        return into_x, into_U, torch.bmm(ones, g, out=empty(g, g.shape[0], 1, g.shape[2])).squeeze(1)


def affine(x: Tensor, U: Tensor, b: Tensor | None, /) -> Tensor:
    """Return ``U x + b`` ``(R, ..., k)`` of x ``(R, ..., m)``, U ``(R, k, m)`` and b ``(R, k)``."""
    # The stubs of Function.apply have no types.
    out: Tensor = _Affine.apply(x.flatten(1, -2), U, b)  # pyright: ignore[reportAssignmentType]
    return out.unflatten(1, x.shape[1:-1])


class _Apart(Function):
    """The identity, into newly allocated memory both forward and backward."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # noqa: ARG004  # pyright: ignore[reportIncompatibleMethodOverride]
        return x.clone(memory_format=torch.contiguous_format)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ARG004  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradients[0].clone(memory_format=torch.contiguous_format)


def run_by_run(function: Callable[..., tuple[Tensor, ...]], /, *stacked: Tensor) -> tuple[Tensor, ...]:
    """Apply a function of tensors ``(1, ...)`` to ``(R, ...)``, one run after another; return the results stacked."""
    apart: Callable[[Tensor], Tensor] = _Apart.apply  # pyright: ignore[reportAssignmentType]
    results = [function(*(apart(x[r : r + 1]) for x in stacked)) for r in range(stacked[0].shape[0])]
    return tuple(torch.cat([apart(part) for part in parts]) for parts in zip(*results, strict=True))
