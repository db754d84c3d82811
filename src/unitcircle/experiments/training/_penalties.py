"""Regularizers: Ω, the norm stabilizer and soft orthogonality, added to the loss of every run."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models import AnyNetwork, Network, Parameters
from unitcircle.experiments.training._run import Run
from unitcircle.torch import norm_stabilizer, pascanu_omega, soft_orthogonality


def loss_and_penalty(
    network: AnyNetwork, parameters: Parameters, inputs: Tensor, loss: Callable[[Tensor], Tensor], run: Run, /
) -> tuple[Tensor, Tensor]:
    """Return the loss of every run, and what its regularizers add to it.

    Parameters
    ----------
    network, parameters
        R runs.
    inputs
        ``(R, T, B, m)`` or integers ``(R, T, B)``.
    loss
        Function from outputs to the loss of every run ``(R,)``.
    run
        Holds the weights of the regularizers; one of weight 0 costs nothing.

    Returns
    -------
    tuple of Tensor
        Loss and penalty, both ``(R,)``. Ω is a mean over the runs that is added to each: only the sum of the penalties
        is meaningful, not a single one.

    Raises
    ------
    ArgumentError
        A regularizer of the states for a network that has more than one sequence of them, or of the recurrent
        weights for one that has none.

    Examples
    --------
    A weight of two times the identity is penalized by ‖WᵀW − I‖_F² = ‖3 I‖_F²:

    >>> import torch
    >>> from unitcircle.experiments.models import Linear, Network
    >>> run = Run("adding(length=10)", "linear(size=2)", "identity", soft_orthogonality=0.1)
    >>> network = Network(Linear(size=2), inputs=2, outputs=1)
    >>> weights = {name: torch.ones(1, *p.shape) for name, p in network.parameters().items()}
    >>> weights["cell.recurrent"] = 2 * torch.eye(2)[None]
    >>> loss, penalty = loss_and_penalty(network, weights, torch.zeros(1, 5, 3, 2), lambda y: (y**2).mean((1, 2)), run)
    >>> round(penalty.item(), 4)  # 0.1 · (9 + 9)
    1.8
    """
    if run.omega or run.norm_stabilizer:
        if not isinstance(network, Network):
            raise ArgumentError("omega and norm_stabilizer", "must be 0 for an encoder-decoder", str(run.task))
        of_task, added = _of_states(network, parameters, inputs, loss, run)
    else:
        of_task = loss(network.outputs_of(parameters, inputs))
        added = torch.zeros_like(of_task)
    if run.soft_orthogonality:
        weights = network.recurrent_weights(parameters).values()
        if not weights:
            raise ArgumentError("soft_orthogonality", "must be 0 for a cell without recurrent weights", str(run.cell))
        each = [torch.stack([soft_orthogonality(W_r) for W_r in W]) for W in weights]
        added = added + run.soft_orthogonality * torch.stack(each).sum(0)
    return of_task, added


def _of_states(
    network: Network, parameters: Parameters, inputs: Tensor, loss: Callable[[Tensor], Tensor], run: Run
) -> tuple[Tensor, Tensor]:
    cell = network.cell_parameters(parameters)
    # Ω differentiates the first step too, by the state it starts from.
    start = tuple(p if p.requires_grad else p.requires_grad_() for p in network.cell.initial(cell, inputs.shape[2]))
    h = [state[0] for state in network.cell.unrolled(cell, network.embed(parameters, inputs), start)]
    of_task = loss(network.read(parameters, torch.stack(h[1:], 1)))
    added = torch.zeros_like(of_task)
    if run.omega:
        added = added + run.omega * pascanu_omega(h, of_task.sum())
    if run.norm_stabilizer:
        whole = torch.stack(h, 1)
        added = added + run.norm_stabilizer * torch.stack([norm_stabilizer(states) for states in whole])
    return of_task, added
