"""npz and npy: as NumPy writes them, never with pickled objects."""

import zipfile

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_archives(tmp_path, save):
    stack = RNG.standard_normal((12, 4))
    save(tmp_path / "w.npz", enc_w_hh=np.asfortranarray(stack), enc_w_ih=stack.astype(">f4"), enc_b_hh=stack[:, 0])
    layers = read(tmp_path / "w.npz")
    assert layers.format == "NumPy archive"
    (layer,) = layers
    assert (layer.name, layer.cell) == ("enc", "gru")
    np.testing.assert_array_equal(layer.gates["z"], stack[4:8])
    np.testing.assert_array_equal(layer.inputs["r"], stack[:4].astype(np.float32))
    np.testing.assert_array_equal(layer.recurrent_biases["n"], stack[8:, 0])


def test_pickled_objects_are_named_and_not_read(tmp_path):
    np.savez(tmp_path / "o.npz", weight_hh=np.eye(3), extra=np.array([{}], dtype=object), text=np.array("words"))
    layers = read(tmp_path / "o.npz")
    assert len(layers) == 1
    assert layers.coverage.other == 1
    (entry,) = layers.coverage.skipped
    assert (entry.name, entry.reason) == ("extra", "pickled Python objects, which are never executed")
    np.save(tmp_path / "o.npy", np.array([{}], dtype=object))
    with pytest.raises(CheckpointError, match="pickled Python objects, which are never executed; save"):
        read(tmp_path / "o.npy")


def test_a_bare_square_matrix_is_a_recurrent_weight(tmp_path):
    W = RNG.standard_normal((5, 5))
    np.save(tmp_path / "W.npy", W)
    layers = read(tmp_path / "W.npy")
    assert (layers[0].name, layers[0].cell) == ("W", "rnn_tanh")
    np.testing.assert_array_equal(layers[0].gates["h"], W)
    assert "without a leak, that acts on columns" in layers.coverage.notes[0]
    rows = read(tmp_path / "W.npy", layout="keras:linear")
    np.testing.assert_array_equal(rows[0].gates["h"], W.T)
    assert not rows.coverage.notes


def test_another_bare_array_needs_a_layout(tmp_path):
    np.save(tmp_path / "stack.npy", RNG.standard_normal((20, 5)))
    none = read(tmp_path / "stack.npy")
    assert not none
    assert [entry.name for entry in none.coverage.undecided] == ["stack"]
    (layer,) = read(tmp_path / "stack.npy", tensors="stack", layout="torch")
    assert layer.cell == "lstm"
    (only,) = read(tmp_path / "stack.npy", layout="ofgi")
    np.testing.assert_array_equal(only.gates["i"], layer.gates["o"])


def damaged(tmp_path, change):
    np.save(tmp_path / "W.npy", np.eye(4))
    path = tmp_path / "bad.npy"
    path.write_bytes(change((tmp_path / "W.npy").read_bytes()))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "has 127 bytes: truncated or hostile"),
        (lambda data: data[:30], "header of array 'bad.npy' is damaged"),
        (lambda data: data.replace(b"(4, 4)", b"(4,-4)"), "is damaged"),
        (lambda data: data.replace(b"(4, 4), }" + b" " * 20, b"(4" + b"0" * 20 + b", 4), }"), "damaged or hostile"),
        (lambda data: data.replace(b"(4, 4), }         ", b"(4, 4999999999), }"), "truncated or hostile"),
        (lambda data: data.replace(b"descr", b"dtype"), "is damaged"),
        (lambda data: data[:6] + b"\x02\x00" + b"\xff\xff\xff\x7f" + data[10:], "is damaged"),
    ],
)
def test_damaged_arrays(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        read(damaged(tmp_path, change))


@pytest.mark.parametrize("kind", ["|S0", "<U0", "|S00"])
def test_texts_of_no_length(tmp_path, kind):
    parts = {"data": np.eye(4), "shape": np.array([4, 4]), "format": np.array(b"csr")}
    np.savez(tmp_path / "x.npz", **parts)
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as changed, zipfile.ZipFile(tmp_path / "x.npz") as archive:
        for name in archive.namelist():
            changed.writestr(name, archive.read(name).replace(b"'|S3'", f"'{kind}'".encode()))
    assert len(read(tmp_path / "z.npz")) == 0  # its format is no text, so that it is no sparse matrix


def test_a_member_longer_than_it_says(tmp_path):
    with zipfile.ZipFile(tmp_path / "z.npz", "w") as archive:
        archive.writestr("weight_hh.npy", (damaged(tmp_path, lambda data: data)).read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"array 'weight_hh.npy' claims shape \(4, 4\)"):
        read(tmp_path / "z.npz")
