"""Programs of torch.export in the layouts of several versions of torch."""

import io
import json
import warnings
import zipfile

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

torch = pytest.importorskip("torch")


class Model(torch.nn.Module):
    """A recurrent layer, a readout, and a buffer that shares the memory of a weight."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.gru = torch.nn.GRU(3, 4, num_layers=2)
        self.fc = torch.nn.Linear(4, 2).bfloat16()

    def forward(self, x):
        return self.fc(self.gru(x)[0].bfloat16())


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    model, path = Model(), tmp_path_factory.mktemp("export") / "model.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(torch.export.export(model, (torch.randn(5, 2, 3),)), path)
    return model, path


def check(layers, model):
    assert layers.format == "torch.export"
    assert [(layer.name, layer.cell, layer.layer) for layer in layers] == [("gru", "gru", 0), ("gru", "gru", 1)]
    for layer in layers:
        stack = np.concatenate(list(layer.inputs.values()))
        np.testing.assert_array_equal(stack, getattr(model.gru, f"weight_ih_l{layer.layer}").detach())
    assert not layers.coverage.unread


def test_the_layout_of_this_torch(exported):
    model, path = exported
    check(read(path), model)


@pytest.mark.parametrize(
    "name", ["serialized_state_dict.pt", "serialized_state_dict.json", "archive/data/weights/model.pt"]
)
def test_older_layouts_hold_a_state_dict(tmp_path, name):
    model, buffer = Model(), io.BytesIO()
    torch.save(model.state_dict(), buffer)
    with zipfile.ZipFile(tmp_path / "old.pt2", "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr(name, buffer.getvalue())
        archive.writestr("serialized_constants.pt", buffer.getvalue())
        archive.writestr("version", "4.1")
    check(read(tmp_path / "old.pt2"), model)


def entry(**changes):
    meta = {"dtype": 8, "sizes": [{"as_int": 3}, {"as_int": 3}], "strides": [{"as_int": 1}, {"as_int": 3}]}
    meta |= {"storage_offset": {"as_int": 1}} | changes
    return {"path_name": "weight_0", "is_param": True, "use_pickle": False, "tensor_meta": meta}


def package(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("p/data/weights/model_weights_config.json", json.dumps(entries))
        archive.writestr("p/data/weights/weight_0", np.arange(10.0).tobytes())
    return path


def test_views_of_one_storage(tmp_path):
    config = {"a.weight_hh": entry(), "b.weight_hh": entry(), "c.weight_hh": entry(storage_offset={"as_int": 0})}
    layers = read(package(tmp_path / "views.pt2", {"config": config}))
    assert [layer.name for layer in layers] == ["a", "c"]
    np.testing.assert_array_equal(layers[0].gates["h"], np.arange(1.0, 10).reshape(3, 3).T)
    assert layers.coverage.skipped[0].reason == "the same memory as a.weight_hh"


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype": 31},
        {"sizes": [{"as_expr": "s0"}, {"as_int": 3}]},
        {"sizes": [{"as_int": 3}]},
        {"sizes": [{"as_int": True}, {"as_int": 3}]},
        {"strides": [3, 1]},
        {"storage_offset": {"as_int": -1}},
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, changes):
    layers = read(package(tmp_path / "odd.pt2", {"config": {"a.weight_hh": entry(**changes)}}))
    assert not layers
    assert layers.coverage.notes == ("a.weight_hh: a subclass of tensor, or one without numbers for sizes: not read",)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([], "does not list the weights"),
        ({"config": 3}, "does not list the weights"),
        ({"config": {"a.weight_hh": entry(storage_offset={"as_int": 2})}}, "does not lie inside its storage"),
        ({"config": {"a.weight_hh": entry() | {"path_name": "weight_1"}}}, "has no member"),
    ],
)
def test_damage_is_said(tmp_path, entries, message):
    with pytest.raises(CheckpointError, match=message):
        read(package(tmp_path / "bad.pt2", entries))


def test_a_program_without_weights_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "compiled.pt2", "w") as archive:
        archive.writestr("m/archive_format", "pt2")
        archive.writestr("m/data/aotinductor/model/x.so", b"")
    with pytest.raises(CheckpointError, match=r"a compiled torch\.export program without weights"):
        read(tmp_path / "compiled.pt2")
