"""Gradient flow through depth: the norm of the gradient at every layer of a feed-forward stack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from unitcircle._growth import Flow
from unitcircle._keywords import right_keywords
from unitcircle.dynamics._batch import call
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._restoration import evaluation_mode
from unitcircle.errors import ArgumentError, UnknownNameError
from unitcircle.torch import Rng, generator_of


@dataclass(frozen=True, eq=False)
class DepthFlow(Flow[float]):
    """Norms of a gradient by depth, from the output back to the input: a lag is a number of layers.

    Attributes
    ----------
    layers
        Names of the layers, the last first: ``log_norms[j + 1]`` is at the input of ``layers[j]``.
    log_norms
        ``(layers + 1, B)``: natural logarithm of the gradient's norm, at the output first.
    jacobian_norms
        ``(layers, B)``: spectral norm of every layer's Jacobian (with the nonlinearity that follows it), the last
        first; NaN if it was not requested.
    jacobian_frobenius
        ``(layers, B)``: its Frobenius norm over the square root of its smaller side, 1 for an isometry.
    """

    layers: tuple[str, ...]
    log_norms: np.ndarray
    jacobian_norms: np.ndarray
    jacobian_frobenius: np.ndarray

    @property
    def log_bound(self) -> np.ndarray:
        """Upper bound of the log-norms by submultiplicativity: ``log ‖g_L‖ + Σ log ‖J_l‖`` ``(layers + 1, B)``."""
        with np.errstate(divide="ignore"):
            steps = np.log(self.jacobian_norms)
        return self.log_norms[:1] + np.concatenate([np.zeros_like(steps[:1]), np.cumsum(steps, axis=0)])

    def _measure(self, measure: Callable[[np.ndarray], float], /) -> float:
        return measure(self.log_norms)


@right_keywords
def depth_flow(
    model: nn.Module,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    layers: Sequence[str] | None = None,
    jacobians: bool = True,
    rng: Rng = 0,
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
        Inputs in any form that :func:`prepared` takes.
    loss
        As in :func:`gradient_flow`; without loss and target, a random cotangent of the output.
    layers
        Names of the submodules that count as layers; None for those with a weight of two axes or more (linear and
        convolutional ones).
    jacobians
        Also measure every layer's Jacobian, at the cost of one backward pass through that layer per output unit.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangent.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    DepthFlow
        Norms by depth, Jacobian norms of the layers, and the bound by their product.

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
    model, ready, objective_of = prepared(model, batch, loss)
    modules = dict(model.named_modules())
    if layers is None:
        names = [name for name, module in modules.items() if name and _is_layer(module)]
    else:
        names = list(layers)
        for name in names:
            if name not in modules:
                raise UnknownNameError("layers", name, (key for key in modules if key))
    points: list[Tensor] = []  # The inputs of the layers in the order of their calls, then the output
    called: list[str] = []
    with evaluation_mode(model), torch.enable_grad():

        def hook_of(name: str) -> Callable[..., Any]:
            def hook(_module: nn.Module, arguments: tuple[Any, ...]) -> Any:
                start = arguments[0]
                # The data, unlike the output of a layer, are not part of the graph yet.
                if not start.requires_grad:
                    start = start.detach().requires_grad_()
                points.append(start)
                called.append(name)
                return (start, *arguments[1:])

            return hook

        handles = [modules[name].register_forward_pre_hook(hook_of(name)) for name in names]
        try:
            tensors = {
                name: tensor.detach().to(dtype, copy=True) if dtype and tensor.is_floating_point() else tensor.detach()
                for name, tensor in (*model.named_parameters(), *model.named_buffers())
            }
            output, target = call(lambda *a, **k: functional_call(model, tensors, a, k), ready, dtype)
        finally:
            for handle in handles:
                handle.remove()
        if not points or not isinstance(output, Tensor):
            arrived = type(model).__name__ if isinstance(output, Tensor) else f"an output of {type(output).__name__}"
            raise ArgumentError("model", "must call at least one layer and return one tensor", arrived)
        points.append(output)
        objective = objective_of(output, target)
        if objective is None:
            generator = generator_of(rng)
            v = torch.randn(output.shape, generator=generator, device=generator.device).to(output)
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
