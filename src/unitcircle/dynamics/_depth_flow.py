"""Gradient flow through depth: the norm of the gradient at every layer of a feed-forward stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle._growth import growth, horizon
from unitcircle.dynamics._batch import call, loss_of
from unitcircle.dynamics._restoration import as_found
from unitcircle.errors import ArgumentError, UnknownNameError


@dataclass(frozen=True, eq=False)
class DepthFlow:
    """Norms of a gradient by depth, from the output back to the input.

    Attributes
    ----------
    layers
        Names of the layers, the last first: ``log_norms[j + 1]`` is at the input of ``layers[j]``.
    log_norms
        ``(layers + 1, B)``: natural logarithm of the gradient's norm, at the output first.
    jacobian_norms
        ``(layers, B)``: spectral norm of every layer's Jacobian (with the nonlinearity that follows it), the last
        first; NaN where it was not asked for.
    jacobian_frobenius
        ``(layers, B)``: its Frobenius norm over the square root of its smaller side, 1 for an isometry.
    """

    layers: tuple[str, ...]
    log_norms: np.ndarray
    jacobian_norms: np.ndarray
    jacobian_frobenius: np.ndarray

    @property
    def log_bound(self) -> np.ndarray:
        """What the norms could at most be: ``log ‖g_L‖ + Σ log ‖J_l‖`` ``(layers + 1, B)``, by submultiplicativity."""
        with np.errstate(divide="ignore"):
            steps = np.log(self.jacobian_norms)
        return self.log_norms[:1] + np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0)])

    @property
    def growth_rate(self) -> float:
        """Change of the log-norm per layer back, nats."""
        return growth(self.log_norms)[0]

    @property
    def growth_rate_stderr(self) -> float:
        """Standard error of the growth rate, from blocks of layers."""
        return growth(self.log_norms)[1]

    def horizon(self, factor: float = 1e-3) -> float:
        """Return how many layers back from the output the norm has changed by a factor; inf if it never does.

        Parameters
        ----------
        factor
            Relative to the norm at the output, or at the first layer back that the loss reaches.

        Returns
        -------
        float
            Layers, counted from the output; NaN where the loss reaches none.
        """
        return horizon(self.log_norms, factor)


def depth_flow(
    model: nn.Module,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    layers: Sequence[str] | None = None,
    jacobians: bool = True,
    rng: int = 0,
    dtype: torch.dtype | None = torch.float64,
) -> DepthFlow:
    """Measure how the norm of the gradient changes through the layers of a feed-forward stack.

    With ``a_l`` the input of layer l, ``a_L`` the output, and ``J_l = ∂a_{l+1}/∂a_l``::

        ‖∂L/∂a_l‖  ≤  ‖∂L/∂a_L‖ Π_{m ≥ l} ‖J_m‖₂

    Parameters
    ----------
    model
        A stack of layers, each fed by the one before it.
    batch
        Inputs, ``(inputs, target)``, or a dictionary of the model's arguments.
    loss
        As in :func:`gradient_flow`; without loss and target, a random cotangent of the output.
    layers
        Names of the submodules that count as layers; None for those with a weight of two axes or more (linear and
        convolutional ones).
    jacobians
        Also measure every layer's Jacobian, at the price of one backward pass through that layer per output unit.
    rng
        Seed of the cotangent.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    DepthFlow
        Norms by depth, per-layer Jacobian norms, and the bound by their product.

    Raises
    ------
    ArgumentError
        The model has no such layer, or does not return one tensor.
    UnknownNameError
        No submodule of that name.

    References
    ----------
    Saxe, McClelland and Ganguli, Exact solutions to the nonlinear dynamics of learning in deep linear neural networks
    (2014), section 4.

    Examples
    --------
    >>> stack = nn.Sequential(*[nn.utils.parametrizations.orthogonal(nn.Linear(8, 8)) for _ in range(5)])
    >>> flow = depth_flow(stack, torch.randn(4, 8))
    >>> bool(abs(flow.growth_rate) < 1e-6)
    True
    """
    found = dict(model.named_modules())
    if layers is None:
        names = [name for name, module in found.items() if name and _is_layer(module)]
    else:
        names = list(layers)
        for name in names:
            if name not in found:
                raise UnknownNameError("layers", name, (key for key in found if key))
    points: list[Tensor] = []
    called: list[str] = []
    with as_found(model), torch.enable_grad():

        def keep(name: str) -> Callable[..., Any]:
            def hook(_module: nn.Module, arguments: tuple[Any, ...]) -> Any:
                start = arguments[0]
                if not start.requires_grad:
                    start = start.detach().requires_grad_()
                points.append(start)
                called.append(name)
                return (start, *arguments[1:])

            return hook

        handles = [found[name].register_forward_pre_hook(keep(name)) for name in names]
        try:
            tensors = {
                name: tensor.detach().to(dtype, copy=True) if dtype and tensor.is_floating_point() else tensor.detach()
                for name, tensor in (*model.named_parameters(), *model.named_buffers())
            }
            output, target = call(lambda *a, **k: functional_call(model, tensors, a, k), batch, dtype)
        finally:
            for handle in handles:
                handle.remove()
        if not points or not isinstance(output, Tensor):
            arrived = type(model).__name__ if isinstance(output, Tensor) else f"an output of {type(output).__name__}"
            raise ArgumentError("model", "must call at least one layer and return one tensor", arrived)
        points.append(output)
        objective = loss_of(output, target, loss)
        if objective is None:
            v = torch.randn(output.shape, generator=torch.Generator().manual_seed(rng)).to(output)
            objective = (v * output).sum()
        gradients = torch.autograd.grad(
            objective, points, allow_unused=True, materialize_grads=True, retain_graph=jacobians
        )
        with np.errstate(divide="ignore"):
            norms = np.log([_rows(g).norm(dim=-1).cpu().double().numpy() for g in gradients[::-1]])
        spectral = np.full((len(called), norms.shape[1]), np.nan)
        frobenius = spectral.copy()
        if jacobians:
            for j, (start, stop) in enumerate(zip(points[-2::-1], points[:0:-1], strict=True)):
                spectral[j], frobenius[j] = _jacobian_norms(start, stop)
    return DepthFlow(tuple(called[::-1]), norms, spectral, frobenius)


def _is_layer(module: nn.Module) -> bool:
    weight = getattr(module, "weight", None)
    return isinstance(weight, Tensor) and weight.ndim > 1 and not isinstance(module, nn.Embedding)


def _rows(tensor: Tensor) -> Tensor:
    return tensor.detach().reshape(len(tensor), -1)


def _jacobian_norms(start: Tensor, stop: Tensor) -> tuple[np.ndarray, np.ndarray]:
    batch, n = len(stop), stop[0].numel()
    basis = torch.eye(n, dtype=stop.dtype, device=stop.device).reshape(n, 1, *stop.shape[1:])
    (rows,) = torch.autograd.grad(stop, start, basis.expand(n, *stop.shape), is_grads_batched=True, retain_graph=True)
    J = rows.detach().reshape(n, batch, -1).transpose(0, 1).cpu().double().numpy()
    values = np.linalg.svd(J, compute_uv=False)
    return values[:, 0], np.sqrt((values**2).mean(-1))
