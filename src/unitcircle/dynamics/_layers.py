"""torch's recurrent layers and cells, read into standard cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from unitcircle import recurrence
from unitcircle.dynamics._cells import GRUTorchCell, LSTMTorchCell, PlainTorchCell, State, TorchCell
from unitcircle.errors import ArgumentError
from unitcircle.torch import RecurrentTensors, has_own_forward

FUSED = (nn.RNN, nn.GRU, nn.LSTM)
STEPWISE = (nn.RNNCell, nn.GRUCell, nn.LSTMCell)

Take = Callable[[Tensor], Tensor]


def is_fused(module: Any, /) -> TypeGuard[nn.RNNBase]:
    """Whether a module is an nn.RNN, GRU or LSTM that computes what torch's own does."""
    return isinstance(module, FUSED) and not has_own_forward(module)


def calls_own_layer(module: Any, /) -> TypeGuard[nn.RNNBase]:
    """Whether a module is an nn.RNN, GRU or LSTM with a forward of its own, which may call torch's."""
    return isinstance(module, FUSED) and has_own_forward(module)


def is_stepwise(module: Any, /) -> TypeGuard[nn.RNNCellBase]:
    """Whether a module is an nn.RNNCell, GRUCell or LSTMCell that computes what torch's own does."""
    return isinstance(module, STEPWISE) and not has_own_forward(module)


def cells_from(layer: nn.RNNBase, /, *, take: Take) -> list[list[TorchCell]]:
    """Return the cells of a fused layer, ``[layer][direction]``; ``take`` is applied to every weight."""
    cells = [_cell(layer, tensors, take) for tensors in RecurrentTensors.of(layer)]
    directions = 1 + layer.bidirectional
    return [cells[k : k + directions] for k in range(0, len(cells), directions)]


def cell_from(module: nn.RNNCellBase, /, *, take: Take) -> TorchCell:
    """Return the standard cell of an nn.RNNCell, GRUCell or LSTMCell."""
    return _cell(module, next(RecurrentTensors.of(module)), take)


def _cell(module: nn.RNNBase | nn.RNNCellBase, tensors: RecurrentTensors, take: Take) -> TorchCell:
    taken = {role: take(tensor) for role, tensor in tensors.stored.items()}
    U, W = taken["weight_ih"], taken["weight_hh"]
    b, b_recurrent = taken.get("bias_ih"), taken.get("bias_hh")
    if tensors.cell is recurrence.Cell.GRU:
        if b is None or b_recurrent is None:
            return GRUTorchCell(U, W, None, None)
        n = W.shape[-1]
        summed = torch.cat([b[: 2 * n] + b_recurrent[: 2 * n], b[2 * n :]])
        return GRUTorchCell(U, W, summed, b_recurrent[2 * n :])
    bias = None if b is None or b_recurrent is None else b + b_recurrent
    if tensors.cell is recurrence.Cell.LSTM:
        return LSTMTorchCell(U, W, bias, taken.get("weight_hr"))
    activation: Any = module.nonlinearity
    if activation not in {"tanh", "relu"}:
        raise ArgumentError("module", "must have nonlinearity tanh or relu", repr(activation))
    return PlainTorchCell(U, W, bias, activation)


@dataclass(frozen=True, eq=False)
class Packing:
    """Where the steps of sequences of different lengths are in the rows ``(Σ lengths, m)`` of a packed sequence."""

    sizes: list[int]  # How many sequences take each step: the longest come first
    backward: Tensor  # The rows in which every sequence is reversed in itself: its own inverse
    last: Tensor  # The row of the last step of every sequence

    @classmethod
    def of(cls, batch_sizes: Tensor, /) -> Packing:
        """Return the places of a packed sequence with these ``batch_sizes``."""
        sizes: list[int] = batch_sizes.tolist()
        starts = torch.cumsum(batch_sizes, 0) - batch_sizes
        lengths = (batch_sizes.unsqueeze(0) > torch.arange(sizes[0]).unsqueeze(1)).sum(1)
        backward = [starts[lengths[b] - 1 - t] + b for t, size in enumerate(sizes) for b in range(size)]
        return cls(sizes, torch.stack(backward), starts[lengths - 1] + torch.arange(sizes[0]))


Visit = Callable[[int, int, Sequence[State], Sequence[State], Sequence[Tensor], State], None]
"""Takes layer, direction, the states in the order of the steps as passed on and as made, the inputs of the steps, and
every last state."""


def run_layers(
    layers: Sequence[Sequence[TorchCell]],
    xs: Tensor,
    initial: Sequence[Sequence[State]],
    /,
    *,
    packing: Packing | None = None,
    visit: Visit | None = None,
) -> tuple[Tensor, list[list[State]]]:
    """Run a stack over a sequence in plain operations, ``(T, B, m) -> (T, B, directions · p)``; packed, rows."""
    final: list[list[State]] = []
    for k, (cells, states) in enumerate(zip(layers, initial, strict=True)):
        outputs: list[Tensor] = []
        final.append([])
        for direction, (cell, start) in enumerate(zip(cells, states, strict=True)):
            inputs = _in_order(xs, packing, direction)
            drives = cell.drive(inputs)
            # Unbind, not xs[t]: the backward pass of each xs[t] allocates zeros of the size of the whole sequence.
            steps = drives.unbind(0) if packing is None else drives.split(packing.sizes)
            trajectory, made = [start], [start]
            for drive in steps:
                state = trajectory[-1]
                if len(drive) < len(state[0]):
                    state = tuple(part[: len(drive)] for part in state)
                made.append(cell.advance(drive, state))
                trajectory.append(cell.passed_on(made[-1]))
            hs = [state[0] for state in trajectory[1:]]
            if packing is None:
                last = trajectory[-1]
                outputs.append(torch.stack(hs[::-1] if direction else hs))
            else:
                rows = packing.last.to(xs.device)
                last = tuple(torch.cat(parts).index_select(0, rows) for parts in zip(*trajectory[1:], strict=True))
                outputs.append(_in_order(torch.cat(hs), packing, direction))
            if visit is not None:
                detached = inputs.detach()
                taken = detached.unbind(0) if packing is None else detached.split(packing.sizes)
                visit(k, direction, trajectory, made, taken, last)
            final[-1].append(last)
        xs = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return xs, final


def _in_order(xs: Tensor, packing: Packing | None, direction: int) -> Tensor:
    """Return inputs in the order in which a direction takes them."""
    if not direction:
        return xs
    return xs.flip(0) if packing is None else xs.index_select(0, packing.backward.to(xs.device))
