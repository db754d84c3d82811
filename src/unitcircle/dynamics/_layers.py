"""torch's recurrent layers and cells, read into standard cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from unitcircle import recurrence
from unitcircle.dynamics._cells import GRUTorchCell, LSTMTorchCell, PlainTorchCell, State, TorchCell
from unitcircle.errors import ArgumentError
from unitcircle.torch import RecurrentTensors

FUSED = (nn.RNN, nn.GRU, nn.LSTM)
STEPWISE = (nn.RNNCell, nn.GRUCell, nn.LSTMCell)

Take = Callable[[Tensor], Tensor]


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


def run_layers(
    layers: Sequence[Sequence[TorchCell]],
    xs: Tensor,
    initial: Sequence[Sequence[State]],
    /,
    *,
    visit: Callable[[int, int, Sequence[State]], None] | None = None,
) -> tuple[Tensor, list[list[State]]]:
    """Run a stack over a sequence in plain operations, ``(T, B, m) -> (T, B, directions · p)``."""
    final: list[list[State]] = []
    for k, (cells, states) in enumerate(zip(layers, initial, strict=True)):
        outputs: list[Tensor] = []
        final.append([])
        for direction, (cell, start) in enumerate(zip(cells, states, strict=True)):
            # Unbind, not xs[t]: the backward pass of each xs[t] allocates zeros of the size of the whole sequence.
            drives = cell.drive(xs).unbind(0)
            trajectory = [start]
            for drive in reversed(drives) if direction else drives:
                trajectory.append(cell.advance(drive, trajectory[-1]))
            if visit is not None:
                visit(k, direction, trajectory)
            hs = [state[0] for state in trajectory[1:]]
            outputs.append(torch.stack(hs[::-1] if direction else hs))
            final[-1].append(trajectory[-1])
        xs = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return xs, final
