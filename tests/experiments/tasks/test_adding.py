"""The adding problem against its definition."""

import numpy as np
import pytest

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Adding


@pytest.mark.parametrize("length", [2, 3, 50])
def test_the_answer_is_the_sum_of_one_marked_number_in_either_half(length):
    batch = Adding(length).sample(np.random.default_rng(0), 200)
    for sequence, answer in zip(batch.inputs.swapaxes(0, 1), batch.targets, strict=True):
        marked = np.flatnonzero(sequence[:, 1])
        assert set(sequence[:, 1]) <= {0, 1}
        assert marked.size == 2
        assert marked[0] < length // 2 <= marked[1]
        assert answer == sequence[marked[0], 0] + sequence[marked[1], 0]


def test_every_place_is_marked_and_numbers_are_uniform():
    batch = Adding(9).sample(np.random.default_rng(1), 20_000)
    share = batch.inputs[:, :, 1].mean(1)
    expected = np.array([1 / 4] * 4 + [1 / 5] * 5)
    # Five standard errors of a share of 20,000.
    np.testing.assert_allclose(share, expected, atol=5 * np.sqrt(0.25 * 0.75 / 20_000))
    numbers = batch.inputs[:, :, 0].ravel()
    assert 0 <= numbers.min() < numbers.max() < 1
    assert np.histogram(numbers, 10, (0, 1))[0] / numbers.size == pytest.approx(0.1, abs=5 * np.sqrt(0.09 / 180_000))


def test_answering_one_has_the_baseline_within_sampling_error():
    answers = np.concatenate([batch.targets for batch in Adding(50).held_out("test")])
    assert answers.size == 10_000
    squares = (answers - 1.0) ** 2
    # The variance of (u + v − 1)² is 7/180.
    assert squares.mean() == pytest.approx(Adding().baseline, abs=4 * np.sqrt(7 / 180 / answers.size))


def test_a_length_without_two_halves_is_refused():
    with pytest.raises(ArgumentError, match="length must be at least 2; got 1"):
        Adding(1)
