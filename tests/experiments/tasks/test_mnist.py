"""Sequential MNIST on small IDX files made here, and on the published ones where they are."""

import gzip
import hashlib
from pathlib import Path

import numpy as np
import pytest
from tests.printed import half_unit

from unitcircle.errors import ArgumentError
from unitcircle.experiments.tasks import Mnist, _mnist

SHARED = Path(__file__).parents[4] / "shared" / "data" / "mnist"


def idx(array):
    header = b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    return gzip.compress(header + array.tobytes(), mtime=0)


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A folder of 30 + 12 digits, ten of them for validation, whose checksums count as the published ones."""
    rng, arrays, checksums = np.random.default_rng(0), {}, {}
    for name in _mnist.FILES:
        number = 30 if name.startswith("train") else 12
        shape = (number, 28, 28) if "images" in name else (number,)
        arrays[name] = rng.integers(10 if "labels" in name else 256, size=shape, dtype=np.uint8)
        (tmp_path / name).write_bytes(idx(arrays[name]))
        checksums[name] = "md5:" + hashlib.md5((tmp_path / name).read_bytes()).hexdigest()
    monkeypatch.setattr(_mnist, "FILES", checksums)
    monkeypatch.setattr(_mnist, "VALIDATION", 10)
    monkeypatch.setattr(_mnist, "HELD_OUT_BATCH", 8)
    return tmp_path, list(arrays.values())


def test_pixels_come_row_by_row_with_their_label_from_the_right_part(small):
    folder, (images, labels, test_images, test_labels) = small
    task = Mnist(validation=10, folder=str(folder))
    train = task.sample(np.random.default_rng(0), 300)
    assert train.inputs.shape == (784, 300, 1)
    rows = {(tuple(image.ravel() / np.float32(255)), label) for image, label in zip(images[:20], labels, strict=False)}
    assert {(tuple(x), y) for x, y in zip(train.inputs[:, :, 0].T, train.targets, strict=True)} == rows
    for split, pixels, expected in (
        ("validation", images[20:], labels[20:]),
        ("test", test_images, test_labels),
    ):
        batches = list(task.held_out(split))
        assert [len(batch) for batch in batches] == [8, len(expected) - 8]
        found = np.concatenate([batch.inputs for batch in batches], 1)[:, :, 0].T
        np.testing.assert_array_equal(found, pixels.reshape(-1, 784) / np.float32(255))
        np.testing.assert_array_equal(np.concatenate([batch.targets for batch in batches]), expected)


def test_fewer_digits_validate_if_asked_and_training_and_test_stay(small):
    folder, (images, labels, *_) = small
    few, all_ten = (Mnist(validation=count, folder=str(folder)) for count in (3, 10))
    (batch,) = few.held_out("validation")
    np.testing.assert_array_equal(batch.inputs[:, :, 0].T, images[20:23].reshape(-1, 784) / np.float32(255))
    np.testing.assert_array_equal(batch.targets, labels[20:23])
    trained = [task.sample(np.random.default_rng(0), 50).inputs for task in (few, all_ten)]
    np.testing.assert_array_equal(*trained)
    assert [len(b) for b in few.held_out("test")] == [len(b) for b in all_ten.held_out("test")]
    for wrong in (0, 11):
        with pytest.raises(ArgumentError, match="validation must be from 1 to 10 digits"):
            Mnist(validation=wrong)


def test_permuted_pixels_are_all_in_the_order_of_the_literature(small):
    folder, _ = small
    plain, permuted = (
        Mnist(permuted=p, validation=10, folder=str(folder)).sample(np.random.default_rng(0), 5) for p in (False, True)
    )
    order = np.random.RandomState(92916).permutation(784)
    np.testing.assert_array_equal(permuted.inputs, plain.inputs[order])
    np.testing.assert_array_equal(permuted.targets, plain.targets)
    other = Mnist(permuted=True, seed=1, validation=10, folder=str(folder)).sample(np.random.default_rng(0), 5)
    assert not np.array_equal(other.inputs, permuted.inputs)


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path):
    for name in _mnist.FILES:
        (tmp_path / name).write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    task = Mnist(folder=str(tmp_path))
    with pytest.raises(ArgumentError, match="must be the published file"):
        task.sample(np.random.default_rng(0), 1)
    with pytest.raises(ArgumentError, match=r"folder must hold train-images-idx3-ubyte\.gz"):
        Mnist(folder=str(tmp_path / "empty")).sample(np.random.default_rng(0), 1)


@pytest.mark.parametrize("shape", [(3,), (2, 3), (2, 3, 4), (0, 5)])
def test_idx_files_are_read_back(tmp_path, shape):
    array = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8)
    (tmp_path / "a.gz").write_bytes(idx(array))
    np.testing.assert_array_equal(_mnist.read_idx(tmp_path / "a.gz"), array)


GOOD = gzip.decompress(idx(np.arange(6, dtype=np.uint8).reshape(2, 3)))


@pytest.mark.parametrize(
    "content",
    [
        gzip.compress(b"", mtime=0),
        gzip.compress(b"\0\0\x08", mtime=0),
        gzip.compress(b"\0\0\x0d\x01" + GOOD[4:], mtime=0),
        gzip.compress(GOOD[:7], mtime=0),
        gzip.compress(GOOD[:-1], mtime=0),
        gzip.compress(GOOD + b"!", mtime=0),
        gzip.compress(b"\0\0\x08\x02" + b"\xff" * 8 + b"!", mtime=0),
        idx(np.zeros(500, np.uint8))[:-9],
        GOOD,
    ],
    ids=["empty", "short magic", "floats", "short shape", "short", "long", "huge", "cut", "not gzipped"],
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ArgumentError, match=r"path must be an? (gzipped )?IDX file"):
        _mnist.read_idx(tmp_path / "a.gz")


@pytest.mark.skipif(not SHARED.exists(), reason="the folder of published digits is not here")
def test_the_published_files_are_read():
    task = Mnist(folder=str(SHARED))
    batches = list(task.held_out("test"))
    labels = np.concatenate([batch.targets for batch in batches])
    # The first ten test digits as everyone knows them; the commonest digit is 11 % of the set.
    assert labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert sum(len(batch) for batch in task.held_out("validation")) == 10_000
    # The mean that everybody normalizes the training pixels by.
    assert _mnist._digits("train", str(SHARED))[0].mean() / 255 == pytest.approx(0.1307, abs=half_unit(4))


def test_its_title_says_where_the_files_are_if_that_was_said():
    assert Mnist(validation=500).title == "mnist(validation=500)"
    task = Mnist(permuted=True, folder="here")
    assert task.title == str(task) == "mnist(permuted=true, seed=92916, validation=10000, folder=here)"
