"""One run's cell as something that :mod:`unitcircle.dynamics` measures."""

from __future__ import annotations

__all__ = ["measurable"]

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from unitcircle.dynamics import Recurrence, as_recurrence
from unitcircle.experiments.models import Cell, Parameters, Plain, State


def measurable(cell: Cell, parameters: Parameters, /) -> Recurrence:
    """Return the recurrence of one run: torch's own layer where there is one, for its closed-form Jacobians.

    Parameters
    ----------
    cell
        The cell.
    parameters
        Of one run, ``(1, ...)``.

    Returns
    -------
    Recurrence
        In the precision of the parameters.
    """
    if isinstance(cell, Plain) and cell.activation != "linear" and cell.step.__func__ is Plain.step:
        module = _layer(nn.RNN, cell, parameters, nonlinearity=cell.activation)
        return as_recurrence(module)

    def step(x: Tensor, state: State) -> State:
        after = cell.step(parameters, x.unsqueeze(0), tuple(part.unsqueeze(0) for part in state))
        return tuple(part.squeeze(0) for part in after)

    start = cell.initial(parameters, 1)
    return as_recurrence(step, state=tuple(part.squeeze(0).detach() for part in start), batched=True)


def _layer(kind: Callable[..., nn.RNNBase], cell: Cell, parameters: Parameters, **options: Any) -> nn.RNNBase:
    module = kind(parameters["input"].shape[-1], cell.size, **options)
    stored = {"weight_hh_l0": "recurrent", "weight_ih_l0": "input", "bias_ih_l0": "bias"}
    values = {name: parameters[own][0] for name, own in stored.items()}
    module.load_state_dict(values | {"bias_hh_l0": values["bias_ih_l0"].new_zeros(len(values["bias_ih_l0"]))})
    return module.double()
