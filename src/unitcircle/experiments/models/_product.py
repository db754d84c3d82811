"""The map that a chain of matrices makes for many runs, multiplied from its narrow end."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from unitcircle.experiments.models._aligned import align, empty


class _Product(Function):
    """``P = V W_L ⋯ W_1``; ``∂W_i = S_iᵀ R_i`` with S_i = V W_L ⋯ W_{i+1} and R_i = ∂P (W_{i-1} ⋯ W_1)ᵀ."""

    @staticmethod
    def forward(ctx: Any, V: Tensor, inner: Tensor, W: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        V, inner, W = align(V), align(inner), align(W)
        lefts = [V]
        for layer in reversed(_layers(inner)):
            lefts.append(torch.bmm(lefts[-1], layer, out=empty(V, *V.shape)))
        ctx.save_for_backward(inner, W, *lefts)
        return torch.bmm(lefts[-1], W, out=empty(W, *V.shape[:2], W.shape[2]))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        inner, W, *lefts = ctx.saved_tensors
        g = align(gradients[0])
        left = lefts.pop()
        into_W = torch.bmm(left.transpose(1, 2), g, out=empty(W, *W.shape))
        right = torch.bmm(g, W.transpose(1, 2), out=empty(left, *left.shape))
        into_inner = empty(inner, *inner.shape)
        for layer, into_layer in zip(_layers(inner), _layers(into_inner), strict=True):
            # A product into memory with gaps is done matrix by matrix.
            into_layer.copy_(torch.bmm(lefts.pop().transpose(1, 2), right, out=empty(layer, *layer.shape)))
            right = torch.bmm(right, layer.transpose(1, 2), out=empty(right, *right.shape))
        return right, into_inner, into_W


def _layers(inner: Tensor) -> tuple[Tensor, ...]:
    """Return the square factors (R, n, n) that stand upon each other."""
    return inner.split(inner.shape[2], 1) if inner.shape[1] else ()


def product(V: Tensor, inner: Tensor, W: Tensor, /) -> Tensor:
    """Return ``V W_L ⋯ W_2 W`` ``(R, k, m)`` of V ``(R, k, n)``, inner ``(R, (L − 1) n, n)`` and W ``(R, n, m)``."""
    # In 2 k n² operations a factor forward, twice as many backward. A batch of B vectors sent through the chain takes
    # 2 B n²: the map is cheaper where it has fewer rows.
    # The stubs of Function.apply have no types.
    return _Product.apply(V, inner, W)  # pyright: ignore[reportReturnType]
