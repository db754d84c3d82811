"""Gradients by lag at the states of hand-written recurrences, by vector-Jacobian products in the graph of one run."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from math import log
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge

from unitcircle.dynamics._flow_by_lag import GradientFlow, Norm
from unitcircle.dynamics._lag_curves import log_mean_square, norms
from unitcircle.dynamics._loop_recurrences import LoopRecurrence
from unitcircle.dynamics._run_graph import RunGraph, Value

Gradients = Mapping[Value, Tensor]
"""Gradients at tensors of the run, of those that have one."""
Outputs = tuple[Sequence[Tensor] | Sequence[GradientEdge], Sequence[Tensor | None]]
"""What is differentiated, and its cotangents."""


@dataclass(frozen=True, eq=False)
class GraphDerivatives:
    """Differentiates inside the graph of a run."""

    graph: RunGraph
    generator: torch.Generator

    def signs(self, values: Collection[Value], /) -> Outputs:
        """Return tensors of the run with random signs as their cotangents."""
        cotangents: list[Tensor] = []
        for value in values:
            shape, generator = self.graph.shape(value), self.generator
            dtype, device = self.graph.kind(value)
            drawn = [
                2 * torch.randint(0, 2, shape, generator=generator, device=generator.device) - 1
                for _ in range(1 + dtype.is_complex)
            ]
            signs = drawn[0] + 1j * drawn[1] if dtype.is_complex else drawn[0]
            cotangents.append(signs.to(dtype).to(device))
        return [self.graph.edge(value) for value in values], cotangents

    def units(self, values: Sequence[Value], axes: Mapping[tuple[int, ...], int], /) -> Iterator[Outputs]:
        """Yield tensors of the run with each unit cotangent of a sequence, the same for all of a batch."""
        zeros = [
            torch.zeros(self.graph.shape(v), dtype=(kind := self.graph.kind(v))[0], device=kind[1]) for v in values
        ]
        edges = [self.graph.edge(value) for value in values]
        for k, zero in enumerate(zeros):
            axis = axes.get(tuple(zero.shape))
            shape = [size for place, size in enumerate(zero.shape) if place != axis]
            for entry in product(*map(range, shape)):
                for unit in (1, 1j) if zero.is_complex() else (1,):
                    one = zero.clone()
                    (one if axis is None else one.movedim(axis, -1))[entry] = torch.tensor(unit)
                    yield edges, [one if j == k else other for j, other in enumerate(zeros)]

    def first_index(self, values: Sequence[Value], axes: Sequence[int], /) -> Outputs:
        """Return tensors of the run with cotangents that are 1 at the first index of an axis and 0 elsewhere."""
        cotangents: list[Tensor] = []
        for value, axis in zip(values, axes, strict=True):
            dtype, device = self.graph.kind(value)
            cotangent = torch.zeros(self.graph.shape(value), dtype=dtype, device=device)
            cotangent.select(axis, 0).fill_(1)
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
        # One of the first two axes of the inputs is time, if its length is the number of steps.
        candidates = [size for size in sizes if size != len(states) - 1] or list(sizes)
        for size in sorted(candidates, key=lambda size: sum(size != shape[0] for shape in shapes if shape)):
            axes = [shape.index(size) if size in shape else -1 for shape in shapes]
            if shapes and -1 not in axes:
                layout = cls(shapes, dict(zip(shapes, axes, strict=True)), size)
                if layout._is_separate(last, states, derivatives):
                    return layout
        return cls(shapes, {}, 1)

    def _is_separate(
        self, last: Sequence[Value], states: Sequence[Sequence[Value]], derivatives: GraphDerivatives
    ) -> bool:
        """Return whether the first element of the batch of the last state depends on no other element."""
        values = {value: self.axes.get(derivatives.graph.shape(value)) for state in states for value in state}
        first = derivatives.first_index(last, [self.axes[shape] for shape in self.shapes])
        for value, gradient in derivatives.at(values, first).items():
            axis = values[value]
            if axis is not None and bool(gradient.narrow(axis, 1, gradient.shape[axis] - 1).any()):
                return False
        return True

    def lengths(self, gradient: Tensor, /) -> Tensor:
        """Return the norm of a gradient for each sequence of the batch."""
        axis = self.axes.get(tuple(gradient.shape))
        rows = gradient.flatten().unsqueeze(0) if axis is None else gradient.movedim(axis, 0).flatten(1)
        return norms(rows).cpu()

    def jacobian(self, one: LoopRecurrence, probes: int, derivatives: GraphDerivatives, /) -> GradientFlow:
        """Return the norms of the Jacobian of the last state; exact where it has no more entries than probes."""
        values = list(dict.fromkeys(value for states in one.states for state in states for value in state))
        ends = list(dict.fromkeys(value for states in one.states for value in states[-1]))
        units = list(islice(derivatives.units(ends, self.axes), probes + 1))
        if len(units) > probes:
            products = [derivatives.at(values, derivatives.signs(ends)) for _ in range(probes)]
            return self.flow(one, products, "jacobian")
        flow = self.flow(one, [derivatives.at(values, unit) for unit in units], "jacobian")
        # The sum over the units, not their mean.
        return replace(flow, log_norms=flow.log_norms + 0.5 * log(len(units)), stderr=np.zeros_like(flow.stderr))

    def flow(self, one: LoopRecurrence, gradients: Sequence[Gradients], norm: Norm, /) -> GradientFlow:
        """Return norms by lag, of the mean square over the gradients."""
        columns = [self._curve(states, gradients) for states in one.states]
        longest = max(len(curve) for curve, _ in columns)
        whole, error = (
            np.concatenate([_padded(column[part], longest) for column in columns], -1)[:, None] for part in (0, 1)
        )
        steps = np.concatenate([np.full(column[0].shape[1], len(column[0]) - 1) for column in columns])
        cuts = tuple(sorted(longest - 1 - step for step in one.cuts))
        return GradientFlow((one.name,), whole, {}, error, norm, (steps,), (cuts,), (1,))

    def _curve(
        self, states: Sequence[Sequence[Value]], gradients: Sequence[Gradients]
    ) -> tuple[np.ndarray, np.ndarray]:
        lengths = torch.zeros(len(states), len(gradients), self.batch, dtype=torch.float64)
        for lag, state in enumerate(reversed(states)):
            for k, gradient in enumerate(gradients):
                for value in state:
                    if value in gradient:
                        lengths[lag, k] = torch.hypot(lengths[lag, k], self.lengths(gradient[value]))
        curve, error = log_mean_square(lengths.numpy())
        if not states[0]:
            curve[-1] = error[-1] = np.nan
        return curve, error


def _padded(curve: np.ndarray, length: int) -> np.ndarray:
    return np.pad(curve, ((0, length - len(curve)), (0, 0)), constant_values=np.nan)


def last_states(recurrences: Sequence[LoopRecurrence], graph: RunGraph, /) -> list[Value]:
    """Return the last states of the recurrences that no other one reads."""
    behind = [graph.behind([v for states in one.states for state in states for v in state]) for one in recurrences]
    made = [{v.node for states in one.states for state in states[1:] for v in state} for one in recurrences]
    tops = [
        one
        for k, one in enumerate(recurrences)
        if not any(made[k] & nodes for j, nodes in enumerate(behind) if j != k)
    ]  # fmt: skip
    return [value for one in tops or recurrences for states in one.states for value in states[-1]]
