"""Finite automata over the symbols 0 and 1: which strings they accept, how many, and uniform draws of either class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

_ENTROPY = 32
"""Bytes behind a rank: for strings below 200 symbols, no rank is likelier than another by more than 2⁻⁵⁶."""


@dataclass(frozen=True)
class Automaton:
    """A deterministic finite automaton that begins in state 0."""

    moves: tuple[tuple[int, int], ...]  # For every state, the next one on 0 and on 1
    accepting: frozenset[int]  # The states in which a string is accepted

    def accepts(self, string: Sequence[int], /) -> bool:
        """Return whether a string of zeros and ones is in the language."""
        state = 0
        for symbol in string:
            state = self.moves[state][symbol]
        return state in self.accepting

    def count(self, length: int, /, *, accepted: bool) -> int:
        """Return how many strings of a length are accepted, or rejected."""
        return _counts(self, length, accepted)[0]

    def string(self, rank: int, length: int, /, *, accepted: bool) -> list[int]:
        """Return one string of a length in lexicographic order among those that are accepted, or rejected."""
        state, symbols = 0, list[int]()
        for remaining in range(length - 1, -1, -1):
            zero, one = self.moves[state]
            before = _counts(self, remaining, accepted)[zero]
            symbols.append(int(rank >= before))
            state, rank = (one, rank - before) if rank >= before else (zero, rank)
        return symbols

    def draw(self, rng: np.random.Generator, size: int, length: int, /, *, accepted: bool) -> list[list[int]]:
        """Return different strings of a length, drawn uniformly, in random order."""
        count = self.count(length, accepted=accepted)
        ranks: dict[int, None] = {}
        if count <= 4 * size:
            ranks = dict.fromkeys(rng.permutation(count)[:size].tolist())
        while len(ranks) < min(size, count):
            ranks[int.from_bytes(rng.bytes(_ENTROPY), "little") % count] = None
        return [self.string(rank, length, accepted=accepted) for rank in ranks]


@cache
def _counts(automaton: Automaton, length: int, accepted: bool) -> tuple[int, ...]:
    """Return, for every state, how many strings of a length lead from it to acceptance, or to rejection."""
    if length == 0:
        return tuple(int((state in automaton.accepting) is accepted) for state in range(len(automaton.moves)))
    shorter = _counts(automaton, length - 1, accepted)
    return tuple(shorter[zero] + shorter[one] for zero, one in automaton.moves)
