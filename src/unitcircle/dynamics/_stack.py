"""Recurrences of torch's own layers and cells, with Jacobians in closed form."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from unitcircle.dynamics._cells import State, TorchCell, times
from unitcircle.dynamics._layers import FUSED, cell_from, cells_from, run_layers
from unitcircle.dynamics._numpy_scans import in_numpy
from unitcircle.dynamics._recurrence import Linearization, Recurrence
from unitcircle.dynamics._row_pushes import RowPushes, row_pushes
from unitcircle.dynamics._scans import run_cell
from unitcircle.errors import ArgumentError, ShapeError
from unitcircle.torch import real


class StackRecurrence(Recurrence):
    """A stack of standard cells, each driven by the output of the one below, as one recurrence."""

    def __init__(
        self,
        module: nn.RNNBase | nn.RNNCellBase,
        *,
        layer: int | None,
        direction: str,
        dtype: torch.dtype | None,
        alone: bool = False,
    ) -> None:
        """Take the layers below with a layer, or the layer ``alone``: then it takes its own inputs, as its steps do."""

        def take(weight: Tensor) -> Tensor:
            return weight.detach().to(dtype or weight.dtype, copy=True)

        self._below: list[list[TorchCell]] = []
        self._reverse = direction == "reverse"
        self.batch_first = False
        self._stepwise = isinstance(module, nn.RNNCellBase)
        if isinstance(module, FUSED):
            self.batch_first = module.batch_first
            layers = cells_from(module, take=take)
            if layer is None:
                self._cells = [cells[0] for cells in layers]
                if module.bidirectional:
                    self._cells = [layers[0][int(self._reverse)]]
            else:
                self._below = [] if alone else layers[:layer]
                self._cells = [layers[layer][int(self._reverse)]]
        elif isinstance(module, nn.RNNCellBase):
            self._cells = [cell_from(module, take=take)]
        if alone:
            self._reverse = self.batch_first = False
        self.name = type(module).__name__
        weight = self._cells[0].weight
        self.dtype, self.device = weight.dtype, weight.device
        self.input_size = (self._below[0][0] if self._below else self._cells[0]).input_weight.shape[-1]
        # Parts outermost, as torch's h_n and c_n are: h of every layer, then c of every layer.
        kinds = len(self._cells[0].sizes)
        order = [(part, k) for part in range(kinds) for k in range(len(self._cells))]
        self._order = order
        self._sizes = [self._cells[k].sizes[part] for part, k in order]
        self.state_size = sum(self._sizes)

    @property
    def parts(self) -> dict[str, slice]:
        """Where h and, for an LSTM, c are in the vector; of a stack the h of all layers are adjacent."""
        kinds = len(self._cells[0].sizes)
        widths = [len(self._cells) * size for size in self._cells[0].sizes]
        ends = list(accumulate(widths, initial=0))
        return {name: slice(ends[j], ends[j + 1]) for j, name in enumerate("hc"[:kinds])}

    @property
    def cells(self) -> list[TorchCell]:
        """The cells, lowest first."""
        return list(self._cells)

    def split(self, vectors: Tensor, axis: int, /) -> list[State]:
        """Return the states ``[layer]`` that vectors hold along an axis."""
        if len(self._sizes) == 1:
            return [(vectors,)]
        pieces = torch.split(vectors, self._sizes, axis)
        states: list[list[Tensor]] = [[] for _ in self._cells]
        for (_, k), piece in zip(self._order, pieces, strict=True):
            states[k].append(piece)
        return [tuple(state) for state in states]

    def join(self, states: Sequence[State], axis: int, /) -> Tensor:
        """Return the vectors that hold the states ``[layer]`` along an axis: the inverse of :meth:`split`."""
        pieces = [states[k][part] for part, k in self._order]
        return pieces[0] if len(pieces) == 1 else torch.cat(pieces, axis)

    def step(self, x: Tensor | None, state: Tensor, /) -> Tensor:
        below = state.new_zeros(len(state), self.input_size) if x is None else x
        states: list[State] = []
        for cell, layer_state in zip(self._cells, self.split(state, -1), strict=True):
            states.append(cell.advance(cell.drive(below), layer_state))
            below = states[-1][0]
        return self.join(states, -1)

    def _run(self, xs: Any, state: Tensor) -> Tensor:
        layers: list[State] = []
        for cell, layer_state in zip(self._cells, self.split(state, -1), strict=True):
            layers.append(run_cell(cell, xs, layer_state))
            xs = layers[-1][0][1:]
        return self.join(layers, -1)

    def linearize(self, xs: Tensor | None, states: Tensor, /) -> Linearization:
        return _StackLinearization(self, xs, states)

    def ravel(self, state: Any, /) -> Tensor:
        parts = state if isinstance(state, tuple | list) else (state,)
        kinds = len(self._cells[0].sizes)
        if len(parts) != kinds:
            raise ShapeError("state", f"must hold {' and '.join('hc'[:kinds])}", f"{len(parts)} tensors")
        pieces: list[Tensor] = []
        for part, tensor in enumerate(parts):
            n = self._cells[0].sizes[part]
            value = real(tensor, argument="state").detach().to(self.dtype, copy=True).to(self.device)
            if value.shape[-1:] != (n,) or value.numel() % (n * len(self._cells)):
                shape = f"({len(self._cells)}, B, {n})"
                raise ShapeError("state", f"must hold tensors of shape {shape} or {shape[1:]}", f"{tuple(value.shape)}")
            pieces.append(value.reshape(len(self._cells), -1, n).transpose(0, 1).flatten(1))
        return torch.cat(pieces, -1)

    def unravel(self, state: Tensor, /) -> Any:
        layers = self.split(state, -1)
        kinds = range(len(self._cells[0].sizes))
        if self._stepwise:
            parts = tuple(layers[0][part] for part in kinds)
        else:
            parts = tuple(torch.stack([state[part] for state in layers]) for part in kinds)
        return parts[0] if len(parts) == 1 else parts

    def initial(self, batch: int, state: Any = None, /) -> Tensor:
        if state is None:
            return torch.zeros(batch, self.state_size, dtype=self.dtype, device=self.device)
        return self.ravel(state)

    def sequence(self, inputs: Any, /) -> Tensor:
        if isinstance(inputs, int):
            xs = torch.zeros(inputs, 1, self.input_size, dtype=self.dtype, device=self.device)
        else:
            xs = real(inputs, argument="inputs").detach().to(self.device, self.dtype)
            layout = "(B, T, m)" if self.batch_first else "(T, B, m)"
            if xs.ndim not in {2, 3} or xs.shape[-1] != self.input_size:
                rule = f"must have shape {layout} or (T, m) with m = {self.input_size}"
                raise ShapeError("inputs", rule, f"shape {tuple(xs.shape)}")
            if xs.ndim == 2:
                xs = xs.unsqueeze(1)
            elif self.batch_first:
                xs = xs.transpose(0, 1)
        if not len(xs):
            raise ArgumentError("inputs", "must hold at least one step", "0")
        if self._below:
            zero = [
                [tuple(xs.new_zeros(xs.shape[1], size) for size in cell.sizes) for cell in cells]
                for cells in self._below
            ]
            xs, _ = run_layers(self._below, xs, zero)
        return xs.flip(0) if self._reverse else xs


class _StackLinearization(Linearization):
    """The Jacobians of a stack, from elementwise coefficients of every layer computed for all steps at once."""

    def __init__(self, recurrence: StackRecurrence, xs: Tensor | None, states: Tensor) -> None:
        super().__init__(len(states), states.shape[1], states.shape[2])
        self._recurrence = recurrence
        flat = states.flatten(0, 1)
        below = flat.new_zeros(len(flat), recurrence.input_size) if xs is None else xs.flatten(0, 1)
        self._coefficients: list[State] = []
        for cell, state in zip(recurrence.cells, recurrence.split(flat, -1), strict=True):
            drive = cell.drive(below)
            coefficients = cell.coefficients(drive, state)
            self._coefficients.append(tuple(c.unflatten(0, (self.steps, self.batch)) for c in coefficients))
            if cell is not recurrence.cells[-1]:
                below = cell.advance(drive, state)[0]

    def row_pushes(self) -> RowPushes | None:
        if len(self._coefficients) > 1 or not in_numpy(self._recurrence.cells[0].weight):
            return None
        return row_pushes(self._recurrence.cells[0], self._coefficients[0])

    def _apply(self, coefficients: Sequence[State], Q: Tensor) -> Tensor:
        tangents: list[State] = []
        below: Tensor | None = None
        layers = zip(self._recurrence.cells, coefficients, self._recurrence.split(Q, -2), strict=True)
        for cell, factors, tangent in layers:
            tangents.append(cell.push(factors, tangent, None if below is None else times(cell.input_weight, below)))
            below = tangents[-1][0]
        return self._recurrence.join(tangents, -2)

    def push(self, t: int, Q: Tensor, /) -> Tensor:
        return self._apply([tuple(c[t] for c in layer) for layer in self._coefficients], Q)

    def pull(self, t: int, Y: Tensor, /) -> Tensor:
        if len(self._coefficients) > 1:
            return super().pull(t, Y)
        (cell,), (factors,) = self._recurrence.cells, self._coefficients
        (cotangent,) = self._recurrence.split(Y, -2)
        return self._recurrence.join([cell.pull(tuple(c[t] for c in factors), cotangent)], -2)

    def dense(self, start: int, stop: int, /) -> Tensor:
        first = self._coefficients[0][0]
        eye = torch.eye(self.state_size, dtype=first.dtype, device=first.device).unsqueeze(0)
        layers = [tuple(c[start:stop].flatten(0, 1) for c in layer) for layer in self._coefficients]
        J = self._apply(layers, eye)
        return J.reshape(stop - start, self.batch, self.state_size, self.state_size)

    def log_determinant(self) -> Tensor:
        # The Jacobian of a stack is block triangular in its layers.
        layers = [cell.log_determinant(c) for cell, c in zip(self._recurrence.cells, self._coefficients, strict=True)]
        closed = [determinant for determinant in layers if determinant is not None]
        if len(closed) < len(layers):
            return super().log_determinant()
        return torch.stack(closed).sum(0)
