"""Trajectories: the states of a layer along the calls that pass its last state on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from unitcircle.dynamics._cells import State


@dataclass(frozen=True, eq=False)
class Point:
    """The state of a layer after some number of steps."""

    parts: State  # Tensors of the model's graph
    row: int | None = None  # Where the layer's state is in these tensors ``(rows, B, n)``; None for all of ``(B, n)``
    elements: Tensor | None = None  # The elements of the batch in it; None for all of them, in order
    made: State = ()  # The parts as the step makes them, before they are passed on; empty where they are the same

    @property
    def values(self) -> State:
        """The parts of the state, each ``(B, n)``, outside of any graph."""
        parts = tuple(part.detach() for part in self.parts)
        return parts if self.row is None else tuple(part[self.row] for part in parts)


@dataclass(eq=False)
class Trajectory:
    """The states of one layer and direction of a module, in the order of its steps."""

    path: str
    layer: int
    direction: int
    points: list[Point]
    inputs: list[Tensor] = field(default_factory=list[Tensor])  # One a step, for the elements of the state after it
    end: State = ()  # The last state of every element, in the order of the batch
    calls: int = 0
    cuts: list[int] = field(default_factory=list[int])  # Steps after which the model detached the state
    constant_start: bool = False  # Whether the model passed an initial state that is not part of the graph
    begun: Tensor | None = None  # (B,): after how many steps the model last set the state of each sequence to 0
    changed: bool = False  # Whether the model changed a state between two calls
    stacked: State = ()  # The states of a scan in one tensor ``(T + 1, B, n)`` for each part, else none

    @property
    def steps(self) -> int:
        """The number of steps taken."""
        return len(self.points) - 1

    @property
    def batch(self) -> int:
        """The number of sequences."""
        return len(self.end[0])

    @property
    def tensors(self) -> Iterator[Tensor]:
        """The tensors whose gradients are those of the states."""
        return iter(self.stacked) if self.stacked else (part for point in self.points for part in point.parts)

    @property
    def _is_whole(self) -> bool:
        """Whether every sequence takes every step."""
        return bool(self.stacked) or all(point.elements is None for point in self.points)

    @property
    def lengths(self) -> Tensor | None:
        """The number of steps ``(B,)`` of each sequence; None where all take every step."""
        if self._is_whole:
            return None
        counts = torch.zeros(self.batch, dtype=torch.long)
        for point in self.points[1:]:
            counts[slice(None) if point.elements is None else point.elements.cpu()] += 1
        return counts

    def present(self) -> Tensor:
        """Return whether each sequence has a state after each number of steps, ``(T + 1, B)``."""
        if self._is_whole:
            return torch.ones(len(self.points), self.batch, dtype=torch.bool)
        mask = torch.zeros(len(self.points), self.batch, dtype=torch.bool)
        for t, point in enumerate(self.points):
            mask[t, slice(None) if point.elements is None else point.elements.cpu()] = True
        return mask

    def at_ends(self, lengths: Tensor | None, /) -> Tensor:
        """Return the output h ``(B, n)`` of every sequence after its last step, or after so many steps."""
        if lengths is None or self.lengths is not None:
            return self.end[0]
        rows = [point.parts[0] if point.row is None else point.parts[0][point.row] for point in self.points]
        rows[-1] = self.end[0]
        # Slices of the states that are read, not a stack of all: autograd need not visit the others.
        return torch.stack([rows[int(t)][b] for b, t in enumerate(lengths)])

    def until(self, steps: int) -> Trajectory:
        """Return a new trajectory with the same first states."""
        cuts = [cut for cut in self.cuts if cut < steps]
        return replace(self, points=self.points[: steps + 1], inputs=self.inputs[:steps], cuts=cuts)


@dataclass(frozen=True, eq=False)
class _End:
    """The last states of one call, of all the layers of a module."""

    chain: int
    steps: int
    values: State  # As the call returned them, detached


@dataclass(frozen=True, eq=False)
class Link:
    """How a call of a module begins: with a new state, or with the state at which an earlier call ended."""

    chain: int | None = None
    steps: int = 0
    detached: bool = False
    changed: bool = False


class StateRecord:
    """The trajectories of every recurrent layer during one run of a model."""

    def __init__(self) -> None:
        self.trajectories: dict[str, Trajectory] = {}
        self.last: tuple[str, int] | None = None  # Module and layer that made the newest output
        self._chains: dict[str, list[list[str]]] = {}  # Module → the trajectories of its rows, one list a chain
        self._ends: dict[str, dict[Any, _End]] = {}  # Module → node of a last state in the graph → its call
        self._newest: dict[str, list[_End]] = {}  # Module → the last call of every chain
        self._first: dict[str, int] = {}  # Module → number of the first node that a call ended with

    @property
    def top(self) -> list[Trajectory]:
        """The trajectories of the layer that made the newest output."""
        return [t for t in self.trajectories.values() if (t.path, t.layer) == self.last]

    def add(self, name: str, trajectory: Trajectory, /) -> str:
        """Add a trajectory under the name of its layer, or that name and a number from the second on."""
        key, uses = name, 1
        while key in self.trajectories:
            uses += 1
            key = f"{name}#{uses}"
        self.trajectories[key] = trajectory
        return key

    def link(self, path: str, state: State, /) -> Link:
        """Return which earlier call of a module ended with the initial state of a new one."""
        if not state or not self._newest.get(path):
            return Link()
        nodes = [part.grad_fn for part in state if part.grad_fn is not None]
        ends = list(_reached(nodes, self._ends[path], self._first.get(path, 0)))
        if ends:
            end = max(ends, key=lambda end: end.steps)
            same_shape = all(a.numel() == b.numel() for a, b in zip(state, end.values, strict=True))
            if not same_shape:  # other sequences, such as those that a beam search keeps
                return Link()
            changed = not _equal(state, end.values)
            zero = changed and not any(bool(part.detach().any()) for part in state)
            return Link() if zero else Link(end.chain, end.steps, changed=changed)
        for end in reversed(self._newest[path]):
            if _equal(state, end.values) and (any(bool(v.any()) for v in end.values) or _shared(state, end.values)):
                # Within torch.no_grad() nothing is connected, and no link is missing.
                return Link(end.chain, end.steps, detached=torch.is_grad_enabled())
        return Link()

    def continued(self, path: str, link: Link, names: Sequence[str], rows: Sequence[Trajectory], /) -> None:
        """Record a call: the trajectories of its rows, of which each begins with the initial state of the call."""
        chains = self._chains.setdefault(path, [])
        if link.chain is None:
            chains.append([self.add(name, row) for name, row in zip(names, rows, strict=True)])
            chain = len(chains) - 1
        else:
            chain = link.chain
            if link.steps < self.trajectories[chains[chain][0]].steps:  # the state was used before: a branch
                forks = [self.trajectories[key].until(link.steps) for key in chains[chain]]
                chains.append([self.add(name, fork) for name, fork in zip(names, forks, strict=True)])
                chain = len(chains) - 1
            for key, row in zip(chains[chain], rows, strict=True):
                self._extend(self.trajectories[key], row, link)
        for key in chains[chain]:
            self.trajectories[key].calls += 1
        self.last = (path, rows[-1].layer)

    def ended(self, path: str, link: Link, returned: State, /) -> None:
        """Record the last states of a call as the module returns them."""
        newest = self._newest.setdefault(path, [])
        keys = self._chains[path]
        branch = link.chain is None or len(keys) > len(newest)
        chain = len(keys) - 1 if branch else link.chain or 0
        trajectories = [self.trajectories[key] for key in keys[chain]]
        end = _End(chain, trajectories[0].steps, tuple(part.detach() for part in returned))
        if branch:
            newest.append(end)
        else:
            newest[chain] = end
        ends = self._ends.setdefault(path, {})
        for trajectory in trajectories:
            for part in (*trajectory.end, *trajectory.points[-1].parts):
                if part.grad_fn is not None:
                    ends[part.grad_fn] = end
                    self._first.setdefault(path, _number(part.grad_fn))

    @staticmethod
    def _extend(trajectory: Trajectory, call: Trajectory, link: Link) -> None:
        if link.detached:
            trajectory.cuts.append(trajectory.steps)
        if link.changed:
            trajectory.changed = True
            trajectory.points[-1] = call.points[0]
            values = call.points[0].values
            if all(len(part) == trajectory.batch for part in values):
                reset = ~torch.stack([part.flatten(1).any(1) for part in values]).any(0).cpu()
                begun = (
                    torch.zeros(trajectory.batch, dtype=torch.long) if trajectory.begun is None else trajectory.begun
                )
                trajectory.begun = torch.where(reset, trajectory.steps, begun)
        trajectory.points += call.points[1:]
        trajectory.inputs += call.inputs
        trajectory.end = call.end


def _number(node: Any) -> int:
    return int(node._sequence_nr())


def _reached(nodes: Sequence[Any], ends: dict[Any, _End], first: int) -> Iterator[_End]:
    """Yield the last states that nodes of the graph were computed from, without going back beyond them."""
    remaining, seen = list(nodes), set[Any]()
    while remaining:
        node = remaining.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in ends:
            yield ends[node]
        # Nodes are numbered as they are made: an older one does not depend on a newer one.
        elif not hasattr(node, "variable") and _number(node) >= first:
            remaining += [parent for parent, _ in node.next_functions]


def _equal(state: State, values: State) -> bool:
    """Whether a state has the values of an earlier one, whatever its precision and its axes of size 1."""
    return len(state) == len(values) and all(
        a.numel() == b.numel() and torch.equal(a.detach().reshape(b.shape).to(b.dtype), b)
        for a, b in zip(state, values, strict=True)
    )


def _shared(state: State, values: State) -> bool:
    """Whether a state is held in the memory of an earlier one."""
    pairs = zip(state, values, strict=True)
    return any(a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr() for a, b in pairs)
