"""One of many runs: its parameters, and its recurrence as something that can be measured."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from unitcircle.errors import ArgumentError
from unitcircle.experiments.models._cell import Parameters, State, TrainableCell

if TYPE_CHECKING:
    from torch import Tensor

Step = Callable[["Tensor", State], State]


def select(parameters: Parameters, run: int, /) -> dict[str, Tensor]:
    """Return the parameters of one run, with R = 1 in front.

    Parameters
    ----------
    parameters
        Of R runs.
    run
        Which one, from 0.

    Returns
    -------
    dict
        Views.

    Examples
    --------
    >>> import torch
    >>> of_three_runs = {"recurrent": torch.arange(3.0).reshape(3, 1, 1)}
    >>> select(of_three_runs, 2)["recurrent"].tolist()
    [[[2.0]]]
    """
    return {name: value[run : run + 1] for name, value in parameters.items()}


def step_of(cell: TrainableCell, parameters: Parameters, /) -> tuple[Step, State]:
    """Return the step of one run, over batches without the axis of runs, and the state it starts from.

    ``as_recurrence(step, state=state)`` of :mod:`unitcircle.dynamics` makes a recurrence of them.

    Parameters
    ----------
    cell
        A recurrent cell.
    parameters
        Of one run, R = 1: :func:`select`.

    Returns
    -------
    step
        ``step(x, state) -> state`` for inputs ``(B, m)`` and states of parts ``(B, features)``.
    state
        The initial state for B = 1, of parts ``(1, features)``.

    Raises
    ------
    ArgumentError
        The cell is not recurrent, or there is more than one run.

    Examples
    --------
    >>> import torch
    >>> from unitcircle.experiments.models import Linear
    >>> weights = {"recurrent": torch.full((1, 1, 1), 0.5), "input": torch.ones(1, 1, 1), "bias": torch.zeros(1, 1)}
    >>> step, state = step_of(Linear(size=1), weights)
    >>> state = step(torch.ones(1, 1), state)  # h = 1
    >>> step(torch.zeros(1, 1), state)[0].item()
    0.5
    """
    if not cell.recurrent:
        raise ArgumentError("cell", "must be recurrent", str(cell))
    runs = next(iter(parameters.values())).shape[0]
    if runs != 1:
        raise ArgumentError("parameters", "must be those of one run", f"{runs} runs")
    fixed = {name: value.detach() for name, value in cell.effective(parameters).items()}

    def step(x: Tensor, state: State) -> State:
        after = cell.step(fixed, x.unsqueeze(0), tuple(part.unsqueeze(0) for part in state))
        return tuple(part.squeeze(0) for part in after)

    return step, tuple(part.squeeze(0) for part in cell.initial(fixed, 1))
