"""Fused layers replaced by the same layers in plain operations while a measurement runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from unitcircle.dynamics._cells import State, TorchCell
from unitcircle.dynamics._layers import (
    FUSED,
    Packing,
    calls_own_layer,
    cell_from,
    cells_from,
    is_fused,
    is_stepwise,
    run_layers,
)
from unitcircle.dynamics._scans import Scan, scan
from unitcircle.dynamics._tape import LayerCall, NeedsGraphError, Tape
from unitcircle.dynamics._trajectories import Link, Point, StateRecord, Trajectory
from unitcircle.torch import RecurrentTensors


def _identity(tensor: Tensor) -> Tensor:
    return tensor


def _zeros(cell: TorchCell, batch: int, *, like: Tensor) -> State:
    return tuple(like.new_zeros(batch, size, requires_grad=True) for size in cell.sizes)


def _leaf_of(tensor: Tensor, like: Tensor) -> Tensor:
    # An initial state has a gradient only if it requires one.
    tensor = tensor.to(like.dtype)
    return tensor if tensor.requires_grad else tensor.detach().clone().requires_grad_()


def _call_state(hx: Any) -> State:
    return () if hx is None else tuple(hx) if isinstance(hx, tuple | list) else (hx,)


def _fused_forward(module: nn.RNNBase, path: str, record: StateRecord | None) -> Callable[..., Any]:
    def forward(input: Tensor | PackedSequence, hx: Any = None) -> Any:  # noqa: A002  (torch's name)
        packed = input if isinstance(input, PackedSequence) else None
        packing = None if packed is None else Packing.of(packed.batch_sizes)
        order = None if packed is None else packed.sorted_indices
        x = input if packed is None else packed.data
        assert isinstance(x, Tensor)
        layers = cells_from(module, take=_identity)
        unbatched = packed is None and x.ndim == 2
        xs = x.unsqueeze(1) if unbatched else x.transpose(0, 1) if packed is None and module.batch_first else x
        batch = xs.shape[1] if packing is None else packing.sizes[0]
        directions, kinds = len(layers[0]), len(layers[0][0].sizes)
        given = _call_state(hx)
        link = Link() if record is None else record.link(path, given)
        stacked = tuple(part.unsqueeze(1) if unbatched else part for part in given)
        states = stacked if order is None else tuple(part.index_select(1, order) for part in stacked)

        def start(k: int, direction: int) -> State:
            row = k * directions + direction
            if not states:
                return _zeros(layers[k][direction], batch, like=xs)
            rows = tuple(part[row] for part in states)
            return tuple(_leaf_of(part, xs) if link.chain is None else part.to(xs.dtype) for part in rows)

        initial = [[start(k, d) for d in range(directions)] for k in range(len(layers))]
        rows: list[Trajectory] = []

        def visit(  # noqa: PLR0917  (what run_layers says of each row)
            k: int,
            direction: int,
            states: Sequence[State],
            made: Sequence[State],
            inputs: Sequence[Tensor],
            last: State,
        ) -> None:
            trajectory = Trajectory(path, k, direction, _points(states, made, order, packing), list(inputs))
            trajectory.end = _unsorted(last, packed)
            trajectory.constant_start = bool(given) and not any(part.requires_grad for part in given)
            if link.changed:
                trajectory.points[0] = Point(stacked, row=k * directions + direction)
            rows.append(trajectory)

        output, final = run_layers(layers, xs, initial, packing=packing, visit=None if record is None else visit)
        if packed is not None:
            output = PackedSequence(output, packed.batch_sizes, order, packed.unsorted_indices)
        else:
            output = output.squeeze(1) if unbatched else output.transpose(0, 1) if module.batch_first else output
        parts = tuple(torch.stack([_unsorted(s, packed)[part] for states in final for s in states])
                      for part in range(kinds))  # fmt: skip
        if unbatched:
            parts = tuple(part.squeeze(1) for part in parts)
        if record is not None:
            record.continued(path, link, [tensors.key for tensors in RecurrentTensors.of(module, path)], rows)
            record.ended(path, link, parts)
        return output, parts if kinds > 1 else parts[0]

    return forward


def _points(
    states: Sequence[State], made: Sequence[State], order: Tensor | None, packing: Packing | None
) -> list[Point]:
    pairs = zip(states, made, strict=True)
    if packing is None:
        return [Point(state, made=one) for state, one in pairs]
    everyone = torch.arange(packing.sizes[0]) if order is None else order
    return [Point(state, elements=everyone[: len(state[0])], made=one) for state, one in pairs]


def _unsorted(state: State, packed: PackedSequence | None) -> State:
    """Return the rows of a state in the order of the batch."""
    if packed is None or packed.unsorted_indices is None:
        return state
    return tuple(part.index_select(0, packed.unsorted_indices) for part in state)


def _stepwise_forward(module: nn.RNNCellBase, path: str, record: StateRecord | None) -> Callable[..., Any]:
    def forward(input: Tensor, hx: Any = None) -> Any:  # noqa: A002  (torch's name, which callers may use)
        x = input
        cell = cell_from(module, take=_identity)
        unbatched = x.ndim == 1
        xs = x.unsqueeze(0) if unbatched else x
        given = _call_state(hx)
        link = Link() if record is None else record.link(path, given)
        states = tuple(part.unsqueeze(0) if unbatched else part for part in given)
        if not states:
            state = _zeros(cell, len(xs), like=xs)
        elif record is not None and link.chain is None:
            state = tuple(_leaf_of(part, xs) for part in states)
        else:
            state = states
        made = cell.advance(cell.drive(xs), state)
        result = cell.passed_on(made)
        parts = tuple(part.squeeze(0) for part in result) if unbatched else result
        if record is not None:
            first = Point(states if link.changed else state)
            trajectory = Trajectory(path, 0, 0, [first, Point(result, made=made)], [xs.detach()], result)
            trajectory.constant_start = bool(given) and not any(part.requires_grad for part in given)
            record.continued(path, link, [next(RecurrentTensors.of(module, path)).key], [trajectory])
            record.ended(path, link, parts)
        return parts[0] if len(parts) == 1 else parts

    return forward


def _taped_forward(module: nn.RNNBase, path: str, record: StateRecord, tape: Tape) -> Callable[..., Any]:
    """Run a layer by scans, and cut it out of the graph; only the one call of a module is taken."""

    def forward(input: Tensor | PackedSequence, hx: Any = None) -> Any:  # noqa: A002  (torch's name)
        if path in tape.paths or isinstance(input, PackedSequence) or not torch.is_grad_enabled():
            raise NeedsGraphError
        tape.paths.add(path)
        layers = cells_from(module, take=torch.detach)
        unbatched = input.ndim == 2
        xs = input.unsqueeze(1) if unbatched else input.transpose(0, 1) if module.batch_first else input
        directions, kinds = len(layers[0]), len(layers[0][0].sizes)
        given = tuple(part.unsqueeze(1) if unbatched else part for part in _call_state(hx))
        cells = [cell for layer in layers for cell in layer]
        starts = [
            tuple(part[row].to(xs.dtype) for part in given) if given else _zeros(cell, xs.shape[1], like=xs)
            for row, cell in enumerate(cells)
        ]
        scans: list[Scan] = []
        below = xs.detach()
        inputs: list[Tensor] = []
        for layer in layers:
            taken = [below.flip(0) if direction else below for direction in range(directions)]
            made = [
                scan(cell, x, tuple(part.detach() for part in starts[len(scans) + direction]))
                for direction, (cell, x) in enumerate(zip(layer, taken, strict=True))
            ]
            scans += made
            inputs += taken
            hs = [one.states[0][1:] for one in made]
            below = hs[0] if directions == 1 else torch.cat([hs[0], hs[1].flip(0)], -1)
        output = below.clone().requires_grad_()
        last = tuple(torch.stack([one.states[part][-1] for one in scans]).requires_grad_() for part in range(kinds))
        tape.calls.append(LayerCall(xs, starts, scans, directions, output, last))
        rows: list[Trajectory] = []
        for row, (one, x) in enumerate(zip(scans, inputs, strict=True)):
            points = [Point(parts) for parts in zip(*(part.unbind(0) for part in one.states), strict=True)]
            trajectory = Trajectory(path, row // directions, row % directions, points, list(x.unbind(0)))
            trajectory.end, trajectory.stacked = points[-1].parts, one.states
            trajectory.constant_start = bool(given) and not any(part.requires_grad for part in given)
            rows.append(trajectory)
        record.continued(path, Link(), [tensors.key for tensors in RecurrentTensors.of(module, path)], rows)
        # Copies: what is a leaf may not be written to.
        y = output.clone()
        y = y.squeeze(1) if unbatched else y.transpose(0, 1) if module.batch_first else y
        parts = tuple(part.squeeze(1) if unbatched else part.clone() for part in last)
        return y, parts if kinds > 1 else parts[0]

    return forward


def _needs_graph(*_args: Any, **_kwargs: Any) -> Any:
    """Stand for a cell, whose calls are links of a chain that only the graph knows."""
    raise NeedsGraphError


@contextmanager
def _within_forwards(inside: Mapping[int, Callable[..., Any]]) -> Generator[None]:
    """Replace torch's forward, as ``super().forward`` finds it, for the modules with these ids."""

    def of(own: Callable[..., Any]) -> Callable[..., Any]:
        def forward(module: nn.Module, *args: Any, **kwargs: Any) -> Any:
            run = inside.get(id(module))
            return own(module, *args, **kwargs) if run is None else run(*args, **kwargs)

        return forward

    originals = {kind: kind.forward for kind in FUSED if inside}
    try:
        for kind, own in originals.items():
            setattr(kind, "forward", of(own))  # noqa: B010  (a method, which type checkers let nobody assign)
        yield
    finally:
        for kind, own in originals.items():
            setattr(kind, "forward", own)  # noqa: B010


@contextmanager
def unrolled(model: nn.Module, /, *, record: StateRecord | None = None, tape: Tape | None = None) -> Generator[None]:
    """Run every nn.RNN, GRU, LSTM and Cell inside a model in plain operations, or by scans, without dropout.

    Of a subclass with a forward of its own, the calls of torch's that it makes are run so, and the rest as it stands.
    """
    replaced: list[tuple[nn.Module, Any]] = []
    inside: dict[int, Callable[..., Any]] = {}
    try:
        for name, module in model.named_modules():
            if is_fused(module) or calls_own_layer(module):
                forward = _fused_forward(module, name, record)
                if record is not None and tape is not None:
                    forward = _taped_forward(module, name, record, tape)
                if calls_own_layer(module):
                    inside[id(module)] = forward
                    continue
            elif is_stepwise(module):
                forward = _stepwise_forward(module, name, record) if tape is None else _needs_graph
            else:
                continue
            replaced.append((module, module.__dict__.get("forward")))
            module.__dict__["forward"] = forward
        with _within_forwards(inside):
            yield
    finally:
        for module, original in replaced:
            # A forward set on the instance, as some wrappers do, comes back; else the one of the class.
            if original is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = original
