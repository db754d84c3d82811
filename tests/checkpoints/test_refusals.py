"""What is not read is called by its right name, with a remedy that works."""

import gzip
import json

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

SAVED_MODEL = b"\x08\x01\x12\x10\x0a\x0e\x0a\x05Const\x1a\x05dtype"
GRAPH = b"\n\x1b\n\x07lstm/in\x12\x0bPlaceholder*\x03abc"


@pytest.mark.parametrize(
    ("name", "content", "what", "remedy"),
    [
        ("saved_model.pb", SAVED_MODEL, "a TensorFlow SavedModel", r"tf.train.load_checkpoint\('FOLDER/variables/var"),
        ("model.pb", SAVED_MODEL, "a TensorFlow SavedModel", "numpy.savez"),
        ("frozen.pb", GRAPH, "a frozen graph of TensorFlow", "python -m tf2onnx.convert --graphdef FILE"),
        ("model.ckpt-3.meta", GRAPH, "the graph of a TensorFlow 1 checkpoint", "load_checkpoint"),
        ("model.ckpt-3.data-00000-of-00001", bytes(64), "a part of a TensorFlow checkpoint", "load_checkpoint"),
        ("model.ckpt-3.index", bytes(64), "a part of a TensorFlow checkpoint", "load_checkpoint"),
        ("checkpoint", b'model_checkpoint_path: "m"', "the list of TensorFlow's checkpoints", "load_checkpoint"),
        ("m.mlmodel", b"\x08\x04\x12\x02\x0a\x00", "a Core ML model", "ONNX"),
        ("w.rds", gzip.compress(b"X\n\0\0\0\3" + bytes(90), mtime=0), "a file of R", r"jsonlite::write_json"),
        ("w.RData", gzip.compress(b"RDX3\nX\n" + bytes(90), mtime=0), "a file of R", "digits = NA"),
        ("W.csv", b"0.1,-2e-3\n0.3,4\n", "a table of numbers", "numpy.loadtxt"),
        ("W.csv", b"a,b\n0.1,-2e-3\n", "a table of numbers", "numpy.loadtxt"),
        ("w.gz", gzip.compress(b"text", mtime=0), "a gzip archive", "unpack it first"),
    ],
)
def test_files(tmp_path, name, content, what, remedy):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"it is {what}.*{remedy}"):
        read(tmp_path / name)


@pytest.mark.parametrize(
    ("names", "what"),
    [
        (["saved_model.pb"], "TensorFlow SavedModel: save it as .keras"),
        (["m.ckpt.index", "m.ckpt.data-00000-of-00001"], "a TensorFlow checkpoint; .*load_checkpoint"),
        (["manifest.ocdbt", "_METADATA"], "orbax checkpoint in an OCDBT database; restore it .*to_bytes"),
        (["W.csv", "U.csv"], "a folder of tables of numbers"),
        (["W.rds"], "a folder of files of R"),
    ],
)
def test_folders(tmp_path, names, what):
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match=rf"it is .*{what}"):
        read(tmp_path)


def test_the_remedies_work(tmp_path):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((12, 4))
    np.savetxt(tmp_path / "lstm_weight_hh.csv", W, delimiter=",")
    arrays = {path.stem: np.loadtxt(path, delimiter=",") for path in tmp_path.glob("*.csv")}
    np.savez(tmp_path / "weights.npz", **arrays)
    assert read(tmp_path / "weights.npz")[0].cell == "gru"
    np.savez(
        tmp_path / "variables.npz", **{"rnn/gru_cell/recurrent_kernel": W.T.copy(), "graph": np.array(b"x", object)}
    )
    assert len(read(tmp_path / "variables.npz")) == 1
    (tmp_path / "weights.json").write_text(json.dumps({"weight_hh": W.round(4).tolist()}))
    assert read(tmp_path / "weights.json")[0].cell == "gru"
