"""PyTorch files of every age, as torch itself writes them, read without torch."""

import io
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

torch = pytest.importorskip("torch")


@pytest.fixture
def module():
    torch.manual_seed(1)
    return torch.nn.ModuleDict(
        {
            "rnn": torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True, proj_size=2),
            "cell": torch.nn.GRUCell(3, 4),
            "plain": torch.nn.RNN(3, 4, nonlinearity="relu"),
            "readout": torch.nn.Linear(4, 4),
        }
    )


def check(layers, module, *, relu=True):
    assert [layer.name for layer in layers] == ["rnn"] * 4 + ["cell", "plain"]
    assert [(layer.layer, layer.direction) for layer in layers[:4]] == [
        (0, "forward"),
        (0, "reverse"),
        (1, "forward"),
        (1, "reverse"),
    ]
    state = module.state_dict()
    for layer, end in zip(layers[:4], ("l0", "l0_reverse", "l1", "l1_reverse"), strict=True):
        stack = np.concatenate(list(layer.projected_gates.values()))
        np.testing.assert_array_equal(stack, state[f"rnn.weight_hh_{end}"].numpy())
        np.testing.assert_array_equal(np.concatenate(list(layer.inputs.values())), state[f"rnn.weight_ih_{end}"])
        both = state[f"rnn.bias_ih_{end}"].double() + state[f"rnn.bias_hh_{end}"].double()
        np.testing.assert_array_equal(np.concatenate(list(layer.biases.values())), both)
    np.testing.assert_array_equal(layers[4].gates["n"], state["cell.weight_hh"][8:])
    assert layers[5].cell == ("rnn_relu" if relu else "rnn_tanh")
    (readout,) = [entry for entry in layers.coverage.skipped if entry.name.endswith("readout.weight")]
    assert readout.reason == "a feed-forward or readout matrix, by its name"


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 4])
def test_state_dict(module, tmp_path, zipped, protocol):
    torch.save(
        module.state_dict(),
        tmp_path / "any.name",
        _use_new_zipfile_serialization=zipped,
        pickle_protocol=protocol,
    )
    layers = read(tmp_path / "any.name")
    assert layers.format == ("PyTorch" if zipped else "PyTorch (legacy)")
    check(layers, module, relu=False)
    assert layers[0].source.dtype == "float32"
    assert any("taken as tanh" in note for note in layers.coverage.notes)


@pytest.mark.parametrize("zipped", [True, False])
def test_whole_module(module, tmp_path, zipped):
    torch.save(module, tmp_path / "module.pt", _use_new_zipfile_serialization=zipped)
    layers = read(tmp_path / "module.pt")
    check(layers, module)
    assert not layers.coverage.notes


def test_torchscript(module, tmp_path):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(3, 4)

        def forward(self, x):
            return self.lstm(x)[0]

    model = Model()
    # A FutureWarning since torch 2.15.
    with pytest.warns((DeprecationWarning, FutureWarning), match="torch.jit"):
        scripted = torch.jit.script(model)
    with pytest.warns((DeprecationWarning, FutureWarning), match="torch.jit"):
        torch.jit.save(scripted, tmp_path / "model")
    layers = read(tmp_path / "model")
    assert layers.format == "TorchScript"
    (layer,) = layers
    np.testing.assert_array_equal(layer.gates["f"], model.lstm.weight_hh_l0.detach()[4:8])
    assert layer.name == "lstm"


def test_a_checkpoint_with_its_optimizer(tmp_path):
    module = torch.nn.LSTM(3, 4)
    moments = {k: {"step": 1, "exp_avg": torch.zeros_like(p)} for k, p in enumerate(module.parameters())}
    content = {
        "epoch": 3,
        "model": module.state_dict(),
        "optimizer": {"state": moments, "param_groups": [{"lr": 1e-3}]},
    }
    torch.save(content, tmp_path / "last.tar")
    layers = read(tmp_path / "last.tar")
    assert [layer.name for layer in layers] == ["model"]
    assert layers.coverage.skipped == ()
    assert layers.coverage.notes == ("4 moments of an optimizer are left out",)


def test_a_lightning_checkpoint_has_the_names_of_its_state_dict(tmp_path):
    module = torch.nn.ModuleDict({"rnn": torch.nn.GRU(3, 4)})
    moments = {k: {"step": torch.tensor(1.0), "exp_avg": torch.zeros(8, 8)} for k in range(4)}
    content = {
        "epoch": 3,
        "hyper_parameters": {"lr": 1e-3, "alpha": 0.1},
        "state_dict": module.state_dict(),
        "optimizer_states": [{"state": moments, "param_groups": [{"alpha": 0.99}]}],
    }
    torch.save(content, tmp_path / "last.ckpt")
    layers = read(tmp_path / "last.ckpt")
    assert layers[0].source.tensors[:2] == ("rnn.weight_hh_l0", "rnn.weight_ih_l0")
    assert "8 moments of an optimizer are left out" in layers.coverage.notes
    assert not [entry for entry in layers.coverage.skipped if "exp_avg" in entry.name]


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "float8_e5m2"])
def test_precisions(tmp_path, dtype):
    weight = torch.randn(12, 4).to(getattr(torch, dtype))
    torch.save({"weight_hh": weight}, tmp_path / "low.pt")
    (layer,) = read(tmp_path / "low.pt")
    assert layer.source.dtype == dtype
    np.testing.assert_array_equal(layer.gates["z"], weight[4:8].double().numpy())


