"""Sequential digits against scikit-learn's own arrays."""

import sys

import numpy as np
import pytest
from sklearn.datasets import load_digits

from unitcircle.errors import ArgumentError, MissingExtraError
from unitcircle.experiments.tasks import DelayedDigits, Digits, _digits


def rows(batch):
    return [tuple(column) for column in batch.inputs[:64, :, 0].T]


def test_pixels_come_one_by_one_with_their_label():
    pixels, labels = load_digits(return_X_y=True)
    known = {(tuple(row / 16), label) for row, label in zip(pixels, labels, strict=True)}
    batch = Digits().sample(np.random.default_rng(0), 50)
    assert batch.inputs.shape == (64, 50, 1)
    assert all(pair in known for pair in zip(rows(batch), batch.targets, strict=True))


def test_training_validation_and_test_digits_are_all_there_are_and_none_is_twice():
    (validation,), (test,) = Digits().held_out("validation"), Digits().held_out("test")
    assert (len(validation), len(test)) == (200, 500)
    rng = np.random.default_rng(0)
    train = {row for _ in range(30) for row in rows(Digits().sample(rng, 1000))}
    # No digit of the 1,797 is there twice; 30,000 draws of 1,097 leave one out with probability 1e-9.
    assert len(train) == 1097
    assert len(train | set(rows(validation)) | set(rows(test))) == 1797


def test_the_wait_is_blank_and_nothing_else_changes():
    plain, delayed = (task.sample(np.random.default_rng(2), 9) for task in (Digits(), DelayedDigits(blank=100)))
    assert delayed.inputs.shape == (164, 9, 1)
    np.testing.assert_array_equal(delayed.inputs[:64], plain.inputs)
    assert not delayed.inputs[64:].any()
    np.testing.assert_array_equal(delayed.targets, plain.targets)


def test_guessing_has_the_baseline():
    labels = load_digits(return_X_y=True)[1]
    # The commonest digit makes up 10.2 % of the 1,797.
    assert np.bincount(labels).max() / labels.size == pytest.approx(Digits().baseline, abs=0.003)


def test_a_negative_wait_is_refused():
    with pytest.raises(ArgumentError, match="blank must not be negative; got -1"):
        DelayedDigits(blank=-1)


def test_a_missing_library_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    _digits._digits.cache_clear()
    with pytest.raises(MissingExtraError, match=r"unitcircle\[experiments\]"):
        Digits().sample(np.random.default_rng(0), 1)
