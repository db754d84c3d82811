"""``read``: formats by content, folders and shards, and one clear sentence for what is refused."""

import json
import os
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save_file

from unitcircle.checkpoints import _readers, read
from unitcircle.errors import ArgumentError, CheckpointError
from unitcircle.recurrence import RecurrentLayer

STACK = np.random.default_rng(0).standard_normal((16, 4))


def test_layers_are_a_sequence(tmp_path):
    save_file({"a.weight_hh": STACK, "b.weight_hh": STACK + 1}, tmp_path / "model.bin")
    layers = read(str(tmp_path / "model.bin"))
    assert len(layers) == 2
    assert isinstance(layers[0], RecurrentLayer)
    assert [layer.name for layer in layers[1:]] == ["b"]
    assert repr(layers) == "<Layers of model.bin (safetensors): a, b>"
    assert layers.path == tmp_path / "model.bin"
    assert layers[0].source.file == str(tmp_path / "model.bin")


def test_a_file_without_recurrent_weights_is_no_error(tmp_path):
    save_file({"fc.weight": np.eye(4)}, tmp_path / "m")
    layers = read(tmp_path / "m")
    assert repr(layers) == "<Layers of m (safetensors): none>"
    assert layers.coverage.skipped[0].name == "fc.weight"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"\x1f\x8b" + bytes(20), "a gzip archive; unpack it first"),
        (b"GGUF" + bytes(20), "GGUF of version 0; convert it again"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer, not the file itself; run git lfs pull"),
        (bytes(257) + b"ustar", "a tar archive"),
        (b"\x80\x04N.", "it is a pickle, and holds no array of numbers"),
        (b"hello world", "are those of no format that is read here"),
        (b"{}", "JSON without a weight_map"),
        (b"{ nonsense", "no valid JSON"),
        (b'{"a": ' + b"[" * 100_000, "no valid JSON"),
        (b'{"weight_map": {"a": 3}}', "JSON without a weight_map"),
        (b'{"weight_map": {"a": "../../etc/passwd"}}', "names a file outside of its folder"),
        (b'{"weight_map": {"a": ".."}}', "names a file outside of its folder"),
        (b'{"weight_map": {"a": "missing.safetensors"}}', "which is not there"),
        (b'{"weight_map": {"a": "file"}}', "its shard 'file' is no file of weights"),
    ],
)
def test_what_is_refused_is_said(tmp_path, content, message):
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(CheckpointError, match=message) as caught:
        read(tmp_path / "file")
    assert str(caught.value).startswith(str(tmp_path))


def test_what_is_no_file(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be opened \(No such file or directory\)"):
        read(tmp_path / "missing")
    with pytest.raises(CheckpointError, match="cannot be opened"):
        read("nul\0byte")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CheckpointError, match="neither a file nor a folder"):
        read(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "it holds nothing"),
        (["readme.txt"], "it holds 'readme.txt'"),
        (["x/archive_format", "x/models/m.json"], "torch.export program"),
    ],
)
def test_other_zip_archives(tmp_path, names, message):
    with zipfile.ZipFile(tmp_path / "z", "w") as archive:
        for name in names:
            archive.writestr(name, b"x")
    with pytest.raises(CheckpointError, match=message):
        read(tmp_path / "z")


def shards(folder):
    folder.mkdir(exist_ok=True)
    save_file({"lstm.weight_hh_l0": STACK}, folder / "model-1.safetensors")
    save_file({"lstm.weight_ih_l0": STACK[:, :3].copy()}, folder / "model-2.safetensors")
    weight_map = {"lstm.weight_hh_l0": "model-1.safetensors", "lstm.weight_ih_l0": "model-2.safetensors"}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def test_shards_are_one_model(tmp_path):
    index = shards(tmp_path / "model")
    for path in (index, index.parent):
        (layer,) = read(path)
        assert layer.input_size == 3
        np.testing.assert_array_equal(layer.gates["g"], STACK[8:12])


def test_a_folder_of_several_files(tmp_path):
    np.savez(tmp_path / "a.npz", weight_hh=STACK)
    np.save(tmp_path / "b.npy", np.eye(3))
    (tmp_path / "config.json").write_text("{}")
    layers = read(tmp_path)
    assert [layer.hidden_size for layer in layers] == [4, 3]
    assert len(layers.coverage.analysed) == 2
    with pytest.raises(ArgumentError, match="tensors must belong to one file"):
        read(tmp_path, tensors="weight_hh")
    save_file({"x.weight_hh": STACK}, tmp_path / "c.safetensors")
    assert [layer.name for layer in read(tmp_path)] == ["x"]