def test_views_parameters_and_aliases_of_one_memory(tmp_path):
    base = torch.randn(8, 8)
    state = OrderedDict(
        a=OrderedDict(weight_hh=base.t()),
        b=OrderedDict(weight_hh=base.t()),
        c=OrderedDict(weight_hh=torch.nn.Parameter(base[2:6, 1:5])),
    )
    torch.save(state, tmp_path / "views.pt")
    layers = read(tmp_path / "views.pt")
    assert [layer.name for layer in layers] == ["a", "c"]
    np.testing.assert_array_equal(layers[0].gates["h"], base.t())
    np.testing.assert_array_equal(layers[1].gates["h"], base[2:6, 1:5])
    assert layers.coverage.skipped[0].reason == "the same memory as a.weight_hh"


def test_a_subclass_of_tensor_is_its_tensor(tmp_path):
    class Named(torch.Tensor):
        pass

    weight = torch.randn(3, 3).as_subclass(Named)
    weight.note = "attribute"
    globals()["Named"] = Named
    Named.__qualname__ = "Named"
    torch.save({"weight_hh": weight}, tmp_path / "subclass.pt")
    (layer,) = read(tmp_path / "subclass.pt")
    np.testing.assert_array_equal(layer.gates["h"], weight.as_subclass(torch.Tensor).numpy())


def test_big_endian_files(tmp_path):
    weight = np.arange(9.0, dtype=np.float32).reshape(3, 3)
    torch.save({"weight_hh": torch.from_numpy(weight)}, tmp_path / "little.pt")
    with zipfile.ZipFile(tmp_path / "little.pt") as old, zipfile.ZipFile(tmp_path / "big.pt", "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("byteorder"):
                content = b"big"
            elif name.endswith("data/0"):
                content = np.frombuffer(content, "<f4").astype(">f4").tobytes()
            new.writestr(name, content)
    np.testing.assert_array_equal(read(tmp_path / "big.pt")[0].gates["h"], weight)


def legacy(tmp_path, change):
    buffer = io.BytesIO()
    torch.save({"weight_hh": torch.eye(3)}, buffer, _use_new_zipfile_serialization=False)
    path = tmp_path / "legacy.pt"
    path.write_bytes(change(buffer.getvalue()))
    return path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:-1], "is truncated"),
        (lambda data: data[:-38], "list of its storages is damaged or truncated"),
        (lambda data: data[:-44] + struct.pack("<q", -1) + data[-36:], "is truncated"),
        (lambda data: data[:-44] + struct.pack("<q", 1 << 50) + data[-36:], "is truncated"),
        (lambda data: data[:-44] + struct.pack("<q", 8) + data[-36:], "does not lie inside its storage of 8"),
        (lambda data: data[:40], "pickle"),
        (lambda data: data[: data.rindex(b"\x80\x02]")] + b"\x80\x02].", "storage '.*' is missing"),
        (lambda data: data.replace(b"\xfc\x9cF\xf9", b"\xfc\x9cF\xf8"), "its pickle is damaged"),
    ],
)
def test_damaged_legacy_files(tmp_path, change, message):
    with pytest.raises(CheckpointError, match=message):
        read(legacy(tmp_path, change))


def replaced(tmp_path, old, new):
    """A zip file whose pickle says something else."""
    torch.save({"weight_hh": torch.eye(3)}, tmp_path / "good.pt")
    with zipfile.ZipFile(tmp_path / "good.pt") as good, zipfile.ZipFile(tmp_path / "bad.pt", "w") as bad:
        for name in good.namelist():
            content = good.read(name)
            if name.endswith("data.pkl"):
                assert old in content
                content = content.replace(old, new)
            bad.writestr(name, content)
    return tmp_path / "bad.pt"


SHAPE = b"K\x03K\x03\x86"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (SHAPE, b"K\x09K\x03\x86", "does not lie inside its storage of 9 elements"),
        (SHAPE, b"NK\x03\x86", "shape or strides are no numbers"),
        (SHAPE, b"K\x03\x85", "shape or strides are no numbers"),
        (SHAPE, b"J\xff\xff\xff\xffK\x03\x86", "out of range"),
        (b"storage", b"garbage", "described in a way that cannot be read"),
        (b"FloatStorage", b"QInt8Storage", None),
        (b"_rebuild_tensor_v2", b"_rebuild_tensor_v9", None),
        (b"X\x01\x00\x00\x000", b"X\x01\x00\x00\x009", "no member"),
    ],
)
def test_a_pickle_that_lies_about_its_tensors(tmp_path, old, new, message):
    path = replaced(tmp_path, old, new)
    if message is None:
        layers = read(path)
        assert not layers
    else:
        with pytest.raises(CheckpointError, match=message):
            read(path)


def test_two_pickles_or_none_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "two.pt", "w") as archive:
        archive.writestr("a/data.pkl", b"N.")
        archive.writestr("b/data.pkl", b"N.")
    with pytest.raises(CheckpointError, match=r"should hold one data.pkl and holds 2"):
        read(tmp_path / "two.pt")
