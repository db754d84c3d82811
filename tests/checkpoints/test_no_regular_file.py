"""What stands in the place of a file and is none, such as a pipe or a device that never ends, is not opened."""

import json
import os
import socket

import numpy as np
import pytest
from safetensors.numpy import save_file

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names of POSIX")
WEIGHTS = {"rnn.weight_hh_l0": np.eye(4, dtype=np.float32)}
TFJS = {
    "weightsManifest": [{"paths": ["socket"], "weights": [{"name": "k", "shape": [2, 2], "dtype": "float32"}]}],
    "modelTopology": {"model_config": {"class_name": "Sequential", "config": {"layers": []}}},
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The working directory, with a socket: to open it is an error at once, where a pipe would wait for ever."""
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("socket")
        yield tmp_path


@pytest.mark.parametrize("name", ["x.pt", "config.json", "x.safetensors.index.json", "x.npz", ".metadata", "zarr.json"])
@pytest.mark.parametrize("target", ["socket", "loop", "nowhere"])
def test_beside_a_model_it_is_left_out(folder, name, target):
    save_file(WEIGHTS, "model.safetensors")
    (folder / "loop").symlink_to("loop")
    (folder / name).symlink_to(target)
    assert [layer.name for layer in read(folder)] == ["rnn"]


def test_a_folder_that_holds_itself(folder):
    save_file(WEIGHTS, "model.safetensors")
    (folder / "again").symlink_to(".")
    assert len(read(folder)) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("socket", None, "neither a file nor a folder"),
        ("x.safetensors.index.json", {"weight_map": {"a": "socket"}}, "names 'socket', which is not there"),
        ("x.safetensors.index.json", {"weight_map": {"a": "up/x"}}, "a file outside of its folder, 'up/x'"),
        ("model.json", TFJS, "socket"),
    ],
)
def test_where_it_is_named_it_is_refused(folder, name, content, said):
    (folder / "up").symlink_to("..")
    if content is not None:
        (folder / name).write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match=said):
        read(folder / name)
