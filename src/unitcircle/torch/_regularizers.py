"""Regularizers from the literature, as differentiable terms to add to a loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

import torch

from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.torch._dense import require_tensor
from unitcircle.torch._fill import blocks_of


def pascanu_omega(states: Sequence[torch.Tensor], loss: torch.Tensor, /) -> torch.Tensor:
    r"""Return Ω, which penalizes every step of the backward pass that changes the norm of the gradient.

    .. math:: Ω = \sum_t \left( \frac{‖δ_{t+1} \, ∂h_{t+1}/∂h_t‖}{‖δ_{t+1}‖} - 1 \right)^2, \qquad
              δ_{t+1} = ∂L/∂h_{t+1}

    δ is held constant; Ω is differentiated through ∂h_{t+1}/∂h_t. A step at which δ is zero contributes nothing.

    Parameters
    ----------
    states
        h_0, …, h_T, each ``(batch, n)`` and each computed from the one before (a loop over a cell, not a fused layer).
    loss
        Scalar computed from the states; its graph is kept.

    Returns
    -------
    torch.Tensor
        Scalar, the mean over the batch.

    Raises
    ------
    ArgumentError
        Fewer than two states, or a state that the next one does not depend on.
    ShapeError
        A loss that is no scalar.

    References
    ----------
    R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013,
    equations 9 and 10.

    Examples
    --------
    >>> h = [torch.ones(1, 2, requires_grad=True)]
    >>> for _ in range(3):
    ...     h.append(0.5 * h[-1])
    >>> float(pascanu_omega(h, h[-1].sum()).detach())
    0.75
    """
    if not isinstance(states, list | tuple):
        raise ArgumentError("states", "must be a sequence of tensors, one for each step", type(states).__qualname__)
    if len(states) < 2:
        raise ArgumentError("states", "must hold at least two time steps", str(len(states)))
    for name, tensor in (("loss", loss), *(("states", state) for state in states)):
        if not require_tensor(tensor, argument=name).requires_grad:
            raise ArgumentError(name, "must be part of a graph", "a tensor that requires no gradient")
    if loss.ndim:
        raise ShapeError("loss", "must be a scalar", f"shape {tuple(loss.shape)}")
    # With allow_unused a state that nothing depends on has the gradient None, which the stubs do not say.
    grad = cast("Callable[..., tuple[torch.Tensor | None, ...]]", partial(torch.autograd.grad, allow_unused=True))
    deltas = grad(loss, list(states[1:]), retain_graph=True)
    total = loss.new_zeros(())
    for before, after, delta in zip(states[:-1], states[1:], deltas, strict=True):
        if delta is None:
            continue
        (back,) = grad(after, before, grad_outputs=delta, create_graph=True)
        if back is None:
            raise ArgumentError("states", "must each be computed from the one before", "states that are not connected")
        norm = delta.norm(dim=-1)
        alive = norm > 0
        ratio = back.norm(dim=-1)[alive] / norm[alive]
        total = total + ((ratio - 1) ** 2).sum() / norm.numel()
    return total


def norm_stabilizer(states: torch.Tensor, /) -> torch.Tensor:
    r"""Return the norm stabilizer, which penalizes a change of norm between successive hidden states.

    .. math:: \frac{1}{T} \sum_{t=1}^{T} (‖h_t‖ - ‖h_{t-1}‖)^2

    Multiply by β (50 to 500 in the source) and add it to the loss.

    Parameters
    ----------
    states
        h_0, …, h_T: ``(T + 1, batch, n)``, time first.

    Returns
    -------
    torch.Tensor
        Scalar, the mean over the batch.

    Raises
    ------
    ShapeError
        Fewer than two time steps, or not three axes.

    References
    ----------
    D. Krueger, R. Memisevic, "Regularizing RNNs by stabilizing activations", ICLR 2016, equation 1.

    Examples
    --------
    >>> states = torch.tensor([0.0, 1.0, 3.0]).reshape(3, 1, 1)
    >>> float(norm_stabilizer(states))
    2.5
    """
    require_tensor(states, argument="states")
    if states.ndim != 3 or states.shape[0] < 2:
        raise ShapeError("states", "must have shape (time, batch, n) with at least two steps", f"{tuple(states.shape)}")
    return states.norm(dim=-1).diff(dim=0).square().mean()


def soft_orthogonality(weight: torch.Tensor, /, *, gates: int = 1) -> torch.Tensor:
    r"""Return the distance of every gate block from the orthogonal matrices, or from the unitary ones.

    .. math:: \sum_j ‖W_j^H W_j - I‖_F^2

    Parameters
    ----------
    weight
        ``(k·n, n)``, real or complex.
    gates
        Number k of gate blocks.

    Returns
    -------
    torch.Tensor
        Scalar, real.

    Raises
    ------
    DtypeError
        It is no dense tensor of torch of floating-point or complex numbers.
    ShapeError
        It is no matrix, or its rows are no multiple of the gates.

    Examples
    --------
    >>> float(soft_orthogonality(2 * torch.eye(2)))
    18.0
    """
    require_tensor(weight, argument="weight")
    if weight.ndim != 2:
        raise ShapeError("weight", "must have shape (k n, n)", f"shape {tuple(weight.shape)}")
    eye = torch.eye(weight.shape[-1], dtype=weight.dtype, device=weight.device)
    return sum((block.mH @ block - eye).abs().square().sum() for block in blocks_of(weight, gates))  # pyright: ignore[reportReturnType]
