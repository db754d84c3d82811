"""What is added to the loss of every run: Ω, the norm stabilizer, soft orthogonality."""

from __future__ import annotations

__all__ = ["penalties"]

from collections.abc import Callable

import torch
from torch import Tensor

from unitcircle.experiments.models import Network, Parameters
from unitcircle.experiments.training._run import Run
from unitcircle.torch import norm_stabilizer, pascanu_omega, soft_orthogonality


def penalties(
    network: Network, parameters: Parameters, inputs: Tensor, loss: Callable[[Tensor], Tensor], run: Run, /
) -> tuple[Tensor, Tensor]:
    """Return the loss of every run, and what its regularizers add to it.

    Parameters
    ----------
    network, parameters
        R runs.
    inputs
        ``(R, T, B, m)`` or integers ``(R, T, B)``.
    loss
        From outputs to the loss of every run.
    run
        What the runs have in common; a regularizer of weight 0 costs nothing.

    Returns
    -------
    tuple of Tensor
        Both ``(R,)``. Ω is measured over all runs at once: of several runs each is given the mean of their sum.
    """
    cell = network.cell_parameters(parameters)
    if run.omega:
        states = network.cell.unrolled(cell, network.encode(inputs, parameters["readout.weight"].dtype))
        h = [state[0] for state in states]
        hidden = torch.stack(h[1:], 1)
    else:
        h = list(network.cell.initial(cell, inputs.shape[2])[:1]) if run.norm_stabilizer else []
        hidden = network.hidden(parameters, inputs)
    of_task = loss(network.read(parameters, hidden))
    added = torch.zeros_like(of_task)
    if run.omega:
        added = added + run.omega * pascanu_omega(h, of_task.sum())
    if run.norm_stabilizer:
        whole = torch.cat([h[0].unsqueeze(1), hidden], 1)
        added = added + run.norm_stabilizer * torch.stack([norm_stabilizer(states) for states in whole])
    if run.soft_orthogonality:
        weights = network.cell.recurrent_weights(cell).values()
        each = [torch.stack([soft_orthogonality(W_r) for W_r in W]) for W in weights]
        added = added + run.soft_orthogonality * torch.stack(each).sum(0)
    return of_task, added
