"""One run's cell as something that :mod:`unitcircle.dynamics` measures."""

from __future__ import annotations

import torch
from torch import nn

from unitcircle.dynamics import Recurrence, as_recurrence
from unitcircle.experiments.models import GRU, LSTM, Parameters, ReLU, Tanh, TrainableCell, step_of


def measurable(cell: TrainableCell, parameters: Parameters, /) -> Recurrence:
    """Return the recurrence of one run, ``(1, ...)`` parameters: torch's layer if there is one, for its Jacobians."""
    values = {name: value[0].detach() for name, value in parameters.items()}
    # Not isinstance: a cell that derives from Tanh has another step.
    if type(cell) in {Tanh, ReLU}:
        module = nn.RNN(values["input"].shape[-1], cell.size, nonlinearity=cell.name)
    elif type(cell) is LSTM:
        module = nn.LSTM(values["input"].shape[-1], cell.size)
    elif type(cell) is GRU:
        module = nn.GRU(values["input"].shape[-1], cell.size)
    else:
        step, state = step_of(cell, parameters)
        return as_recurrence(step, state=state, batched=True)
    second = torch.zeros_like(values["bias"])
    if "candidate_bias" in values:
        second[-cell.size :] = values["candidate_bias"]
    module = module.to(values["bias"].dtype)
    module.load_state_dict(
        {
            "weight_hh_l0": values["recurrent"],
            "weight_ih_l0": values["input"],
            "bias_ih_l0": values["bias"],
            "bias_hh_l0": second,
        }
    )
    return as_recurrence(module)
