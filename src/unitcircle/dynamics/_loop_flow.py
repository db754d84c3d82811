"""Gradients by lag at the states of hand-written recurrences, by vector-Jacobian products in the graph of one run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from math import log
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from unitcircle.dynamics._flow_by_lag import GradientFlow, Norm
from unitcircle.dynamics._lag_curves import by_lag, log_mean_square, norms, unread
from unitcircle.dynamics._loop_recurrences import LoopRecurrence
from unitcircle.dynamics._run_graph import RunGraph, Value

Gradients = Mapping[Value, Tensor]
"""Gradients at tensors of the run, of those that have one."""
Outputs = tuple[Sequence[Tensor] | Sequence[GradientEdge], Sequence[Tensor | None]]
"""What is differentiated, and its cotangents."""


class End(NamedTuple):
    """A tensor of the last state of some sequences."""

    value: Value
    axis: int | None = None  # Of the batch
    rows: Tensor | None = None  # (B,): which sequences end there; None for all

    def of_rows(self, cotangent: Tensor, /) -> Tensor:
        """Return a cotangent with zeros at the other sequences."""
        if self.rows is None or self.axis is None:
            return cotangent
        shape = [-1 if axis == self.axis else 1 for axis in range(cotangent.ndim)]
        return cotangent * self.rows.to(cotangent).view(shape)


@dataclass(frozen=True, eq=False)
class GraphDerivatives:
    """Differentiates inside the graph of a run."""

    graph: RunGraph
    generator: torch.Generator

    def signs(self, ends: Iterable[End], /) -> Outputs:
        """Return tensors of the run with random signs as their cotangents."""
        edges: list[GradientEdge] = []
        cotangents: list[Tensor] = []
        for end in ends:
            shape, generator = self.graph.shape(end.value), self.generator
            dtype, device = self.graph.kind(end.value)
            drawn = [
                2 * torch.randint(0, 2, shape, generator=generator, device=generator.device) - 1
                for _ in range(1 + dtype.is_complex)
            ]
            signs = drawn[0] + 1j * drawn[1] if dtype.is_complex else drawn[0]
            cotangents.append(end.of_rows(signs.to(dtype).to(device)))
            edges.append(self.graph.edge(end.value))
        return edges, cotangents

    def units(self, slots: Sequence[Sequence[End]], /) -> Iterator[Outputs]:
        """Yield tensors of the run with each unit cotangent of a sequence, the same for all that a slot holds."""
        ends = [end for slot in slots for end in slot]
        edges = [self.graph.edge(end.value) for end in ends]
        kinds = [self.graph.kind(end.value) for end in ends]
        zeros = [torch.zeros(self.graph.shape(end.value), dtype=kind[0], device=kind[1])
                 for end, kind in zip(ends, kinds, strict=True)]  # fmt: skip
        place = 0
        for slot in slots:
            inside = range(place, place + len(slot))
            place += len(slot)
            first = zeros[inside[0]]
            shape = [size for axis, size in enumerate(first.shape) if axis != slot[0].axis]
            for entry in product(*map(range, shape)):
                for unit in (1, 1j) if first.is_complex() else (1,):
                    cotangents = list(zeros)
                    for k in inside:
                        one, axis = zeros[k].clone(), ends[k].axis
                        (one if axis is None else one.movedim(axis, -1))[entry] = torch.tensor(unit)
                        cotangents[k] = ends[k].of_rows(one)
                    yield edges, cotangents

    def one_index(self, values: Sequence[Value], axes: Sequence[int], index: int, /) -> Outputs:
        """Return tensors of the run with cotangents that are 0 at all other indices of an axis."""
        cotangents: list[Tensor] = []
        for value, axis in zip(values, axes, strict=True):
            dtype, device = self.graph.kind(value)
            cotangent = torch.zeros(self.graph.shape(value), dtype=dtype, device=device)
            part = cotangent.select(axis, index)
            # The gradient of a sum over normalized values is 0.
            part.copy_(torch.arange(1, part.numel() + 1).cos().view(part.shape))
            cotangents.append(cotangent)
        return [self.graph.edge(value) for value in values], cotangents

    def at(self, values: Collection[Value], of: Outputs, /) -> Gradients:
        """Return the gradients of outputs with cotangents, at tensors of the run."""
        outputs, cotangents = of
        if not outputs or not values:
            return {}
        edges = [self.graph.edge(value) for value in values]
        gradients: Any = torch.autograd.grad(outputs, edges, cotangents, retain_graph=True, allow_unused=True)
        return {value: gradient for value, gradient in zip(values, gradients, strict=True) if gradient is not None}


@dataclass(frozen=True, eq=False)
class StateLayout:
    """The tensors of a recurrence's state: their shapes, and the axis of the batch in each.

    Attributes
    ----------
    shapes
        Shapes after the last step.
    axes
        Shape → axis of the batch; empty where there is none, or its elements depend on one another.
    batch
        Number of sequences.
    """

    shapes: tuple[tuple[int, ...], ...]
    axes: Mapping[tuple[int, ...], int]
    batch: int

    @classmethod
    def of(cls, one: LoopRecurrence, sizes: Sequence[int], derivatives: GraphDerivatives, /) -> StateLayout:
        """Return the layout of a state; ``sizes`` are those of the first two axes of the inputs."""
        states = one.states[0]
        last = next((state for state in reversed(states) if state), ())
        shapes = tuple(derivatives.graph.shape(value) for value in last)
        # Of a state whose last values are not all read, earlier steps hold more tensors.
        every = {derivatives.graph.shape(value) for state in states[1:] for value in state}
        # One of the first two axes of the inputs is time, most likely the one whose length is the number of steps.
        steps = len(states) - 1
        for size in sorted(sizes, key=lambda n: (n == steps, sum(n != shape[0] for shape in shapes if shape))):
            # As many layers as sequences: the axis of the layers comes first in a stack of their states.
            for occurrence in range(min((shape.count(size) for shape in every), default=0)):
                axes = {shape: [k for k, length in enumerate(shape) if length == size][occurrence] for shape in every}
                layout = cls(shapes, axes, size)
                if layout._is_separate(last, states, derivatives):
                    return layout
        return cls(shapes, {}, 1)

    def _is_separate(
        self, last: Sequence[Value], states: Sequence[Sequence[Value]], derivatives: GraphDerivatives
    ) -> bool:
        """Return whether the first and the last element of the batch of the last state depend on no other element."""
        # Of layers, which are no batch, the first depends on no other, and the last on all of them.
        values = {value: self.axes.get(derivatives.graph.shape(value)) for state in states for value in state}
        for index, others in ((0, 1), (self.batch - 1, 0)):
            one = derivatives.one_index(last, [self.axes[shape] for shape in self.shapes], index)
            for value, gradient in derivatives.at(values, one).items():
                axis = values[value]
                if axis is not None and bool(gradient.narrow(axis, others, gradient.shape[axis] - 1).any()):
                    return False
        return True

    def lengths(self, gradient: Tensor, /) -> Tensor:
        """Return the norm of a gradient for each sequence of the batch."""
        axis = self.axes.get(tuple(gradient.shape))
        rows = gradient.flatten().unsqueeze(0) if axis is None else gradient.movedim(axis, 0).flatten(1)
        return norms(rows).cpu()

    def ends(self, one: LoopRecurrence, read: GradientFlow, graph: RunGraph, /) -> list[list[End]]:
        """Return the last states of all sequences; what has the same place in them, for all sequences, is one slot."""
        slots: list[list[End]] = []
        for states, steps in zip(one.states, self._by_execution(one, read), strict=True):
            at = np.unique(steps)
            rows = [None if len(at) == 1 else torch.from_numpy(steps == step) for step in at]
            found = [
                [End(value, self.axes.get(graph.shape(value)), which) for value in states[step]]
                for step, which in zip(at, rows, strict=True)
            ]
            alike = len({tuple(graph.shape(end.value) for end in ends) for ends in found}) == 1
            slots += map(list, zip(*found, strict=True)) if alike else [[end] for ends in found for end in ends]
        return slots

    def jacobian(
        self, one: LoopRecurrence, probes: int, derivatives: GraphDerivatives, read: GradientFlow, /
    ) -> GradientFlow:
        """Return the norms of the Jacobian of the last state that is read; exact if probes suffice."""
        values = one.values
        slots, last = self.ends(one, read, derivatives.graph), self._by_execution(one, read)
        units = list(islice(derivatives.units(slots), probes + 1))
        if len(units) > probes:
            ends = [end for slot in slots for end in slot]
            products = [derivatives.at(values, derivatives.signs(ends)) for _ in range(probes)]
            return self.flow(one, products, "jacobian", last)
        flow = self.flow(one, [derivatives.at(values, unit) for unit in units], "jacobian", last)
        # The sum over the units, not their mean.
        return replace(flow, log_norms=flow.log_norms + 0.5 * log(len(units)), stderr=np.zeros_like(flow.stderr))

    def flow(
        self,
        one: LoopRecurrence,
        gradients: Sequence[Gradients],
        norm: Norm,
        last: Sequence[np.ndarray] | None = None,
        /,
        *,
        given: Tensor | None = None,
    ) -> GradientFlow:
        """Return norms by lag, of the mean square over the gradients."""
        # ``last`` are the steps after which sequences end; without it what the gradients, or the lengths, tell.
        columns = [self._by_step(states, gradients) for states in one.states]
        if last is None:
            last = [self._last(curve, given) for curve, _ in columns]
        for states, column in zip(one.states, columns, strict=True):
            if not states[0]:
                for part in column:
                    part[0] = np.nan
        longest = max(int(steps.max()) for steps in last)
        whole, error = (
            np.concatenate(
                [
                    _padded(by_lag(column[part], [np.arange(step, -1, -1) for step in steps]), longest + 1)
                    for column, steps in zip(columns, last, strict=True)
                ],
                -1,
            )[:, None]
            for part in (0, 1)
        )
        cuts = tuple(sorted(longest - step for step in one.cuts))
        return GradientFlow((one.name,), whole, {}, error, norm, (np.concatenate(list(last)),), (cuts,), (1,))

    @staticmethod
    def _by_execution(one: LoopRecurrence, read: GradientFlow) -> list[np.ndarray]:
        """Return after how many steps the last state of each sequence is made, in each execution of the loop."""
        # Nothing reads what the last step makes where a loop returns what it computes before its update.
        steps = np.split(read.lengths[0], len(one.states))
        made = [np.maximum.accumulate([k if state else 0 for k, state in enumerate(states)]) for states in one.states]
        return [of[last] for of, last in zip(made, steps, strict=True)]

    def _last(self, curve: np.ndarray, given: Tensor | None) -> np.ndarray:
        """Return the step after which each sequence ends."""
        steps = len(curve) - 1
        fits = given is not None and len(given) == self.batch and 1 <= int(given.min()) <= int(given.max()) <= steps
        rows = [np.arange(steps + 1)] * self.batch
        return steps - unread(curve, rows, given.numpy() if given is not None and fits else None)[0]

    def _by_step(
        self, states: Sequence[Sequence[Value]], gradients: Sequence[Gradients]
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = torch.zeros(len(states), len(gradients), self.batch, dtype=torch.float64)
        for step, state in enumerate(states):
            for k, gradient in enumerate(gradients):
                for value in state:
                    if value in gradient:
                        lengths[step, k] = torch.hypot(lengths[step, k], self.lengths(gradient[value]))
        return log_mean_square(lengths.numpy())


def _padded(curve: np.ndarray, length: int) -> np.ndarray:
    return np.pad(curve, ((0, length - len(curve)), (0, 0)), constant_values=np.nan)


def tops(recurrences: Sequence[LoopRecurrence], graph: RunGraph, /) -> Sequence[LoopRecurrence]:
    """Return the recurrences that no other one reads, or all where each is read."""
    behind = [graph.behind(one.values) for one in recurrences]
    made = [{v.node for states in one.states for state in states[1:] for v in state} for one in recurrences]
    found = [
        one
        for k, one in enumerate(recurrences)
        if not any(made[k] & nodes for j, nodes in enumerate(behind) if j != k)
    ]  # fmt: skip
    return found or recurrences
