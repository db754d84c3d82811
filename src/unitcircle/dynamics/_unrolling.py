"""Fused layers replaced by the same layers in plain operations while a measurement runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unitcircle.dynamics._cells import State, TorchCell
from unitcircle.dynamics._layers import FUSED, STEPWISE, cell_from, cells_from, run_layers
from unitcircle.errors import ArgumentError
from unitcircle.torch import RecurrentTensors


class StateRecord:
    """The states of every recurrent layer during one run, in the order in which the layer computes them."""

    def __init__(self) -> None:
        self.layers: dict[str, list[State]] = {}
        self.top: list[str] = []

    def add(self, name: str, states: Sequence[State], /) -> str:
        """Add the states of a layer under its name, or its name and a number if the model uses it again."""
        key, uses = name, 1
        while key in self.layers:
            uses += 1
            key = f"{name}#{uses}"
        self.layers[key] = list(states)
        return key


def _identity(tensor: Tensor) -> Tensor:
    return tensor


def _zeros(cell: TorchCell, batch: int, *, like: Tensor) -> State:
    return tuple(like.new_zeros(batch, size, requires_grad=True) for size in cell.sizes)


def _leaf_of(tensor: Tensor, like: Tensor) -> Tensor:
    # An initial state has a gradient only if it requires one.
    tensor = tensor.to(like.dtype)
    return tensor if tensor.requires_grad else tensor.detach().clone().requires_grad_()


def _fused_forward(module: nn.RNNBase, name: str, record: StateRecord | None) -> Callable[..., Any]:
    def forward(input: Tensor, hx: Any = None) -> Any:  # noqa: A002  (torch's name, which callers may use)
        x = input
        if isinstance(x, PackedSequence):
            rule = "must not be a PackedSequence while it is measured"
            raise ArgumentError(f"the input of {name or 'the module'}", rule, "one", "Pass padded sequences.")
        layers = cells_from(module, take=_identity)
        keys = [tensors.key for tensors in RecurrentTensors.of(module, name)]
        unbatched = x.ndim == 2
        xs = x.unsqueeze(1) if unbatched else x.transpose(0, 1) if module.batch_first else x
        directions, kinds = len(layers[0]), len(layers[0][0].sizes)
        initial: list[list[State]]
        if hx is None:
            initial = [[_zeros(cell, xs.shape[1], like=xs) for cell in cells] for cells in layers]
        else:
            states = [part.unsqueeze(1) if unbatched else part for part in (hx if kinds > 1 else (hx,))]
            initial = [
                [tuple(_leaf_of(part[k * directions + d], xs) for part in states) for d in range(directions)]
                for k in range(len(layers))
            ]

        def visit(k: int, direction: int, states: Sequence[State]) -> None:
            if record is None:
                return
            key = record.add(keys[k * directions + direction], states)
            record.top = [*record.top, key] if direction else [key]

        output, final = run_layers(layers, xs, initial, visit=visit)
        output = output.squeeze(1) if unbatched else output.transpose(0, 1) if module.batch_first else output
        parts = tuple(torch.stack([s[part] for states in final for s in states]) for part in range(kinds))
        if unbatched:
            parts = tuple(part.squeeze(1) for part in parts)
        return output, parts if kinds > 1 else parts[0]

    return forward


def _stepwise_forward(module: nn.RNNCellBase, name: str, record: StateRecord | None) -> Callable[..., Any]:
    def forward(input: Tensor, hx: Any = None) -> Any:  # noqa: A002  (torch's name, which callers may use)
        x = input
        cell = cell_from(module, take=_identity)
        unbatched = x.ndim == 1
        xs = x.unsqueeze(0) if unbatched else x
        if hx is None:
            state = _zeros(cell, len(xs), like=xs)
        else:
            parts = hx if len(cell.sizes) > 1 else (hx,)
            state = tuple(part.unsqueeze(0) if unbatched else part for part in parts)
            if record is not None and name not in record.layers:
                state = tuple(_leaf_of(part, xs) for part in state)
        result = cell.advance(cell.drive(xs), state)
        if record is not None:
            record.layers.setdefault(name, [state]).append(result)
            record.top = [name]
        if unbatched:
            result = tuple(part.squeeze(0) for part in result)
        return result[0] if len(result) == 1 else result

    return forward


@contextmanager
def unrolled(model: nn.Module, /, *, record: StateRecord | None = None) -> Generator[None]:
    """Run every nn.RNN, GRU, LSTM and Cell inside a model in plain operations, without dropout."""
    replaced: list[tuple[nn.Module, Any]] = []
    try:
        for name, module in model.named_modules():
            if isinstance(module, FUSED):
                forward = _fused_forward(module, name, record)
            elif isinstance(module, STEPWISE):
                forward = _stepwise_forward(module, next(RecurrentTensors.of(module, name)).key, record)
            else:
                continue
            replaced.append((module, module.__dict__.get("forward")))
            module.__dict__["forward"] = forward
        yield
    finally:
        for module, original in replaced:
            # A forward set on the instance, as some wrappers do, comes back; else the one of the class.
            if original is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = original
