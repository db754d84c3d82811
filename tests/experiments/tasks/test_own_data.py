"""Tasks of the user's own arrays and pairs."""

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score, mean_absolute_error

from unitcircle.errors import ArgumentError, DtypeError, NotFiniteError, ShapeError
from unitcircle.experiments.tasks import OwnData, Task, from_data


def part(seed, number=6, steps=5):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(number, steps, 2)), rng.integers(3, size=number)


def test_arrays_become_batches_with_time_in_front():
    x, y = part(0)
    task = from_data((x, y), part(1), part(2, number=4), classes=3)
    assert (task.inputs, task.outputs, task.every_step, task.classes) == (2, 3, False, True)
    assert (task.unit, task.higher_is_better) == ("accuracy", True)
    (test,) = task.held_out("test")
    np.testing.assert_array_equal(test.inputs, part(2, number=4)[0].swapaxes(0, 1).astype(np.float32))
    np.testing.assert_array_equal(test.targets, part(2, number=4)[1])
    assert test.weights is None
    rows = {(tuple(sequence.astype(np.float32).ravel()), label) for sequence, label in zip(x, y, strict=True)}
    batch = task.sample(np.random.default_rng(0), 100)
    drawn = {(tuple(s.ravel()), label) for s, label in zip(batch.inputs.swapaxes(0, 1), batch.targets, strict=True)}
    assert drawn == rows


def test_many_held_out_sequences_come_in_parts():
    task = from_data(part(0), part(1), part(2, number=2300), classes=3)
    assert [len(batch) for batch in task.held_out("test")] == [1000, 1000, 300]


def test_pairs_of_one_length_are_the_same_task_as_arrays():
    arrays = [part(seed) for seed in range(3)]
    pairs = [zip(*each, strict=True) for each in arrays]
    assert from_data(*pairs, classes=3) == from_data(*arrays, classes=3)


