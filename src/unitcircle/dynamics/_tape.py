"""The calls of fused layers in one run of a model, cut out of its graph: each is differentiated by its scans."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from unitcircle.dynamics._cells import State
from unitcircle.dynamics._scans import Scan


class NeedsGraphError(BaseException):
    """A call whose states must be part of the graph; no handler of a model may catch it."""


@dataclass(frozen=True, eq=False)
class LayerCall:
    """One call of a fused layer: what it was given and what it returned, in the graph; between them are the scans."""

    inputs: Tensor  # (T, B, m)
    start: Sequence[State]  # The initial state of every row
    scans: Sequence[Scan]  # One row a layer and direction, in torch's order
    directions: int
    output: Tensor  # (T, B, directions · p): a leaf
    last: State  # (rows, B, n) each: leaves

    @property
    def leaves(self) -> State:
        """What the rest of the model reads."""
        return (self.output, *self.last)

    def pull(
        self, of: Mapping[int, Tensor], ends: Mapping[int, tuple[Tensor, Tensor]], count: int, /, *, inputs: bool
    ) -> tuple[Tensor | None, list[State]]:
        """Return the gradients of the ``inputs`` if asked for, and those of the states of every row.

        Parameters
        ----------
        of
            Leaf, by its id → its cotangents ``(K, ...)``.
        ends
            Row → the steps ``(B,)`` after which each sequence ends, and cotangents ``(K, B, p)`` of its h there.
        count
            K.
        inputs
            Whether those of the inputs are asked for.

        Returns
        -------
        tuple
            ``(T, K, B, m)``, and ``(T + 1, K, B, n)`` for each row and part.
        """
        given = of.get(id(self.output))
        above = None if given is None else given.transpose(0, 1)
        found: list[State] = []
        for first in range(len(self.scans) - self.directions, -1, -self.directions):
            layer = self.scans[first : first + self.directions]
            parts = [None] * self.directions if above is None else above.chunk(self.directions, -1)
            rows = [
                scan.pull(*self._of_row(first + k, count, part, of, ends.get(first + k)))
                for k, (scan, part) in enumerate(zip(layer, parts, strict=True))
            ]
            found = rows + found
            if not first and not inputs:
                return None, found
            below = [_reversed(scan.pull_inputs(row), k) for k, (scan, row) in enumerate(zip(layer, rows, strict=True))]
            above = below[0] if len(below) == 1 else below[0] + below[1]
        return above, found

    def _of_row(
        self, row: int, count: int, above: Tensor | None, of: Mapping[int, Tensor], end: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, Tensor | None]:
        """Return the cotangents of every h of a row, and of its last c."""
        states = self.scans[row].states[0]
        if above is None:
            h = states.new_zeros(len(states), count, *states.shape[1:])
        else:
            h = torch.cat([above.new_zeros(1, *above.shape[1:]), _reversed(above, row % self.directions)])
        finals = [None if (g := of.get(id(leaf))) is None else g[:, row] for leaf in self.last]
        if finals[0] is not None:
            h[-1] += finals[0]
        if end is not None:
            steps, cotangent = end
            h[steps, :, torch.arange(len(steps), device=h.device)] += cotangent.transpose(0, 1)
        return h, finals[1] if len(finals) > 1 else None


def _reversed(values: Tensor, direction: int) -> Tensor:
    """Return values of every step in the order in which a direction takes them."""
    return values.flip(0) if direction else values


class Tape:
    """The calls of a run in their order."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self.paths: set[str] = set()

    def pull(
        self, of: Mapping[int, Tensor], ends: Mapping[tuple[int, int], tuple[Tensor, Tensor]], count: int, /
    ) -> dict[tuple[int, int], State]:
        """Return the gradients of the states of the rows that are reached.

        Parameters
        ----------
        of
            Leaf, by its id → its cotangents ``(K, ...)``.
        ends
            Call and row → the steps ``(B,)`` after which its sequences end, and cotangents ``(K, B, p)`` of h there.
        count
            K.

        Returns
        -------
        dict
            Call and row → ``(T + 1, K, B, n)`` for each part of the state.
        """
        pending = dict(of)
        found: dict[tuple[int, int], State] = {}
        with torch.no_grad():
            for index in range(len(self.calls) - 1, -1, -1):
                call = self.calls[index]
                own = {row: cotangent for (k, row), cotangent in ends.items() if k == index}
                if not own and not any(id(leaf) in pending for leaf in call.leaves):
                    continue
                wanted = index > 0 and call.inputs.requires_grad
                inputs, rows = call.pull(pending, own, count, inputs=wanted)
                found |= {(index, row): gradients for row, gradients in enumerate(rows)}
                self._pass_on(index, inputs, rows, pending)
        return found

    def _pass_on(self, index: int, inputs: Tensor | None, rows: Sequence[State], pending: dict[int, Tensor]) -> None:
        """Add the gradients of what earlier calls returned."""
        call = self.calls[index]
        earlier = [leaf for one in self.calls[:index] for leaf in one.leaves]
        given = [] if inputs is None else [(call.inputs, inputs.transpose(0, 1))]
        for start, gradients in zip(call.start, rows, strict=True):
            given += [(s, g[0]) for s, g in zip(start, gradients, strict=True) if s.requires_grad]
        if not earlier or not given:
            return
        outputs, cotangents = zip(*given, strict=True)
        with torch.enable_grad():
            gradients = list[Tensor | None](
                torch.autograd.grad(
                    outputs, earlier, cotangents, is_grads_batched=True, allow_unused=True, retain_graph=True
                )
            )
        for leaf, gradient in zip(earlier, gradients, strict=True):
            if gradient is not None:
                pending[id(leaf)] = pending[id(leaf)] + gradient if id(leaf) in pending else gradient
