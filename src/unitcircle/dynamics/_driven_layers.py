"""The recurrent layers of a whole model, each with the inputs that it receives in a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from unitcircle._keywords import right_keywords
from unitcircle.dynamics._as_recurrence import as_recurrence
from unitcircle.dynamics._layers import FUSED, is_stepwise
from unitcircle.dynamics._prepared import prepared
from unitcircle.dynamics._recorded_run import RecordedRun, recorded
from unitcircle.dynamics._recurrence import Recurrence
from unitcircle.dynamics._stack import StackRecurrence
from unitcircle.dynamics._trajectories import Trajectory


@dataclass(frozen=True, eq=False)
class DrivenLayer:
    """One recurrent layer and direction of a model along one trajectory, with its inputs.

    A call of a module whose initial state is the last state of an earlier call continues its trajectory; any other call
    begins a new one.

    Attributes
    ----------
    name
        Its name in :func:`gradient_flow`: ``"rnn.l0"``, ``"rnn.l0_reverse"``; of a second trajectory ``"rnn.l0#2"``.
    path
        Qualified name of its module.
    layer
        Its index in a stack.
    direction
        ``"forward"`` or ``"reverse"``.
    recurrence
        The layer as a step over its full state.
    inputs
        ``(T, B, m)``: the inputs of the layer itself in the order of its steps, 0 beyond the end of a sequence.
    initial
        Its initial state: h ``(1, B, n)`` (of a cell ``(B, n)``), or (h, c).
    states
        ``(T + 1, B, N)``: the full states in the model, the initial one first; NaN beyond the end of a sequence.
    lengths
        ``(B,)``: the number of steps of each sequence.
    calls
        How many calls of the module the trajectory runs through.
    changed
        Whether the model changes the state between calls: then inputs alone do not determine the states.
    """

    name: str
    path: str
    layer: int
    direction: Literal["forward", "reverse"]
    recurrence: Recurrence
    inputs: Tensor
    initial: Any
    states: Tensor
    lengths: Tensor
    calls: int
    changed: bool

    def first(self, count: int, /) -> tuple[Tensor, Any]:
        """Return inputs and initial state of the first sequences of the batch, over the steps of the longest."""
        longest = int(self.lengths[:count].max())
        initial = pytree.tree_map(lambda part: part[..., :count, :], self.initial)
        return self.inputs[:longest, :count], initial

    def recurrence_of(self, module: nn.Module, /) -> Recurrence:
        """Return the layer as a step with the weights that its module has now."""
        return _recurrence(module, self.layer, self.direction, self.recurrence.dtype)


@right_keywords
def driven_layers(
    model: nn.Module, batch: Any, /, *, dtype: torch.dtype | None = torch.float64
) -> tuple[DrivenLayer, ...]:
    """Run a model once and return every recurrent layer that it calls, with the inputs of that layer.

    Parameters
    ----------
    model
        Any module with nn.RNN, nn.GRU, nn.LSTM or their Cells inside. It is left as found; dropout is off.
    batch
        Inputs in any form that :func:`prepared` takes.
    dtype
        Precision; None for the module's own.

    Returns
    -------
    tuple of DrivenLayer
        In the order of the calls; layer by layer, forward before reverse.

    Examples
    --------
    >>> lstm = nn.LSTM(3, 8, num_layers=2)
    >>> [layer.name for layer in driven_layers(lstm, torch.randn(20, 4, 3))]
    ['l0', 'l1']
    """
    model, ready, _ = prepared(model, batch)
    with recorded(model, ready, dtype=dtype) as (run, _):
        return layers_of(run, model, dtype)


def layers_of(run: RecordedRun, model: nn.Module, dtype: torch.dtype | None, /) -> tuple[DrivenLayer, ...]:
    """Return the layers that a run has recorded."""
    modules = dict(model.named_modules())
    return tuple(
        _driven(name, trajectory, modules[trajectory.path], dtype)
        for name, trajectory in run.record.trajectories.items()
    )


def _driven(name: str, trajectory: Trajectory, module: nn.Module, dtype: torch.dtype | None) -> DrivenLayer:
    direction: Literal["forward", "reverse"] = "reverse" if trajectory.direction else "forward"
    recurrence = _recurrence(module, trajectory.layer, direction, dtype)
    present, batch = trajectory.present(), trajectory.batch
    lengths = present.sum(0) - 1
    ends = [point.elements for point in trajectory.points]
    if trajectory.stacked:
        states = torch.cat(trajectory.stacked, -1)
    else:
        states = _together([torch.cat(point.values, -1) for point in trajectory.points], ends, batch, float("nan"))
    first = trajectory.points[0].values
    if ends[0] is not None:
        first = tuple(_rows(part, ends[0], batch) for part in first)
    parts = first if is_stepwise(module) else tuple(part.unsqueeze(0) for part in first)
    initial: Any = parts if len(parts) > 1 else next(iter(parts))
    return DrivenLayer(
        name,
        trajectory.path,
        trajectory.layer,
        direction,
        recurrence,
        _together(trajectory.inputs, ends[1:], batch, 0.0),
        initial,
        states,
        lengths,
        trajectory.calls,
        trajectory.changed,
    )


def _recurrence(
    module: nn.Module, layer: int, direction: Literal["forward", "reverse"], dtype: torch.dtype | None
) -> Recurrence:
    if not isinstance(module, FUSED):
        return as_recurrence(module, dtype=dtype)
    return StackRecurrence(module, layer=layer, direction=direction, dtype=dtype, alone=True)


def _together(rows: list[Tensor], elements: list[Tensor | None], batch: int, fill: float) -> Tensor:
    """Return values of each step as ``(T, B, n)``: those of a sequence follow each other, then comes ``fill``."""
    if all(part is None for part in elements):
        return torch.stack(rows)
    taken = torch.zeros(batch, dtype=torch.long)
    values = rows[0].new_full((len(rows), batch, rows[0].shape[-1]), fill)
    for row, part in zip(rows, elements, strict=True):
        which = torch.arange(batch) if part is None else part.cpu()
        values[taken[which], which] = row
        taken[which] += 1
    return values


def _rows(part: Tensor, elements: Tensor, batch: int) -> Tensor:
    values = part.new_zeros(batch, part.shape[-1])
    values[elements.to(part.device)] = part
    return values
