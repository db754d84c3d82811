"""The recurrences of a run: the loops that carry a state through the same parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from unitcircle.dynamics._carried_values import CarriedValues, Variable
from unitcircle.dynamics._gates import is_gated
from unitcircle.dynamics._run_graph import RunGraph, Value

FEWEST = 3
"""A recurrence takes at least this many steps: a layer used twice is shared, not recurrent."""


@dataclass(frozen=True, eq=False)
class LoopRecurrence:
    """A state that a loop carries from step to step.

    Attributes
    ----------
    name
        The module, or else the parameter, that acts on the state.
    parameters
        Qualified names of the parameters that act on the state.
    states
        For each execution of the loop that begins anew, the tensors of the state after every step, the initial ones
        first; none where they are unknown, or no gradient reaches them.
    cuts
        Steps after which the link to the next one is cut, as by ``detach``.
    gated
        Whether a step multiplies a value that depends on the state by a gate.
    """

    name: str
    parameters: tuple[str, ...]
    states: tuple[tuple[tuple[Value, ...], ...], ...]
    cuts: tuple[int, ...] = ()
    gated: bool = False

    @property
    def values(self) -> list[Value]:
        """The tensors of the state after all steps, each once."""
        return list(dict.fromkeys(value for states in self.states for state in states for value in state))


@dataclass(frozen=True, eq=False)
class _Execution:
    """One execution of a loop, and one group of the variables that it carries."""

    key: int
    loop: CarriedValues
    group: tuple[Variable, ...]
    parameters: tuple[str, ...]

    @property
    def gated(self) -> bool:
        return is_gated(self.loop, self.group)

    @property
    def states(self) -> tuple[tuple[Value, ...], ...]:
        return tuple(self.loop.state(self.group, steps) for steps in range(self.loop.count + 1))


def loop_recurrences(graph: RunGraph, /) -> list[LoopRecurrence]:
    """Return the recurrences of a run, in the order in which they begin.

    Parameters
    ----------
    graph
        The autograd graph of the run.

    Returns
    -------
    list of LoopRecurrence
        Of loops inside loops, the inner one where it reads the sequence, and else the outer one: the inner steps of a
        solver are a part of one step.
    """
    found = _without_nested(graph, [one for key, steps in _loops(graph).items() for one in _of_loop(graph, key, steps)])
    by_place: dict[object, list[_Execution]] = defaultdict(list)
    for one in found:
        by_place[frozenset(one.group), one.parameters].append(one)
    names = _names([executions[0].parameters for executions in by_place.values()], graph.sizes)
    return [
        LoopRecurrence(name, executions[0].parameters, *_trajectories(executions), executions[0].gated)
        for name, executions in zip(names, by_place.values(), strict=True)
    ]


def _loops(graph: RunGraph) -> dict[int, dict[int, int]]:
    """Return execution of a loop → operation → iteration, of those that repeat often enough."""
    loops: dict[int, dict[int, int]] = defaultdict(dict)
    for operation, path in enumerate(graph.program.paths):
        for loop in path:
            loops[loop.execution][operation] = loop.iteration
    return {key: steps for key, steps in loops.items() if max(steps.values()) >= FEWEST - 1}


def _of_loop(graph: RunGraph, key: int, iterations: dict[int, int]) -> Iterable[_Execution]:
    """Yield the states of one loop; its body may hold an inner loop over the layers, whose ends leave no trace."""
    total = max(iterations.values()) + 1
    for period in count(1):
        if period > 1 and total < FEWEST * period:
            return
        if total % period:
            continue
        merged = iterations if period == 1 else {op: k // period for op, k in iterations.items()}
        loop = CarriedValues(graph, merged)
        if not loop.values:
            return
        if loop.repeats(exactly=period > 1):
            found = [
                _Execution(key, loop, tuple(loop.essential(group)), tuple(loop.parameters(group)))
                for group in loop.groups()
            ]
            # Beside a state that parameters act on, one without is bookkeeping: the last input that was observed.
            yield from [one for one in found if one.parameters] or found
            return


def _without_nested(graph: RunGraph, found: Sequence[_Execution]) -> list[_Execution]:
    """Keep one of two loops, one inside the other, that carry a state through the same parameters."""
    if len({one.key for one in found}) < 2:
        return list(found)
    around: dict[int, set[int]] = defaultdict(set)
    for path in {tuple(loop.execution for loop in path): path for path in graph.program.paths}.values():
        for depth, loop in enumerate(path):
            around[loop.execution] |= {outer.execution for outer in path[:depth]}
    dropped: set[int] = set()
    for k, inner in enumerate(found):
        for j, outer in enumerate(found):
            same = set(inner.parameters) & set(outer.parameters) or inner.parameters == outer.parameters
            if outer.key in around[inner.key] and same:
                dropped.add(j if inner.loop.reads_sequence else k)
    return [one for k, one in enumerate(found) if k not in dropped]


def _trajectories(
    executions: Sequence[_Execution],
) -> tuple[tuple[tuple[tuple[Value, ...], ...], ...], tuple[int, ...]]:
    """Return states and cuts; executions that begin with a state of the one before are joined, as chunks are."""
    joined: list[tuple[tuple[Value, ...], ...]] = []
    cuts: list[int] = []
    for one in executions:
        states, start = one.states, 0
        if joined and states[0] and set(states[0]) & set(joined[-1][-1]):
            start = len(joined[-1]) - 1
            joined[-1] += states[1:]
        else:
            joined.append(states)
        cuts += [start + step for step in one.loop.cuts(one.group)]
    return tuple(joined), tuple(sorted(set(cuts)))


def _names(parameters: Sequence[Sequence[str]], sizes: Mapping[str, tuple[bool, int]]) -> list[str]:
    """Return names: the module of all the parameters of a recurrence, else the module or the name of the largest."""
    names: list[str] = []
    for group in parameters:
        largest = max(group, key=lambda name: sizes[name], default="loop")
        base = _common([_owner(name) for name in group]) or _owner(largest) or largest
        uses = sum(other.partition("#")[0] == base for other in names)
        names.append(f"{base}#{uses + 1}" if uses else base)
    return names


def _common(paths: Sequence[str]) -> str:
    """Return the module that holds all of some modules; empty for the model itself."""
    columns = zip(*(path.split(".") for path in paths), strict=False)
    return ".".join(column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns))


def _owner(parameter: str) -> str:
    """Return the module that a parameter belongs to, or of which a parametrization does."""
    owner, _, inside = parameter.partition(".parametrizations.")
    return owner if inside else parameter.rpartition(".")[0]