def test_pairs_of_different_lengths_are_answered_at_their_own_last_step():
    sequences = [([1, 2], 0.5), ([3], 1.5), ([4, 5, 6], 2.5)]
    task = from_data(sequences, sequences, sequences, symbols=7)
    assert (task.inputs, task.outputs, task.every_step) == (7, 1, True)
    assert (task.unit, task.higher_is_better) == ("mean squared error", False)
    (test,) = task.held_out("test")
    assert test.inputs.T.tolist() == [[1, 2, 0], [3, 0, 0], [4, 5, 6]]
    assert test.weights.T.tolist() == [[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    assert test.targets.shape == (3, 3, 1)
    assert test.targets[test.weights > 0].ravel().tolist() == [1.5, 0.5, 2.5]
    outputs = torch.zeros(1, 3, 3, 1)
    stacked = [torch.from_numpy(np.ascontiguousarray(a))[None] for a in (test.targets, test.weights)]
    assert float(task.scores(outputs, *stacked)) == pytest.approx((0.25 + 2.25 + 6.25) / 3)


def test_answers_at_every_step_of_different_lengths_are_weighed_by_being_there():
    sequences = [(np.ones((2, 1)), [1, 0]), (np.ones((3, 1)), [0, 1, 1])]
    task = from_data(sequences, sequences, sequences, classes=2, every_step=True)
    (batch,) = task.held_out("validation")
    assert batch.targets.T.tolist() == [[1, 0, 0], [0, 1, 1]]
    assert batch.weights.T.tolist() == [[1, 1, 0], [1, 1, 1]]


def macro_f1(targets, predictions):
    return f1_score(targets, predictions, average="macro")


def test_a_metric_scores_every_run_by_itself():
    options = {"metric": macro_f1, "higher_is_better": True, "baseline": 0.3, "threshold": 0.8}
    task = from_data(part(0), part(1), part(2), classes=3, **options)
    assert (task.unit, task.baseline, task.threshold) == ("macro_f1", 0.3, 0.8)
    rng = np.random.default_rng(5)
    outputs, targets = rng.normal(size=(2, 40, 3)), rng.integers(3, size=(2, 40))
    found = task.scores(torch.from_numpy(outputs), torch.from_numpy(targets), None)
    expected = [macro_f1(t, o.argmax(-1)) for t, o in zip(targets, outputs, strict=True)]
    assert found.tolist() == expected


def test_a_metric_sees_only_what_is_asked():
    sequences = [([1, 2], [0.5, 1.0]), ([3], [1.5, 2.0])]
    task = from_data(
        sequences, sequences, sequences, symbols=4, metric=mean_absolute_error, higher_is_better=False, unit="volts"
    )
    (test,) = task.held_out("test")
    stacked = [torch.from_numpy(np.ascontiguousarray(a))[None] for a in (test.targets, test.weights)]
    assert float(task.scores(torch.zeros(1, 2, 2, 2), *stacked)) == pytest.approx(np.mean([0.5, 1, 1.5, 2]))
    assert (task.unit, task.outputs) == ("volts", 2)


def test_the_content_names_the_task():
    parts = part(0), part(1), part(2)
    task = from_data(*parts, classes=3)
    assert from_data(*parts, classes=3) == task
    assert Task.parse(str(task)) == task
    changed = part(2)
    changed[0][0, 0, 0] += 1
    others = [
        from_data(*parts[:2], changed, classes=3),
        from_data(parts[1], parts[0], parts[2], classes=3),
        from_data(*parts, classes=4),
        from_data(*parts, classes=3, threshold=0.9),
        from_data(*parts, classes=3, metric=macro_f1, higher_is_better=True),
    ]
    assert len({task, *others}) == 6


def test_data_of_another_process_are_not_known():
    with pytest.raises(ArgumentError, match=r"digest must be that of data in this process.*module\(factory="):
        OwnData("0123456789abcdef")


NUMBERS = {"classes": None, "validation": (np.zeros((2, 3, 2)), np.zeros(2))}


@pytest.mark.parametrize(
    ("error", "message", "change"),
    [
        (ArgumentError, "higher_is_better must be given with a metric", {"metric": macro_f1}),
        (ArgumentError, "train must hold at least one sequence", {"train": []}),
        (ArgumentError, "train must hold at least one sequence", {"train": (np.zeros((2, 3, 2)), np.zeros(3, int))}),
        (ShapeError, "train must hold sequences of 2 axes", {"train": (np.zeros((2, 3)), np.zeros(2, int))}),
        (ShapeError, "train must hold sequences of 2 axes", {"train": (np.zeros((2, 0, 2)), np.zeros(2, int))}),
        (ShapeError, "train must hold sequences of 2 axes", {"every_step": True}),
        (ShapeError, "differ in length only", {"train": [(np.zeros((3, 2)), 0), (np.zeros((3, 1)), 1)]}),
        (ShapeError, "test must have the features", {"test": (np.zeros((2, 3, 5)), np.zeros(2, int))}),
        (DtypeError, "train y must be integers", {"train": (np.zeros((2, 3, 2)), np.zeros(2))}),
        (ArgumentError, "validation y must be at least 0 and below 2; got 0 to 2", {"classes": 2, "train": part(3, 1)}),
        (DtypeError, "train x must be integers", {"train": (np.zeros((2, 3)), np.zeros(2, int)), "symbols": 3}),
        (NotFiniteError, "train x must be finite", {"train": (np.full((2, 3, 2), np.nan), np.zeros(2, int))}),
        (NotFiniteError, "test x must be finite", {"test": (np.full((2, 3, 2), np.inf), np.zeros(2, int))}),
        (NotFiniteError, "test x must be finite in single", {"test": (np.full((2, 3, 2), 1e300), np.zeros(2, int))}),
        (NotFiniteError, "train y must be finite", {"train": (np.zeros((2, 3, 2)), np.full(2, np.nan)), **NUMBERS}),
        (DtypeError, "train x must be real numbers; got complex128", {"train": (np.full((2, 3, 2), 1j), np.zeros(2))}),
        (DtypeError, "train x must be real numbers; got <U1", {"train": [([["a", "b"]], 1)]}),
        (ArgumentError, r"train must be a tuple of arrays .* got NoneType", {"train": None}),
        (ArgumentError, r"test must be a tuple of arrays .* got an iterable of int", {"test": [1, 2]}),
        (ArgumentError, r"test must be a tuple of arrays .* got str", {"test": "data.csv"}),
        (ArgumentError, r"a tuple of lists\. Make arrays of them, or pairs", {"train": ([[[0.0, 1.0]]], [1])}),
        (ShapeError, "train must hold sequences whose steps are of one size", {"train": [([[0.0, 1.0], [1.0]], 1)]}),
        (ArgumentError, "classes must be a whole number from 1 on, or none; got '2'", {"classes": "2"}),
        (ArgumentError, "classes must be a whole number from 1 on, or none; got 0", {"classes": 0}),
        (ArgumentError, "symbols must be a whole number from 1 on, or none; got True", {"symbols": True}),
        (ArgumentError, "metric must be a function .* got 'f1'", {"metric": "f1", "higher_is_better": True}),
    ],
)
def test_misuse_is_named(error, message, change):
    given = {"train": part(0), "validation": part(1, 50), "test": part(2), "classes": 3} | change
    with pytest.raises(error, match=message):
        from_data(**given)
