"""Scans that go on where an earlier one ended, as chunks of a sequence do: one recurrence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unitcircle.jax._program import Atom, Equation, Program
from unitcircle.jax._scan_states import RecurrentScan

Leaves = Sequence[np.ndarray]
_VIEWS = frozenset({"stop_gradient", "squeeze", "reshape", "slice"})
ByPlace = Mapping[int, Leaves]
"""Place of a scan → an array for each leaf of its state."""


@dataclass(frozen=True, eq=False)
class ScanChain:
    """Scans of the same step, each of which begins with the last state of the one before.

    ``detached`` tells whether a step, or a link between two scans, stops a gradient.
    """

    scans: tuple[RecurrentScan, ...]
    detached: bool

    @property
    def last(self) -> RecurrentScan:
        """The scan that ends it."""
        return self.scans[-1]

    @property
    def steps(self) -> int:
        """T."""
        return sum(scan.steps for scan in self.scans)

    def joined(self, of_scans: ByPlace, /, *, axis: int = 0) -> tuple[np.ndarray, ...]:
        """Return arrays of all states, ``T + 1`` along an axis; a state between two scans is the last of the first."""
        parts = [
            leaves if k == 0 else [leaf[(slice(None),) * axis + (slice(1, None),)] for leaf in leaves]
            for k, leaves in enumerate(of_scans[scan.place] for scan in self.scans)
        ]
        return tuple(np.concatenate(of_leaf, axis) for of_leaf in zip(*parts, strict=True))

    def split(self, leaves: Leaves, /) -> dict[int, tuple[np.ndarray, ...]]:
        """Return cotangents ``(K, T + 1, ...)`` of all states as those of each scan; what is between two, once."""
        of_scans: dict[int, tuple[np.ndarray, ...]] = {}
        start = 0
        for scan in self.scans:
            own = [leaf[:, start : start + scan.steps + 1].copy() for leaf in leaves]
            for leaf in own if start else ():
                leaf[:, 0] = 0
            of_scans[scan.place] = tuple(own)
            start += scan.steps
        return of_scans


def scan_chains(program: Program, scans: Sequence[RecurrentScan], /) -> list[ScanChain]:
    """Return the chains of the recurrences of a program, in the order in which they begin."""
    made = {var: equation for equation in program.equations for var in equation.outputs}
    chains: list[ScanChain] = []
    for scan in scans:
        given = scan.equation.inputs[scan.equation.params["num_consts"] :]
        for k, chain in enumerate(chains):
            links = [
                _link(given[j], chain.last, end, made) for j, end in zip(scan.leaves, chain.last.leaves, strict=False)
            ]
            if _alike(chain.last, scan) and all(links):
                detached = chain.detached or scan.detached or "detached" in links
                chains[k] = ScanChain((*chain.scans, scan), detached)
                break
        else:
            chains.append(ScanChain((scan,), scan.detached))
    return chains


def _link(atom: Atom, scan: RecurrentScan, leaf: int, made: Mapping[int, Equation]) -> str:
    """Return how an initial state is the last state of a scan: ``"passed on"``, ``"detached"``; empty if it is not."""
    # A step may also return its state, so that the last one is a slice of all.
    after, carries = scan.body.outputs, scan.equation.params["num_carry"]
    ends = dict(zip(scan.equation.outputs, after, strict=True))
    last = 0 if scan.equation.params["reverse"] else scan.steps - 1
    link, rows = "passed on", None
    while isinstance(atom, int) and atom not in ends:
        equation = made.get(atom)
        if equation is None or equation.name not in _VIEWS:
            return ""
        if equation.name == "stop_gradient":
            link = "detached"
        if equation.name == "slice":
            rows = equation.params["start_indices"][0], equation.params["limit_indices"][0]
        atom = equation.inputs[0]
    if not isinstance(atom, int) or ends[atom] != after[leaf]:
        return ""
    is_carry = atom in scan.equation.outputs[:carries]
    return link if (rows is None if is_carry else rows == (last, last + 1)) else ""


def _alike(one: RecurrentScan, other: RecurrentScan) -> bool:
    """Return whether two scans apply the same step with the same constants in the same direction."""
    first = one.equation.params["num_consts"]

    def said(scan: RecurrentScan) -> tuple[Any, ...]:
        names = [equation.name for equation in scan.body.equations]
        constants = [atom if isinstance(atom, int) else id(atom.value) for atom in scan.equation.inputs[:first]]
        shapes = [scan.equation.shapes[j] for j in scan.leaves]
        return scan.leaves, shapes, scan.parameters, scan.equation.params["reverse"], names, constants

    return said(one) == said(other)
