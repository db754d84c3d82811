"""What one iteration of a loop makes and a later one reads: the values that the loop carries."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from unitcircle.dynamics._run_graph import Place, RunGraph, Value

SUMS = {"AddBackward0", "SubBackward0", "MaximumBackward0", "torch::autograd::CopySlices", "CatBackward0"}
"""Nodes that add to a running sum, maximum or list of results."""
SHARED = 0.5
"""Iterations that share more than this of what they read from outside do the same."""


class Variable(NamedTuple):
    """A variable that a loop carries: where in an iteration its value is made."""

    place: Place
    output: int


class CarriedValues:
    """The variables that one execution of a loop carries from iteration to iteration.

    Attributes
    ----------
    graph
        The graph of the run.
    iterations
        Operation → iteration, from 0.
    count
        Number of iterations.
    values
        Variable → iteration → the value that the iteration makes.
    """

    def __init__(self, graph: RunGraph, iterations: Mapping[int, int]) -> None:
        self.graph = graph
        self.iterations = iterations
        self.count = max(iterations.values()) + 1
        self.places = graph.places(iterations)
        self._readers: dict[Value, list[tuple[int, int]]] = defaultdict(list)
        self._last: dict[Value, int] = {}
        for node, slot, value in self._reads():
            self._readers[value].append((node, slot))
            self._last[value] = max(self._last.get(value, 0), self.iteration(node))
        self._of: dict[Value, Variable] = {}
        inside = [value for value in self._last if value.node in self.places]
        carried = {self._variable(value) for value in inside if self._last[value] > self.iteration(value.node)}
        nodes = {(self.iteration(node), place): node for node, place in self.places.items()}
        self._nodes = nodes
        self.values: dict[Variable, dict[int, Value]] = {}
        for variable in carried:
            made = {k: Value(nodes[k, variable.place], variable.output) for k in range(self.count)
                    if (k, variable.place) in nodes}  # fmt: skip
            if len({graph.shape(value) for value in made.values()}) == 1 and not self._is_sum(variable, made.values()):
                self.values[variable] = made
                self._of |= dict.fromkeys(made.values(), variable)

    def iteration(self, node: int, /) -> int:
        """Return the iteration of a node in the loop."""
        return self.iterations[self.graph.operations[node]]

    def _variable(self, value: Value) -> Variable:
        return Variable(self.places[value.node], value.output)

    def _reads(self) -> Iterator[tuple[int, int, Value]]:
        """Yield every node of the loop with the number and the value of each input."""
        for node in self.places:
            for slot, value in enumerate(self.graph.edges[node]):
                if value is not None:
                    yield node, slot, value

    def _is_sum(self, variable: Variable, values: Iterable[Value]) -> bool:
        """Return whether a variable is only added to: nothing in the loop reads it."""
        readers = [node for value in values for node, _ in self._readers[value]]
        return all(self.places[n] == variable.place and self.graph.name(n) in SUMS for n in readers)

    def repeats(self, *, exactly: bool) -> bool:
        """Return whether the iterations read the same parameters, or without any the same tensors."""
        weights: list[set[object]] = [set() for _ in range(self.count)]
        others: list[set[object]] = [set() for _ in range(self.count)]
        for node, _, value in self._reads():
            if value.node not in self.places:
                weights[self.iteration(node)] |= self.graph.weights[value.node]
                others[self.iteration(node)].add(value.node)
        read = weights if any(weights) else others
        pairs = [(a, b) for a, b in pairwise(read) if a and b]
        alike = sum(a == b if exactly else len(a & b) > SHARED * min(len(a), len(b)) for a, b in pairs)
        return alike >= max(2, SHARED * len(pairs))

    @cached_property
    def _varying(self) -> set[tuple[Place, int]]:
        """Inputs from outside that differ from iteration to iteration."""
        read: dict[tuple[Place, int], set[object]] = defaultdict(set)
        for node, slot, value in self._reads():
            if value.node not in self.places:
                new = self.graph.reads_by_index(node)
                read[self.places[node], slot].add((value, self.graph.indices(node), self.iteration(node) if new else 0))
        return {key for key, values in read.items() if len(values) > 1}

    @property
    def reads_sequence(self) -> bool:
        """Whether every iteration reads something new from outside."""
        return bool(self._varying)

    @cached_property
    def influences(self) -> Mapping[int, frozenset[Variable]]:
        """Node of the loop → the variables of earlier iterations that it depends on."""
        result: dict[int, frozenset[Variable]] = {}
        for node in self.places:  # in the order of execution
            sources: set[Variable] = set()
            for value in self.graph.edges[node]:
                if value is None or value.node not in self.places:
                    continue
                if self.iteration(value.node) == self.iteration(node):
                    sources |= result[value.node]
                elif value in self._of:
                    sources.add(self._of[value])
            result[node] = frozenset(sources)
        return result

    def groups(self) -> list[list[Variable]]:
        """Return the sets of variables that depend on one another, as h and c of one layer do, the first set first."""
        direct = {
            variable: set[Variable]().union(*(self.influences[value.node] for value in made.values()))
            for variable, made in self.values.items()
        }
        reach = {variable: _closure(variable, direct) for variable in direct}
        left = [variable for variable in reach if variable in reach[variable]]
        groups: list[list[Variable]] = []
        while left:
            first = left[0]
            group = [other for other in left if other in reach[first] and first in reach[other]]
            left = [other for other in left if other not in group]
            groups.append(sorted(group, key=self._first))
        return sorted(groups, key=lambda group: self._first(group[0]))

    def _first(self, variable: Variable) -> Value:
        return min(self.values[variable].values())

    def essential(self, group: list[Variable], /) -> list[Variable]:
        """Leave out what is a function of the rest and of constants, as a context read with h is."""
        essential = [variable for variable in group if not self._is_derived(variable, set(group) - {variable})]
        return essential or group

    def _is_derived(self, variable: Variable, others: set[Variable]) -> bool:
        return all(self._is_function_of(others, value, k) for k, value in self.values[variable].items())

    def _is_function_of(self, others: set[Variable], made: Value, iteration: int) -> bool:
        """Return whether a value depends on the values that other variables have after its iteration, and no more."""
        waiting, seen = [made.node], {made.node}
        while waiting:
            node = waiting.pop()
            for slot, value in enumerate(self.graph.edges[node]):
                if value is None or value.node in seen:
                    continue
                if value.node not in self.places:
                    if (self.places[node], slot) in self._varying:
                        return False
                    continue
                before = self.iteration(value.node) < iteration
                kept = self._last.get(value, -1) > iteration or (iteration == self.count - 1 and not before)
                if self._of.get(value) in others and kept:
                    continue
                if before:
                    return False
                seen.add(value.node)
                waiting.append(value.node)
        return True

    def state(self, group: Sequence[Variable], steps: int, /) -> tuple[Value, ...]:
        """Return the values that the rest of the loop reads after so many iterations; after all, their last ones."""
        state = [value for variable in group if (value := self._value(variable, steps)) is not None]
        if not state and steps:  # where the link is cut, as by detach, the values that are no longer read
            state = [made[steps - 1] for variable in group if steps - 1 in (made := self.values[variable])]
        return tuple(dict.fromkeys(state))

    def cuts(self, group: Sequence[Variable], /) -> list[int]:
        """Return the steps after which the state is made, and no gradient comes back from the next step."""
        live = [any(self._value(variable, k) for variable in group) for k in range(self.count + 1)]
        return [k for k in range(1, self.count) if live[k + 1] and not live[k]]

    def _value(self, variable: Variable, steps: int) -> Value | None:
        """Return the value of a variable after so many iterations; None where nothing reads it any more."""
        made, latest = self.values[variable], self._latest[variable][steps]
        if latest is None:
            # A variable that is not made in every iteration may still have its initial value.
            initial = self._initial[variable]
            return initial if initial is not None and self._made(initial) < steps <= self._last[initial] else None
        ahead = self._last.get(made[latest], latest) >= steps
        return made[latest] if ahead or (steps == self.count and steps - latest <= self._longest[variable]) else None

    @cached_property
    def _latest(self) -> Mapping[Variable, Sequence[int | None]]:
        """Variable → number of iterations → the last of them that makes a value."""
        latest: dict[Variable, list[int | None]] = {}
        for variable, made in self.values.items():
            latest[variable] = [None]
            for k in range(self.count):
                latest[variable].append(k if k in made else latest[variable][-1])
        return latest

    @cached_property
    def _longest(self) -> Mapping[Variable, int]:
        """Variable → after how many iterations a value is read at the latest."""
        return {
            variable: max(self._last.get(value, k) - k for k, value in made.items())
            for variable, made in self.values.items()
        }

    @cached_property
    def _initial(self) -> Mapping[Variable, Value | None]:
        """Variable → its initial value."""
        return {variable: self._initial_of(variable) for variable in self.values}

    def _made(self, value: Value) -> int:
        """Return the iteration that makes a value, −1 if it was made before the loop."""
        return self.iteration(value.node) if value.node in self.places else -1

    def _initial_of(self, variable: Variable) -> Value | None:
        """Return what is read first in place of a variable; None if it needs no gradient."""
        made = self.values[variable]
        shape = self.graph.shape(next(iter(made.values())))
        candidates: Counter[Value] = Counter()
        readers = {
            (self.places[node], slot)
            for k, value in made.items()
            for node, slot in self._readers[value]
            if self.iteration(node) == k + 1
        }
        for place, slot in readers:
            node = next((self._nodes[k, place] for k in range(self.count) if (k, place) in self._nodes), None)
            value = None if node is None or slot >= len(self.graph.edges[node]) else self.graph.edges[node][slot]
            if value is not None and value not in made.values() and self.graph.shape(value) == shape:
                candidates[value] += 1
        return candidates.most_common(1)[0][0] if candidates else None

    def parameters(self, group: Iterable[Variable], /) -> list[str]:
        """Return the parameters that act on the state, in the order of their use."""
        variables = set(group)
        names: dict[str, None] = {}
        drives: dict[str, None] = {}
        for node in sorted(self.between(variables)):
            for value in self.graph.edges[node]:
                if value is None or self.influences.get(value.node, frozenset[Variable]()) & variables:
                    continue
                names |= dict.fromkeys(sorted(self.graph.weights[value.node]))
                if not names and not drives and self._of.get(value) not in variables:
                    drives |= dict.fromkeys(self.graph.sources(value))
        return list(names or drives)

    def variable_of(self, value: Value, /) -> Variable | None:
        """Return the variable that a value of the loop is one of, or None."""
        return self._of.get(value)

    def between(self, variables: set[Variable], /) -> set[int]:
        """Return the nodes on the way from the variables of an iteration to those of the next."""
        nodes: set[int] = set()
        waiting = [value.node for variable in variables for value in self.values[variable].values()]
        while waiting:
            node = waiting.pop()
            if node in nodes or not self.influences[node] & variables:
                continue
            nodes.add(node)
            waiting += [
                value.node
                for value in self.graph.edges[node]
                if value is not None
                and value.node in self.places
                and self.iteration(value.node) == self.iteration(node)
            ]
        return nodes


def _closure(start: Variable, direct: Mapping[Variable, set[Variable]]) -> set[Variable]:
    """Return what a variable depends on, directly or not."""
    reach: set[Variable] = set()
    waiting = [start]
    while waiting:
        new = direct[waiting.pop()] - reach
        reach |= new
        waiting += new
    return reach
