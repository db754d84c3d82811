"""Backpropagation through time, written by hand: the parts that all cells share.

One step of a small network is a few microseconds of work; autograd's bookkeeping costs more than that. So a step
forward is one product and its activations, in place; a step backward is one product and the slopes of the activations;
and gradients of weights are summed over chunks of steps that are still in the cache. A chunk has the same number of
steps for any number of runs, so that its sums have the same order.

With δ_t = ∂L/∂(pre-activation of step t), stored as rows ``(B, k)``, and x̃ = (x, 1), Ũ = (U, b), every cell has

    ∂L/∂h_{t−1} = Wᵀ δ_t + (the cell's direct paths),   ∂L/∂x_t = Uᵀ δ_t,
    ∂L/∂Ũ = Σ_t δ_t x̃_tᵀ,   ∂L/∂W = Σ_t δ_t h_{t−1}ᵀ.

Only the first is a recurrence: it is computed step by step, the sums chunk by chunk (:func:`undrive_`,
:func:`add_outer_`). A name that ends in ``_`` writes into an argument, as in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from unitcircle.experiments.models._aligned import empty

CHUNK = 16
"""Steps whose gradients are summed at once."""


def chunks(steps: int, /) -> Iterator[tuple[int, int]]:
    """Yield the first step of every chunk and the one after its last, in order."""
    for first in range(0, steps, CHUNK):
        yield first, min(first + CHUNK, steps)


def flat(x: Tensor, /) -> Tensor:
    """Return ``(R, T, B, k)`` as matrices ``(R, T·B, k)``, without a copy where k is contiguous."""
    return x.flatten(1, 2)


def with_one(x: Tensor, /) -> Tensor:
    """Return ``x̃ = (x, 1)``, so that one product gives ``U x + b``, and another both gradients."""
    return _beside(x, 1.0)


def with_bias(U: Tensor, b: Tensor, /) -> Tensor:
    """Return ``Ũ = (U, b)`` ``(R, k, m + 1)``."""
    return _beside(U, b)


def _beside(x: Tensor, last: Tensor | float) -> Tensor:
    out = empty(x, *x.shape[:-1], x.shape[-1] + 1)
    out[..., :-1] = x
    out[..., -1] = last
    return out


def drive_(out: Tensor, x: Tensor, U: Tensor, first: int, last: int, /) -> None:
    """Write ``Ũ x̃_t`` of steps first ≤ t < last into ``out`` ``(R, T, B, k)``."""
    torch.bmm(flat(x[:, first:last]), U.transpose(1, 2), out=flat(out[:, first:last]))


def undrive_(into_U: Tensor, into_x: Tensor | None, delta: Tensor, x: Tensor, U: Tensor, *, first: int) -> None:
    """Add ``Σ_t x̃_t δ_tᵀ`` to ``into_U`` ``(R, m + 1, k)`` and write ``Uᵀ δ_t`` into ``into_x`` if it is not None."""
    last = first + delta.shape[1]
    # The transpose of ∂L/∂Ũ: with few rows and k columns the product is the faster one.
    into_U.baddbmm_(flat(x[:, first:last]).transpose(1, 2), flat(delta))
    if into_x is not None:
        torch.bmm(flat(delta), U[..., :-1], out=flat(into_x[:, first:last]))


def add_outer_(into_W: Tensor, delta: Tensor, h: Tensor, start: Tensor, first: int, /) -> None:
    """Add ``Σ_t δ_t h_{t−1}ᵀ`` over the steps of a chunk, whose first step is ``first``."""
    # The state before step 0 is the start, which h does not hold.
    if first == 0:
        into_W.baddbmm_(delta[:, 0].transpose(1, 2), start)
        delta, first = delta[:, 1:], 1
    steps = delta.shape[1]
    if steps:
        into_W.baddbmm_(flat(delta).transpose(1, 2), flat(h[:, first - 1 : first - 1 + steps]))


def tanh_steps(x: Tensor, out: Tensor, /) -> Callable[[int], object]:
    """Return a function that writes ``tanh(x[:, t])`` into ``out[:, t]``; x may be out."""
    # NumPy's tanh is vectorised; that of torch takes longer on a CPU than the product beside it.
    if x.device.type == "cpu" and x.dtype in {torch.float32, torch.float64}:
        source, target = (np.swapaxes(a.detach().numpy(), 0, 1) for a in (x, out))
        return lambda t: np.tanh(source[t], out=target[t])
    return lambda t: torch.tanh(x[:, t], out=out[:, t])
