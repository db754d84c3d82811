"""Tomita's languages against regular expressions, counting, and published labelled strings."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Tomita
from unitcircle.experiments.tasks._tomita import GRAMMARS

SHARED = Path(__file__).parents[4] / "shared" / "data" / "tomita"

ODD_ONES_THEN_ODD_ZEROS = re.compile(r"((0|1)*0)*1(11)*(0(0|1)*1)*0(00)*(1(0|1)*)*")
ORACLES = {
    1: lambda w: re.fullmatch("1*", w) is not None,
    2: lambda w: re.fullmatch("(10)*", w) is not None,
    3: lambda w: ODD_ONES_THEN_ODD_ZEROS.fullmatch(w) is None,
    4: lambda w: "000" not in w,
    5: lambda w: w.count("0") % 2 == 0 and w.count("1") % 2 == 0,
    6: lambda w: (w.count("0") - w.count("1")) % 3 == 0,
    7: lambda w: re.fullmatch("0*1*0*1*", w) is not None,
}
POSITIVES = {1: 13, 2: 7, 3: 1917, 4: 3735, 5: 2731, 6: 2731, 7: 1092}
"""Of the 8,191 strings of at most 12 symbols."""


def every_grammar(test):
    return pytest.mark.parametrize("grammar", GRAMMARS)(test)


def strings(batch):
    """The strings of a batch as text, their labels and weights, read off where the weight is."""
    for column in range(len(batch)):
        (last,) = np.flatnonzero(batch.weights[:, column])
        assert batch.inputs[0, column] == 2
        text = "".join(map(str, batch.inputs[1 : last + 1, column]))
        assert set(text) <= {"0", "1"}
        assert (batch.inputs[last + 1 :, column] == 2).all()
        yield text, int(batch.targets[last, column]), float(batch.weights[last, column])


@every_grammar
def test_automata_agree_with_definitions_on_all_short_strings(grammar):
    # The expression of grammar 3 backtracks exponentially: shorter strings for it.
    longest = 9 if grammar == 3 else 12
    for length in range(longest + 1):
        for word in product((0, 1), repeat=length):
            assert GRAMMARS[grammar].accepts(word) == ORACLES[grammar]("".join(map(str, word)))
    accepted = [GRAMMARS[grammar].accepts(word) for length in range(13) for word in product((0, 1), repeat=length)]
    assert sum(accepted) == POSITIVES[grammar]


@every_grammar
@pytest.mark.parametrize("accepted", [True, False])
def test_counting_and_ranking_enumerate_the_language(grammar, accepted):
    automaton = GRAMMARS[grammar]
    for length in (0, 1, 2, 5, 8):
        expected = [list(w) for w in product((0, 1), repeat=length) if automaton.accepts(w) == accepted]
        count = automaton.count(length, accepted=accepted)
        assert [automaton.string(rank, length, accepted=accepted) for rank in range(count)] == expected
    assert automaton.count(200, accepted=True) + automaton.count(200, accepted=False) == 2**200


def test_draws_are_different_and_uniform():
    automaton, rng = GRAMMARS[4], np.random.default_rng(0)
    count = automaton.count(6, accepted=True)
    assert len(automaton.draw(rng, 1000, 6, accepted=True)) == count
    # 5 of 44 at a time, so by rank and not by permutation.
    drawn = [tuple(w) for _ in range(2000) for w in automaton.draw(rng, 5, 6, accepted=True)]
    share = np.unique(drawn, axis=0, return_counts=True)[1] / 2000
    assert share.size == count
    # Five standard errors.
    np.testing.assert_allclose(share, 5 / count, atol=5 * np.sqrt(5 / count / 2000))


@every_grammar
def test_all_strings_are_labelled_right_and_training_draws_both_classes_alike(grammar):
    task, rng = Tomita(grammar), np.random.default_rng(0)
    train = [pair for _ in range(10) for pair in strings(task.sample(rng, 400))]
    held_out = [pair for split in ("validation", "test") for batch in task.held_out(split) for pair in strings(batch)]
    assert {len(text) for text, *_ in train} <= {*range(16), 20, 25, 30}
    # The expression of grammar 3 would take for ever on long strings: its automaton agrees on short ones.
    oracle = ORACLES[grammar] if grammar != 3 else lambda w: GRAMMARS[3].accepts([int(c) for c in w])
    assert all(oracle(text) == bool(label) for text, label, _ in train + held_out)
    assert np.mean([label for _, label, _ in train]) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(4000))
    assert {weight for *_, weight in train} == {1.0}


@every_grammar
def test_held_out_strings_are_others_longer_in_the_test_and_both_classes_weigh_alike(grammar):
    task, rng = Tomita(grammar), np.random.default_rng(0)
    train = {text for _ in range(40) for text, *_ in strings(task.sample(rng, 1000))}
    for split, lengths in (("validation", range(31)), ("test", range(40, 101, 10))):
        found = [pair for batch in task.held_out(split) for pair in strings(batch)]
        texts = [text for text, *_ in found]
        assert len(set(texts)) == len(texts) > 100
        assert not train & set(texts)
        assert {len(text) for text in texts} <= set(lengths)
        weight = [sum(w for _, label, w in found if label == cls) for cls in (0, 1)]
        # Who always answers the same is right with half the weight: the baseline.
        assert weight[0] / sum(weight) == task.baseline


def test_a_test_batch_has_one_length_and_no_padding():
    lengths = [
        (len(batch.inputs) - 1, {len(text) for text, *_ in strings(batch)}) for batch in Tomita(5).held_out("test")
    ]
    assert lengths == [(length, {length}) for length in range(40, 101, 10)]


@pytest.mark.parametrize("grammar", [0, 8, "four"])
def test_other_grammars_are_refused(grammar):
    with pytest.raises(ArgumentError, match="grammar must be one of 1 to 7"):
        Tomita(grammar)


@every_grammar
def test_published_labels_are_ours(grammar):
    path = SHARED / f"tomita{grammar}.txt"
    if not path.exists():
        pytest.skip("the folder of published strings is not here")
    lines = [line.rpartition(":") for line in path.read_text().splitlines()]
    assert len(lines) > 300
    for word, _, label in lines:
        assert GRAMMARS[grammar].accepts([int(c) for c in word]) == (label == "True"), word