@pytest.mark.parametrize("layout", ["torch:rnn_relu", "keras:rnn_relu", "torch:linear", "keras:linear"])
def test_a_tensor_chosen_from_several_files_has_the_layout_given(tmp_path, layout):
    W = np.arange(9.0).reshape(3, 3)
    save_file({"core.mixer": W}, tmp_path / "a.safetensors")
    save_file({"core.bias": W[0].copy()}, tmp_path / "b.safetensors")
    assert len(read(tmp_path)) == 0
    # One name needs no list.
    (layer,) = read(tmp_path, tensors="core.mixer", layout=layout)
    assert layer.cell == layout.partition(":")[2]
    assert layer.source.layout == layout.partition(":")[0]
    np.testing.assert_array_equal(layer.gates["h"], W if layout.startswith("torch") else W.T)


@pytest.mark.parametrize("kind", ["folder", "shards", "file", "onnx"])
def test_a_layout_without_tensors_is_refused_whatever_the_format(tmp_path, kind):
    path = tmp_path / "model"
    if kind == "shards":
        path = shards(path)
    elif kind == "folder":
        path.mkdir()
        np.savez(path / "a.npz", weight_hh=STACK)
    elif kind == "file":
        np.savez(path.with_suffix(".npz"), weight_hh=STACK)
        path = path.with_suffix(".npz")
    else:
        path.write_bytes(b"\x08\x07" + struct.pack("<Q", 0))
    with pytest.raises(ArgumentError, match="layout must come with the tensors"):
        read(path, layout="keras")


def test_a_folder_without_checkpoints(tmp_path):
    with pytest.raises(CheckpointError, match=r"holds no checkpoint file$"):
        read(tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    with pytest.raises(CheckpointError, match=r"SavedModel: save it as .keras"):
        read(tmp_path)


def test_an_index_is_bounded_by_the_memory_it_takes(tmp_path, monkeypatch):
    index = shards(tmp_path / "model")
    names = {f"layers.0.experts.{place}.weight": "model-1.safetensors" for place in range(100_000)}
    content = json.loads(index.read_text())
    index.write_text(json.dumps({"weight_map": content["weight_map"] | names}))
    assert index.stat().st_size > 5 << 20
    assert len(read(index)) == 1
    monkeypatch.setattr("unitcircle.checkpoints._room.ALLOWANCE", 0)
    with pytest.raises(CheckpointError, match=r"JSON of [0-9]+ KB that would take .*: refused in case it is hostile"):
        read(index)


def test_a_path_that_vanishes_while_it_is_read(tmp_path, monkeypatch):
    def gone(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("unitcircle.checkpoints._readers.read_npy", gone)
    np.save(tmp_path / "w.npy", np.eye(2))
    with pytest.raises(CheckpointError, match="it cannot be read"):
        read(tmp_path / "w.npy")


@pytest.mark.parametrize(("kind", "content"), [("keras", None), ("hdf5", b"\x89HDF\r\n\x1a\n"), ("onnx", b"\x08\x07")])
def test_readers_of_the_extra_formats_are_reached(tmp_path, kind, content, monkeypatch):
    pytest.importorskip("h5py")
    pytest.importorskip("onnx")
    path = tmp_path / "f"
    if content is None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", b"")
    else:
        path.write_bytes(content + struct.pack("<Q", 0))
    with pytest.raises(CheckpointError):
        read(path)


def test_hdf5_behind_a_user_block(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "u", "w", userblock_size=512) as file:
        file["x"] = np.zeros(2)
    assert read(tmp_path / "u").format == "HDF5"


def test_one_bad_file_does_not_spoil_a_folder(tmp_path):
    np.savez(tmp_path / "good.npz", weight_hh=np.eye(4), weight_ih=np.ones((4, 2)))
    (tmp_path / "empty.bin").write_bytes(b"")
    layers = read(tmp_path)
    assert [layer.cell for layer in layers] == ["rnn_tanh"]
    assert layers.coverage.unread == ("empty.bin was not read: it is empty",)
    (tmp_path / "good.npz").unlink()
    with pytest.raises(CheckpointError, match=r"none of its 1 files can be read; empty.bin: it is empty"):
        read(tmp_path)


def test_a_file_of_a_folder_is_recognised_once(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        np.savez(tmp_path / f"{name}.npz", weight_hh=np.eye(3))
    (tmp_path / "d.npz").touch()
    seen = []
    recognise = _readers.recognise
    monkeypatch.setattr(_readers, "recognise", lambda path: seen.append(path.name) or recognise(path))
    layers = read(tmp_path)
    assert len(layers) == 3
    assert [seen.count(f"{name}.npz") for name in ("a", "b", "c")] == [1, 1, 1]
    assert layers.coverage.unread == ("d.npz was not read: it is empty",)
