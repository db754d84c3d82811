"""Gradient flossing: a differentiable penalty on Lyapunov exponents."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import vjp, vmap

from unitcircle._arguments import whole_number
from unitcircle._keywords import right_keywords
from unitcircle._series import exponents_wanted, generic_basis, require_kept
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.torch._dense import real, require_tensor

State = Any
"""A tensor ``(..., batch, n)``, or a sequence of such: ``(h, c)`` of an LSTM."""


@right_keywords
def gradient_flossing(
    step: Callable[[Any, State], State],
    inputs: Tensor | int,
    state: State,
    /,
    *,
    k: int | None = None,
    every: int = 1,
    burn_in: int = 0,
) -> Tensor:
    r"""Return the penalty of gradient flossing: the mean square of the k leading Lyapunov exponents.

    .. math:: \frac{1}{k} \sum_{i=1}^{k} λ_i^2, \qquad
              λ_i = \frac{1}{T - T_0} \sum_{t > T_0} \log |(R_t)_{ii}|, \quad Q_t R_t = J_t Q_{t-1}

    Its gradient with respect to the parameters of ``step`` goes through the states, the Jacobians and the QR
    factorizations. A loop over it alone brings the exponents to 0 before training; added to a loss, with a weight, it
    keeps them there. With exponents at 0, gradients neither vanish nor explode along k directions.

    Parameters
    ----------
    step
        ``step(x, state) -> state``: a cell of torch itself, or ``lambda x, s: lstm(x[None], s)[1]`` for its layers
        over sequences. Batch elements must not act on each other.
    inputs
        ``(T, batch, m)``, time first; or the number T of steps, with None for x.
    state
        The initial state ``(batch, n)``, or ``(layers, batch, n)`` as torch's layers have it; or a sequence of such,
        ``(h, c)``. N is the number of its entries for one batch element.
    k
        Number of leading exponents; None for all N.
    every
        Steps between two QR factorizations. A direction that shrinks against another by 1/eps in between is lost.
    burn_in
        T_0, the number of steps at the start that are not measured, while state and directions settle.

    Returns
    -------
    torch.Tensor
        Scalar (nats² per step²), the mean over the batch.

    Raises
    ------
    ArgumentError
        A direction is lost, so that its exponent is −∞ or rounding; k outside 1..N, burn-in as long as the inputs, no
        step, or a step that does not return a state like the one it takes.
    ShapeError
        A state without a batch.
    NotFiniteError
        The trajectory is not finite.

    Notes
    -----
    The directions start at a fixed random orthonormal basis (for k = N at I), the same as in
    :func:`unitcircle.jax.gradient_flossing`. One step costs k products with its Jacobian, and the whole trajectory is
    kept for the backward pass: a few dozen steps serve (55 in the source), of which a few are burn-in. On a GPU, run
    fused layers of torch under ``torch.backends.cudnn.flags(enabled=False)``: cuDNN has no second derivative.

    References
    ----------
    R. Engelken, "Gradient flossing: improving gradient descent through dynamic control of Jacobians", NeurIPS 2023,
    arXiv 2312.17306.

    Examples
    --------
    The exponents of a linear recurrence are the logarithms of the moduli of its eigenvalues.

    >>> W = torch.tensor([[0.0, -0.5], [0.5, 0.0]], dtype=torch.float64, requires_grad=True)
    >>> penalty = gradient_flossing(lambda x, h: h @ W.T, 10, torch.ones(1, 2, dtype=torch.float64))
    >>> bool(torch.isclose(penalty, torch.tensor(0.5).double().log() ** 2))
    True
    >>> penalty.backward()
    """
    s = _joined(state)

    def advance(x: Any, s: Tensor) -> Tensor:
        after = step(x, _split(s, state))
        if _shapes(after) != _shapes(state):
            rule = f"must return a state like the one it takes, {_shapes(state)}"
            raise ArgumentError("step", rule, str(_shapes(after)))
        return _joined(after)

    xs: Sequence[Any] = inputs.unbind() if isinstance(inputs, Tensor) else [None] * whole_number("inputs", inputs)
    if not xs:
        raise ArgumentError("inputs", "must hold at least one step", "none")
    every = whole_number("every", every)
    wanted, measured = exponents_wanted(k, s.shape[-1], burn_in, len(xs))
    # LAPACK has no half precision.
    high = torch.promote_types(s.dtype, torch.float32)
    product = torch.from_numpy(generic_basis(s.shape[-1], wanted)).to(s.device, high).expand(len(s), -1, -1)
    logs, finite, since = product.new_zeros(len(s), wanted), s.isfinite().all(), 0
    for t, x in enumerate(xs, 1):
        s, product = _pushed(lambda s, x=x: advance(x, s), s, product)
        finite, since = finite & s.isfinite().all(), since + 1
        if since == every or t in {burn_in, len(xs)}:
            product, factors = _factored(product)
            logs = logs + factors if t > burn_in else logs
            since = 0
    exponents = logs / measured
    require_kept(torch.where(finite, exponents.detach(), torch.nan))
    return exponents.square().mean()


def _parts(state: State) -> list[Tensor]:
    return [state] if isinstance(state, Tensor) else list(state)


def _shapes(state: State) -> list[tuple[int, ...]]:
    return [tuple(part.shape) for part in _parts(state)]


def _joined(state: State) -> Tensor:
    """Return a state as vectors ``(B, N)``."""
    if not isinstance(state, Tensor | list | tuple):
        raise ArgumentError("state", "must be a tensor or a sequence of tensors", type(state).__qualname__)
    for part in _parts(state):
        real(require_tensor(part, argument="state"), argument="state")
    shapes = _shapes(state)
    if not shapes or any(len(shape) < 2 for shape in shapes) or len({shape[-2] for shape in shapes}) != 1:
        raise ShapeError("state", "must be (..., batch, n), or a sequence of such with one batch", str(shapes))
    return torch.cat([part.movedim(-2, 0).flatten(1) for part in _parts(state)], -1)


def _split(s: Tensor, like: State) -> State:
    """Return vectors ``(B, N)`` in the form of a state."""
    # Moved to the front, the batch leaves the other axes in their order.
    others = [(*shape[:-2], shape[-1]) for shape in _shapes(like)]
    pieces = s.split([math.prod(shape) for shape in others], -1)
    parts = [piece.unflatten(-1, shape).movedim(0, -2) for piece, shape in zip(pieces, others, strict=True)]
    return parts[0] if isinstance(like, Tensor) else tuple(parts)


def _pushed(step: Callable[[Tensor], Tensor], s: Tensor, Q: Tensor) -> tuple[Tensor, Tensor]:
    """Return the next state ``(B, N)`` and J Q ``(B, N, k)``, both differentiable."""
    # u -> Jᵀu is linear: the transpose of its derivative, at any u, is J. Some kernels lack forward mode.
    reverse: Any = vjp(step, s)
    after, pull = reverse
    forward: Any = vjp(lambda u: pull(u)[0], torch.zeros_like(after))
    push = forward[1]
    product: Tensor = vmap(lambda q: push(q)[0], in_dims=-1, out_dims=-1)(Q.to(s.dtype))
    return after, product.to(Q.dtype)


def _factored(product: Tensor) -> tuple[Tensor, Tensor]:
    """Return Q and log|R_ii| ``(B, k)``, −∞ where R_ii is rounding."""
    basis, R = torch.linalg.qr(product)
    diagonal = R.diagonal(dim1=-2, dim2=-1).abs()
    length = torch.linalg.vector_norm(product.detach(), dim=-2).amax(-1, keepdim=True)
    noise = product.shape[-2] * torch.finfo(product.dtype).eps * length
    return basis, torch.where(diagonal <= noise, 0.0, diagonal).log()
