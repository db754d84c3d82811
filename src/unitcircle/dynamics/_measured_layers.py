"""Everything that one run of a model says about its recurrent layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._driven_layers import DrivenLayer, layers_of
from unitcircle.dynamics._flow_by_lag import GradientFlow
from unitcircle.dynamics._gradient_flow import flow_of
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._recorded_run import RecordedRun, check_recorded, recorded
from unitcircle.torch import Rng


@dataclass(frozen=True, eq=False)
class MeasuredLayers:
    """Gradient, Jacobian and trajectories of the recurrent layers of a model, from one run.

    Attributes
    ----------
    gradient
        What :func:`gradient_flow` returns for the loss.
    jacobian
        What it returns for ``norm="jacobian"``; None if there are no probes.
    layers
        What :func:`driven_layers` returns.
    errors
        ``(B, k)``: the gradient of the loss with respect to the output of each sequence, where all sequences get the
        mean output: what an answer that ignores its input has left to learn. None where the loss is not a function of
        one tensor with a row for every sequence, and of a target.
    """

    gradient: GradientFlow
    jacobian: GradientFlow | None
    layers: tuple[DrivenLayer, ...]
    errors: Tensor | None = None


@right_keywords
def measured_layers(
    model: nn.Module,
    batch: Any,
    /,
    loss: Callable[..., Tensor] | None = None,
    *,
    probes: int = 0,
    rng: Rng = 0,
    dtype: torch.dtype | None = torch.float64,
) -> MeasuredLayers:
    """Run a model once, and measure its gradient flow, its Jacobians and its trajectories.

    Parameters
    ----------
    model, batch, loss
        As for :func:`gradient_flow`.
    probes
        Number of random cotangents of the Jacobian; 0 to leave it out.
    rng
        Seed, ``torch.Generator`` or ``numpy.random.Generator``, of the cotangents.
    dtype
        Precision of the copy of the parameters that is measured; None for the model's own.

    Returns
    -------
    MeasuredLayers
        The same as the three functions return.

    Raises
    ------
    ArgumentError
        As :func:`gradient_flow` does.

    Examples
    --------
    >>> measured = measured_layers(nn.GRU(3, 8), torch.randn(20, 4, 3), probes=8)
    >>> measured.gradient.layers, measured.jacobian.norm, measured.layers[0].states.shape
    (('l0',), 'jacobian', torch.Size([21, 4, 8]))
    """
    module, ready, objective_of = prepared(model, batch, loss)

    def objective(run: RecordedRun) -> Tensor | None:
        check_recorded(run, module)
        return objective_of(run.output, run.target)

    with recorded(module, ready, dtype=dtype, objective=objective) as (run, value):
        gradient = flow_of(run, value, "gradient", probes=probes, rng=rng)
        jacobian = flow_of(run, value, "jacobian", probes=probes, rng=rng) if probes else None
        layers = layers_of(run, module, dtype)
        errors = objective_of.errors(run.output, run.target, max(len(layer.lengths) for layer in layers))
        return MeasuredLayers(gradient, jacobian, layers, errors)
