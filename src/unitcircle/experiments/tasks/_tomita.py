"""Tomita's seven regular languages: whether a string of zeros and ones belongs to one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks._automaton import Automaton
from unitcircle.experiments.tasks._streams import held_out_generator
from unitcircle.experiments.tasks._task import Batch, Split, Task

GRAMMARS = {
    1: Automaton(((1, 0), (1, 1)), frozenset({0})),
    2: Automaton(((2, 1), (0, 2), (2, 2)), frozenset({0})),
    # Runs of ones: even 0, odd 1. After an odd one, runs of zeros: odd 2, else 3. An odd one has ended: 4.
    3: Automaton(((0, 1), (2, 0), (3, 4), (2, 3), (4, 4)), frozenset({0, 1, 3})),
    4: Automaton(((1, 0), (2, 0), (3, 0), (3, 3)), frozenset({0, 1, 2})),
    5: Automaton(((1, 2), (0, 3), (3, 0), (2, 1)), frozenset({0})),
    6: Automaton(((1, 2), (2, 0), (0, 1)), frozenset({0})),
    7: Automaton(((0, 1), (2, 1), (2, 3), (4, 3), (4, 4)), frozenset({0, 1, 2, 3})),
}
BEGIN = 2
"""The third symbol, before every string: the empty string is a sequence too."""
TRAIN_LENGTHS = (*range(15), 15, 20, 25, 30)
TEST_LENGTHS = range(40, 101, 10)
TRAIN_SIZE, VALIDATION_SIZE, TEST_SIZE = 150, 10, 50
"""Most strings of one length and one class."""
SURPLUS = 20
"""By how many strings one class may outnumber the other at one length."""

Labelled = list[tuple[list[int], bool]]


@dataclass(frozen=True)
class Tomita(Task):
    r"""Classify a string, after its last symbol, by whether it belongs to a regular language.

    ===  ========================================================================================
    1    ``1*``
    2    ``(10)*``
    3    no run of ones of odd length before (anywhere before) a run of zeros of odd length
    4    no ``000``
    5    an even number of zeros and an even number of ones
    6    the number of zeros minus that of ones is a multiple of 3
    7    ``0*1*0*1*``
    ===  ========================================================================================

    A fixed training set as in the literature: lengths 0 to 15, 20, 25 and 30, of each length at most 150 strings of
    either class and at most 20 more of one than of the other, drawn uniformly by counting paths of the automaton
    (rejection sampling would practically never draw a member of languages 1 and 2). Validation: other strings of all
    lengths up to 30, at most 10 of a length and class. Test: lengths 40, 50, ..., 100, at most 50 of a length and
    class. Training draws each class with probability ½, held-out strings are weighted to match: the score is the
    balanced accuracy.

    Inputs are 0, 1 and 2 (begin). Shorter strings are padded at the end with begin symbols of weight 0: the state after
    the last symbol depends on the string alone, and the network has no information about the length of a string.

    Parameters
    ----------
    grammar
        1 to 7.

    References
    ----------
    M. Tomita, "Dynamic construction of finite automata from examples using hill-climbing", CogSci 1982;
    G. Weiss, Y. Goldberg, E. Yahav, "Extracting automata from recurrent neural networks using queries and
    counterexamples", ICML 2018 (lengths and balance of the training set).

    Examples
    --------
    >>> batch = Tomita(grammar=1).sample(np.random.default_rng(0), 4)
    >>> batch.inputs.shape, batch.targets.shape
    ((31, 4), (31, 4))
    """

    name = "tomita"
    every_step = True
    unit = "balanced accuracy"
    inputs = 3
    outputs = 2
    baseline = 0.5
    threshold = 0.99

    grammar: int = 4

    def __post_init__(self) -> None:
        if self.grammar not in GRAMMARS:
            raise ArgumentError("grammar", "must be one of 1 to 7", repr(self.grammar))

    def sample(self, rng: np.random.Generator, size: int, /) -> Batch:
        symbols, labels, last = _training_arrays(self)
        rejected = len(labels) - int(labels.sum())
        accept = rng.random(size) < 0.5
        indices = np.where(accept, rng.integers(rejected, len(labels), size=size), rng.integers(rejected, size=size))
        return _batch(symbols[:, indices], labels[indices], last[indices])

    def held_out(self, split: Split, /) -> Iterator[Batch]:
        strings = _pools(self)[1] if split == "validation" else _test(self)
        accepted = sum(label for _, label in strings)
        # Integers, whose sums are exact: a perfect score is exactly 1.
        weights = np.array([accepted, len(strings) - accepted], np.float32)
        for _, group in groupby(strings, key=lambda pair: len(pair[0])) if split == "test" else [(0, strings)]:
            symbols, labels, last = _arrays(group)
            yield _batch(symbols, labels, last, weights[labels])


def _batch(symbols: np.ndarray, labels: np.ndarray, last: np.ndarray, weight: np.ndarray | float = 1.0) -> Batch:
    weights = np.zeros(symbols.shape, np.float32)
    weights[last, np.arange(len(last))] = weight
    return Batch(symbols, np.broadcast_to(labels, symbols.shape), weights)


def _arrays(strings: Iterable[tuple[list[int], bool]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return symbols ``(T, N)``, labels and the time of the last symbol ``(N,)``."""
    strings = list(strings)
    last = np.array([len(string) for string, _ in strings])
    symbols = np.full((last.max() + 1, len(strings)), BEGIN)
    for column, (string, _) in enumerate(strings):
        symbols[1 : len(string) + 1, column] = string
    return symbols, np.array([int(label) for _, label in strings]), last


@cache
def _training_arrays(task: Tomita) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return symbols, labels and last times of the training set, the rejected strings first."""
    return _arrays(sorted(_pools(task)[0], key=lambda pair: pair[1]))


@cache
def _pools(task: Tomita) -> tuple[Labelled, Labelled]:
    """Return the training and the validation set, with their labels."""
    automaton, rng = GRAMMARS[task.grammar], held_out_generator(task, "validation")
    train: Labelled = []
    validation: Labelled = []
    for length in range(max(TRAIN_LENGTHS) + 1):
        sizes = _class_sizes(automaton, length, TRAIN_SIZE) if length in TRAIN_LENGTHS else {False: 0, True: 0}
        for accepted, size in sizes.items():
            strings = automaton.draw(rng, size + VALIDATION_SIZE, length, accepted=accepted)
            train += [(string, accepted) for string in strings[:size]]
            validation += [(string, accepted) for string in strings[size:]]
    return train, validation


@cache
def _test(task: Tomita) -> Labelled:
    automaton, rng = GRAMMARS[task.grammar], held_out_generator(task, "test")
    return [
        (string, accepted)
        for length in TEST_LENGTHS
        for accepted, size in _class_sizes(automaton, length, TEST_SIZE).items()
        for string in automaton.draw(rng, size, length, accepted=accepted)
    ]


def _class_sizes(automaton: Automaton, length: int, most: int) -> dict[bool, int]:
    """Return how many strings of a length are taken of either class."""
    counts = {accepted: min(most, automaton.count(length, accepted=accepted)) for accepted in (False, True)}
    return {accepted: min(count, min(counts.values()) + SURPLUS) for accepted, count in counts.items()}
