"""Zip archives that hold checkpoint files, such as those of Stable-Baselines3."""

import io
import pickle
import zipfile

import numpy as np
import pytest
from safetensors.numpy import save

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

RNG = np.random.default_rng(0)
WEIGHTS = {"rnn.weight_hh_l0": RNG.standard_normal((32, 8)), "rnn.weight_ih_l0": RNG.standard_normal((32, 4))}


def archive(path, compression=zipfile.ZIP_STORED, **members):
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "."), content)
    return path


def torch_bytes(content, *, zipped=True):
    torch = pytest.importorskip("torch")
    buffer = io.BytesIO()
    tensors = {
        name: torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in content.items()
    }
    torch.save(tensors, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("zipped", [True, False])
def test_an_archive_of_stable_baselines(tmp_path, compression, zipped):
    optimizer = {"state": {0: {"exp_avg": RNG.standard_normal((8, 8))}}}
    path = archive(
        tmp_path / "agent.zip",
        compression,
        data="{}",
        policy__optimizer__pth=torch_bytes(optimizer),
        policy__pth=torch_bytes(WEIGHTS, zipped=zipped),
        pytorch_variables__pth=torch_bytes({}),
        _stable_baselines3_version="2.3.0",
    )
    layers = read(path)
    assert layers.format == "archive of checkpoints"
    assert [(layer.name, layer.cell) for layer in layers] == [("rnn", "lstm")]
    np.testing.assert_array_equal(np.concatenate(list(layers[0].gates.values())), WEIGHTS["rnn.weight_hh_l0"])
    assert layers.coverage.notes == ("policy.optimizer.pth: the state of an optimizer, left out",)
    assert not layers.coverage.unread


def npz_bytes():
    buffer = io.BytesIO()
    np.savez(buffer, **WEIGHTS)
    return buffer.getvalue()


def test_every_kind_of_member_is_read_under_its_name(tmp_path):
    path = archive(
        tmp_path / "all.zip",
        a__safetensors=save(WEIGHTS),
        b__npz=npz_bytes(),
        c__pkl=pickle.dumps(WEIGHTS),
        d__pth=torch_bytes(WEIGHTS),
        e__onnx=b"\x08\x07",
    )
    layers = read(path)
    assert [layer.name for layer in layers] == ["a.rnn", "b.rnn", "c.rnn", "d.rnn"]
    assert layers.coverage.unread == ("e.onnx: unpack the archive and diagnose this file: not read",)


def test_a_bad_member_does_not_spoil_a_good_one(tmp_path):
    layers = read(archive(tmp_path / "mixed.zip", good__pkl=pickle.dumps(WEIGHTS), bad__bin=b"words", empty__bin=b""))
    assert [layer.name for layer in layers] == ["rnn"]
    assert [sentence.partition(":")[0] for sentence in layers.coverage.unread] == ["bad.bin", "empty.bin"]
    with pytest.raises(CheckpointError, match=r"bad.bin: its first bytes b'words' are those of no format"):
        read(archive(tmp_path / "bad.zip", bad__bin=b"words"))
    with pytest.raises(CheckpointError, match=r"net.bin: ONNX inside of an archive; unpack it first"):
        read(archive(tmp_path / "onnx.zip", net__bin=b"\x08\x07\x12\x00"))


def test_archives_share_what_they_may_unpack_to(tmp_path, monkeypatch):
    monkeypatch.setattr("unitcircle.checkpoints._room.ALLOWANCE", 100_000)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as file:
        header = io.BytesIO()
        np.save(header, np.zeros((100, 100)))
        file.writestr("rnn.weight_hh.npy", header.getvalue())
    members = {f"m{index}__npz": bomb.getvalue() for index in range(4)}
    with pytest.raises(CheckpointError, match=r"unpacks to would take .*: refused in case it is hostile"):
        read(archive(tmp_path / "bombs.zip", zipfile.ZIP_DEFLATED, **members))
