"""The character language model on a text made here."""

import math
from collections import Counter

import numpy as np
import pytest
import torch

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import CharacterLanguageModel, Task

TEXT = "ein Traum, ümhüllt; " * 90 + "was ist das?é" * 8 + "ein\nTraum, ist aus: Q" * 5 + "x"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def bounds():
    return len(TEXT) * 90 // 100, len(TEXT) * 95 // 100


def decode(task, numbers):
    """Numbers back to text by the vocabulary of the training part, '�' for what it does not hold."""
    vocabulary = ["�", *sorted(set(TEXT[: bounds()[0]]))]
    assert task.inputs == task.outputs == len(vocabulary)
    return "".join(vocabulary[i] for i in numbers)


def test_windows_are_the_text_and_answers_the_next_character(file):
    task = CharacterLanguageModel(str(file), length=7)
    train = TEXT[: bounds()[0]]
    batch = task.sample(np.random.default_rng(0), 500)
    for x, y in zip(batch.inputs.T, batch.targets.T, strict=True):
        window = decode(task, [*x, y[-1]])
        assert window in train
        assert (x[1:] == y[:-1]).all()
    starts = {decode(task, x) for x in batch.inputs.T}
    assert train[:7] in starts


def test_held_out_windows_stand_side_by_side_and_unseen_characters_are_unknown(file):
    task = CharacterLanguageModel(str(file), length=7)
    known = set(TEXT[: bounds()[0]])
    for split, part in (("validation", TEXT[bounds()[0] : bounds()[1]]), ("test", TEXT[bounds()[1] :])):
        plain = "".join(c if c in known else "�" for c in part)
        batches = list(task.held_out(split))
        found = "".join(decode(task, x) for batch in batches for x in batch.inputs.T)
        answers = "".join(decode(task, y) for batch in batches for y in batch.targets.T)
        windows = (len(part) - 1) // 7
        assert found == plain[: 7 * windows]
        assert answers == plain[1 : 7 * windows + 1]
    assert "�" in found


def test_bits_per_character_of_the_frequencies_are_the_baseline(file):
    task = CharacterLanguageModel(str(file), length=7)
    train = TEXT[: bounds()[0]]
    counts = Counter(train)
    asked = "".join(decode(task, y) for batch in task.held_out("test") for y in batch.targets.T)
    total = len(train) + task.inputs
    expected = -sum(math.log2((counts[c] + 1) / total) for c in asked) / len(asked)
    assert task.baseline == pytest.approx(expected, rel=len(asked) * np.finfo(float).eps)
    (batch,) = task.held_out("test")
    uniform = torch.zeros(1, *batch.targets.shape, task.outputs)
    bits = task.scores(uniform, torch.from_numpy(batch.targets)[None], None)
    # A softmax and a mean in single precision: 0.3 eps measured.
    assert float(bits) == pytest.approx(math.log2(task.outputs), rel=8 * float(np.finfo(np.float32).eps))


def test_the_content_is_a_part_of_the_task(file):
    before = CharacterLanguageModel(str(file), length=8)
    assert Task.parse(str(before)) == before
    assert len(before.digest) == 16
    file.write_text(TEXT + "!", encoding="utf-8")
    assert CharacterLanguageModel(str(file), length=8) != before
    # Its text can still be read, but not other data in its name.
    again = Task.parse(str(before))
    with pytest.raises(ArgumentError, match=f"must name the file whose digest is {before.digest}"):
        again.sample(np.random.default_rng(0), 1)


def test_a_task_whose_file_is_gone_can_be_named_but_not_drawn_from(file):
    task = CharacterLanguageModel(str(file), length=9)
    file.unlink()
    again = Task.parse(str(task))
    with pytest.raises(ArgumentError, match="path must name a text file that can be read"):
        next(again.held_out("test"))


def test_misuse_is_named(file, tmp_path):
    with pytest.raises(ArgumentError, match="path must name a text file; got none"):
        CharacterLanguageModel()
    with pytest.raises(ArgumentError, match="path must name a text file that can be read"):
        CharacterLanguageModel(str(tmp_path / "none.txt"))
    with pytest.raises(ArgumentError, match="length must be at least 1 character"):
        CharacterLanguageModel(str(file), length=0)
    with pytest.raises(ArgumentError, match="must hold more than 1000 characters in every twentieth part"):
        CharacterLanguageModel(str(file), length=1000).sample(np.random.default_rng(0), 1)
    (tmp_path / "latin.txt").write_bytes(TEXT.encode("latin-1"))
    with pytest.raises(ArgumentError, match="must name a text in UTF-8"):
        CharacterLanguageModel(str(tmp_path / "latin.txt")).sample(np.random.default_rng(0), 1)
