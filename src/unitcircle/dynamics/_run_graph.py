"""The autograd graph of one run: its nodes in the order of execution, each with the loops of the program around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, Node

from unitcircle.dynamics._program_loops import ProgramLoops

LOOKUPS = ("Embedding", "Index", "Gather", "Take")
"""Beginnings of the names of nodes that read what an integer tensor says: another entry at each step."""


PARALLEL = {"LogcumsumexpBackward0": "torch.logcumsumexp", "CumprodBackward0": "torch.cumprod"}
"""Nodes that run a linear recurrence as one operation along time, as minGRU does, and the functions that make them."""


class Value(NamedTuple):
    """A tensor of the run: an output of a node."""

    node: int
    output: int


class Place(NamedTuple):
    """A node within an iteration, the same for the corresponding node of another iteration."""

    position: int
    occurrence: int
    name: str
    ordinal: int


@dataclass(frozen=True, eq=False)
class RunGraph:
    """The nodes that lead to some tensors, in the order of execution.

    Attributes
    ----------
    nodes
        The nodes; the leaves, which stand for parameters and inputs, first.
    edges
        Node → its inputs, None where an input needs no gradient.
    operations
        Node → the operation that made it, or −1 for a leaf and for what was made after the run.
    leaves
        Node → the name of the parameter or buffer, or an empty name for another leaf.
    program
        Where the operations stand.
    parameters
        Names of the leaves that are parameters; the others are buffers.
    """

    nodes: Sequence[Any]
    edges: Sequence[tuple[Value | None, ...]]
    operations: Sequence[int]
    leaves: Mapping[int, str]
    program: ProgramLoops
    parameters: Collection[str]

    @classmethod
    def of(
        cls, roots: Iterable[Tensor], program: ProgramLoops, names: Mapping[int, str], parameters: Collection[str], /
    ) -> RunGraph:
        """Return the graph behind tensors; ``names`` has the name of every leaf by the ``id`` of its tensor."""
        found: set[Any] = set()
        waiting: list[Any] = [root.grad_fn for root in roots if root.grad_fn is not None]
        while waiting:
            node = waiting.pop()
            if node in found:
                continue
            found.add(node)
            waiting += [parent for parent, _ in node.next_functions if parent is not None and parent not in found]
        leaves = [node for node in found if hasattr(node, "variable")]
        others = sorted((node for node in found if not hasattr(node, "variable")), key=_number)
        nodes = [*leaves, *others]
        index = {node: k for k, node in enumerate(nodes)}
        edges = [
            tuple(None if parent is None else Value(index[parent], k) for parent, k in node.next_functions)
            for node in nodes
        ]
        operations = [-1] * len(leaves) + [program.operation(_number(node)) for node in others]
        named = {index[leaf]: names.get(id(leaf.variable), "") for leaf in leaves}
        return cls(nodes, edges, operations, named, program, parameters)

    def edge(self, value: Value, /) -> GradientEdge:
        """Return a tensor of the run in the form in which autograd differentiates by it."""
        node: Node = self.nodes[value.node]
        return GradientEdge(node, value.output)

    def shape(self, value: Value, /) -> tuple[int, ...]:
        """Return the shape of a tensor of the run."""
        return tuple(self.nodes[value.node]._input_metadata[value.output].shape)

    def kind(self, value: Value, /) -> tuple[torch.dtype, torch.device]:
        """Return element type and device of a tensor of the run."""
        metadata = self.nodes[value.node]._input_metadata[value.output]
        return metadata.dtype, metadata.device

    def name(self, node: int, /) -> str:
        """Return what a node computes: ``"AddmmBackward0"``."""
        return self.nodes[node].name()

    def reads_by_index(self, node: int, /) -> bool:
        """Return whether a node reads what an integer tensor says."""
        return self.name(node).startswith(LOOKUPS)

    def indices(self, node: int, /) -> tuple[Any, ...]:
        """Return which part of a tensor a node reads."""
        return tuple(getattr(self.nodes[node], f"_saved_{name}", None) for name in ("index", "start", "end"))

    @cached_property
    def sizes(self) -> Mapping[str, tuple[bool, int]]:
        """Leaf → whether it is a parameter, and its number of entries."""
        return {
            name: (name in self.parameters, self.nodes[leaf].variable.numel())
            for leaf, name in self.leaves.items()
            if name
        }

    @cached_property
    def weights(self) -> Sequence[frozenset[str]]:
        """Node → names of the parameters that it is computed from, if from nothing else."""
        result: list[frozenset[str]] = []
        for node, parents in enumerate(self.edges):
            if node in self.leaves:
                result.append(frozenset({self.leaves[node]} - {""}))
                continue
            sources = [result[parent.node] for parent in parents if parent is not None]
            pure = bool(sources) and all(sources) and not self.reads_by_index(node)
            result.append(frozenset().union(*sources) if pure else frozenset())
        return result

    def behind(self, values: Iterable[Value], /) -> set[int]:
        """Return the nodes that tensors of the run are computed from, with their own."""
        waiting = [value.node for value in values]
        seen = set(waiting)
        while waiting:
            new = {value.node for value in self.edges[waiting.pop()] if value is not None} - seen
            seen |= new
            waiting += new
        return seen

    def sources(self, value: Value, /) -> list[str]:
        """Return the parameters and buffers that a tensor of the run is computed from."""
        return sorted({self.leaves[node] for node in self.behind([value]) if node in self.leaves} - {""})

    def parallel(self) -> tuple[str, ...]:
        """Return the functions that run a recurrence in parallel, of values that parameters act on."""
        found = {PARALLEL[name]: node for node in range(len(self.nodes)) if (name := self.name(node)) in PARALLEL}
        return tuple(name for name, node in found.items() if self.sources(Value(node, 0)))

    def longest_chains(self) -> dict[str, int]:
        """Return matrix or kernel → how often it is applied, one after the other, on the longest way."""
        # Vectors are left out: networks in depth share normalizations and biases.
        matrices = {leaf: name for leaf, name in self.leaves.items() if self.nodes[leaf].variable.ndim > 1}
        uses = Counter(matrices.get(v.node, "") for edges in self.edges for v in edges if v is not None)
        chains: dict[str, int] = {}
        for name in (name for name, number in uses.items() if name and number > 2):
            applied: list[int] = []
            for parents in self.edges:
                nodes = [value.node for value in parents if value is not None]
                before = max((applied[node] for node in nodes if not self.weights[node]), default=0)
                applied.append(before + any(name in self.weights[node] for node in nodes))
            chains[name] = max((n for n, weights in zip(applied, self.weights, strict=True) if not weights), default=0)
        return chains

    def places(self, iterations: Mapping[int, int], /) -> dict[int, Place]:
        """Return the place of every node in the iterations of a loop, given as operation → iteration."""
        seen: Counter[tuple[int, int]] = Counter()
        occurrence: dict[int, int] = {}
        for operation, iteration in iterations.items():
            key = (iteration, self.program.positions[operation])
            occurrence[operation] = seen[key]
            seen[key] += 1
        ordinals: Counter[tuple[int, str]] = Counter()
        places: dict[int, Place] = {}
        for node, operation in enumerate(self.operations):
            if operation not in iterations:
                continue
            name = self.name(node)
            ordinal = ordinals[operation, name]
            ordinals[operation, name] += 1
            places[node] = Place(self.program.positions[operation], occurrence[operation], name, ordinal)
        return places


def _number(node: Any) -> int:
    return node._sequence_nr()
