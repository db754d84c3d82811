"""One run's cell as something that :mod:`unitcircle.dynamics` measures."""

from __future__ import annotations

import torch
from torch import nn

from unitcircle.dynamics import Recurrence, as_recurrence
from unitcircle.experiments.models import GRU, LSTM, Cell, Parameters, ReLU, Tanh, step_of


def measurable(cell: Cell, parameters: Parameters, /) -> Recurrence:
    """Return the recurrence of one run: torch's own layer where there is one, for its closed-form Jacobians."""
    # Shapes: parameters (1, ...)
    own = {name: value[0].detach() for name, value in parameters.items()}
    # Equal, not derived: a cell that derives from tanh has another step.
    if type(cell) in {Tanh, ReLU}:
        module = nn.RNN(own["input"].shape[-1], cell.size, nonlinearity=cell.name)
    elif type(cell) is LSTM:
        module = nn.LSTM(own["input"].shape[-1], cell.size)
    elif type(cell) is GRU:
        module = nn.GRU(own["input"].shape[-1], cell.size)
    else:
        step, state = step_of(cell, parameters)
        return as_recurrence(step, state=state, batched=True)
    second = torch.zeros_like(own["bias"])
    if "candidate_bias" in own:
        second[-cell.size :] = own["candidate_bias"]
    module = module.to(own["bias"].dtype)
    module.load_state_dict(
        {
            "weight_hh_l0": own["recurrent"],
            "weight_ih_l0": own["input"],
            "bias_ih_l0": own["bias"],
            "bias_hh_l0": second,
        }
    )
    return as_recurrence(module)
