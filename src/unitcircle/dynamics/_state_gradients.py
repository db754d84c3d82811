"""Gradients with respect to the states of a run: by autograd, or by the scans of its calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from unitcircle.dynamics._lag_curves import LagCurves, lag_curves
from unitcircle.dynamics._scans import Scan
from unitcircle.dynamics._tape import Tape
from unitcircle.dynamics._trajectories import StateRecord, Trajectory


class StateGradients(ABC):
    """Differentiates what a model returned with respect to the states of its recurrent layers."""

    def __init__(self, record: StateRecord) -> None:
        self._record = record
        self._last: tuple[Tensor, dict[str, LagCurves]] | None = None

    def of_loss(self, loss: Tensor, lengths: Mapping[str, Tensor | None], /) -> dict[str, LagCurves]:
        """Return the curves of a loss, with the lengths that are given; of the same loss again, the same."""
        if self._last is None or self._last[0] is not loss:
            gradients = self._of_loss(loss)
            trajectories = self._record.trajectories.items()
            self._last = loss, {name: lag_curves(t, gradients, 1, False, lengths[name]) for name, t in trajectories}
        return self._last[1]

    @abstractmethod
    def _of_loss(self, loss: Tensor) -> dict[int, Tensor]: ...

    def differentiable(self, ends: dict[str, Tensor], /) -> dict[str, Tensor]:
        """Return those of the last outputs that depend on a state."""
        return ends

    @abstractmethod
    def of_ends(
        self,
        ends: Mapping[str, Tensor],
        cotangents: Sequence[Tensor],
        lengths: Mapping[str, Tensor | None],
        known: Mapping[int, Tensor],
        /,
    ) -> dict[int, Tensor]:
        """Return the products of cotangents ``(K, B, p)`` of the last outputs with the Jacobians, of new tensors."""


class GraphGradients(StateGradients):
    """By autograd: every state is a tensor of the graph, and has gradients ``(K, B, n)``."""

    def _of_loss(self, loss: Tensor) -> dict[int, Tensor]:
        points = [point for t in self._record.trajectories.values() for point in t.points]
        made = {
            id(part): own for point in points for part, own in zip(point.parts, point.made or point.parts, strict=True)
        }
        leaves = {key: own for key, own in made.items() if own.requires_grad}
        gradients = _at(list({id(own): own for own in leaves.values()}.values()), loss)
        return {key: gradients[id(own)] for key, own in leaves.items() if id(own) in gradients}

    def differentiable(self, ends: dict[str, Tensor], /) -> dict[str, Tensor]:
        return {name: end for name, end in ends.items() if end.requires_grad}

    def of_ends(
        self,
        ends: Mapping[str, Tensor],
        cotangents: Sequence[Tensor],
        lengths: Mapping[str, Tensor | None],  # noqa: ARG002  (the ends are tensors of the graph)
        known: Mapping[int, Tensor],
        /,
    ) -> dict[int, Tensor]:
        leaves = [leaf for leaf in self._leaves() if id(leaf) not in known]
        if not leaves:
            return {}
        derivatives = list[Tensor | None](
            torch.autograd.grad(
                list(ends.values()), leaves, cotangents, is_grads_batched=True, allow_unused=True, retain_graph=True
            )
        )
        return {id(leaf): g for leaf, g in zip(leaves, derivatives, strict=True) if g is not None}

    def _leaves(self) -> list[Tensor]:
        """Return every tensor that holds a state and is part of the graph, once."""
        states = (part for t in self._record.trajectories.values() for part in t.tensors)
        return list({id(part): part for part in states if part.requires_grad}.values())


class TapeGradients(StateGradients):
    """By scans: the states of a trajectory are one tensor for each part, and have gradients ``(T + 1, K, B, n)``."""

    def __init__(self, record: StateRecord, tape: Tape) -> None:
        super().__init__(record)
        self._tape = tape

    def _of_loss(self, loss: Tensor) -> dict[int, Tensor]:
        leaves = [leaf for call in self._tape.calls for leaf in call.leaves]
        return self._by_tensor(_at(leaves, loss), {}, 1, total=True)

    def of_ends(
        self,
        ends: Mapping[str, Tensor],
        cotangents: Sequence[Tensor],
        lengths: Mapping[str, Tensor | None],
        known: Mapping[int, Tensor],
        /,
    ) -> dict[int, Tensor]:
        placed: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}
        count = len(cotangents[0])
        for (name, end), cotangent in zip(ends.items(), cotangents, strict=True):
            trajectory = self._record.trajectories[name]
            steps = lengths[name]
            at = torch.full((len(end),), trajectory.steps) if steps is None else steps.long()
            placed[self._row_of(trajectory)] = at.to(end.device), cotangent
        found = self._by_tensor({}, placed, count)
        return {key: gradient for key, gradient in found.items() if key not in known}

    def _row_of(self, trajectory: Trajectory) -> tuple[int, int]:
        for index, call in enumerate(self._tape.calls):
            for row, scan in enumerate(call.scans):
                if scan.states is trajectory.stacked:
                    return index, row
        raise AssertionError(trajectory.path)

    def _by_tensor(
        self,
        of: Mapping[int, Tensor],
        ends: Mapping[tuple[int, int], tuple[Tensor, Tensor]],
        count: int,
        *,
        total: bool = False,
    ) -> dict[int, Tensor]:
        found: dict[int, Tensor] = {}
        for (index, row), gradients in self._tape.pull(of, ends, count).items():
            scan = self._tape.calls[index].scans[row]
            if total:
                scan.make_total(gradients)
            found |= {id(part): gradient for part, gradient in zip(scan.states, gradients, strict=True)}
        return found


class ScanGradients(StateGradients):
    """By the scan of one cell whose whole state is one tensor ``(T + 1, B, N)``, of which the last is a leaf."""

    def __init__(self, record: StateRecord, scan: Scan, sizes: Sequence[int]) -> None:
        super().__init__(record)
        self._scan, self._sizes = scan, list(sizes)
        (self._trajectory,) = record.trajectories.values()

    def _of_loss(self, loss: Tensor) -> dict[int, Tensor]:
        return dict(self._pulled(gradient) for gradient in _at(self._trajectory.end, loss).values())

    def of_ends(
        self,
        ends: Mapping[str, Tensor],  # noqa: ARG002  (the one end)
        cotangents: Sequence[Tensor],
        lengths: Mapping[str, Tensor | None],  # noqa: ARG002
        known: Mapping[int, Tensor],  # noqa: ARG002
        /,
    ) -> dict[int, Tensor]:
        return dict([self._pulled(cotangents[0])])

    def _pulled(self, cotangent: Tensor) -> tuple[int, Tensor]:
        """Return the tensor of states, by its id, and its gradients ``(T + 1, K, B, N)``."""
        (states,) = self._trajectory.stacked
        with torch.no_grad():
            last = cotangent.split(self._sizes, -1)
            h = cotangent.new_zeros(len(states), *last[0].shape)
            h[-1] = last[0]
            gradients = self._scan.pull(h, *last[1:])
        return id(states), gradients[0] if len(gradients) == 1 else torch.cat(gradients, -1)


def _at(leaves: Sequence[Tensor], loss: Tensor) -> dict[int, Tensor]:
    """Return the gradients ``(1, ...)`` of a loss at the leaves that it depends on, by their ids."""
    if not loss.requires_grad:
        return {}
    derivatives = list[Tensor | None](torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True))
    return {id(leaf): g.unsqueeze(0) for leaf, g in zip(leaves, derivatives, strict=True) if g is not None}
