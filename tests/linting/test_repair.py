"""``--fix``: the repaired copy of a file, read back by the frameworks themselves."""

import json
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import unitcircle as uc
from unitcircle.checkpoints import rewrite, tensors_of_file
from unitcircle.cli import main
from unitcircle.errors import CheckpointError
from unitcircle.linting import plan_repair, stored_places

ROOT = Path(__file__).parents[2]
POPULAR = ROOT / "examples" / "popular-lstm.safetensors"
DIGITS = ROOT / "examples" / "digits-gru.safetensors"
SHARED = ROOT.parent / "shared"
N = 8


def popular(cell=torch.nn.LSTM, seed=0):
    """A model initialized the popular way, beside a head that nothing may touch."""
    torch.manual_seed(seed)
    model = torch.nn.ModuleDict({"rnn": cell(3, N, 2), "head": torch.nn.Linear(N, 2)})
    for name, weight in model.rnn.named_parameters():
        if "weight_hh" in name:
            torch.nn.init.orthogonal_(weight)
    return model


def codes(path):
    return [finding.code for finding in uc.diagnose(path).findings]


def fix(path, out, **options):
    repair = plan_repair(path, uc.diagnose(path), **options)
    repair.write(out)
    return repair


def save_legacy(state, path):
    torch.save(state, path, _use_new_zipfile_serialization=False)


def save_npz(state, path):
    np.savez(path, **{name: value.numpy() for name, value in state.items()})


def load_npz(path):
    return {name: torch.as_tensor(value) for name, value in np.load(path).items()}


WRITERS = {
    ".safetensors": (save_file, load_file),
    ".pt": (torch.save, torch.load),
    ".legacy.pt": (save_legacy, torch.load),
    ".npz": (save_npz, load_npz),
}


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("cell", [torch.nn.LSTM, torch.nn.GRU])
def test_gates_are_orthogonal_in_the_framework_and_all_else_is_as_it_was(suffix, cell, tmp_path):
    save, load = WRITERS[suffix]
    model = popular(cell)
    path, out = tmp_path / f"model{suffix}", tmp_path / f"fixed{suffix}"
    save(model.state_dict(), path)
    repair = fix(path, out)
    state = load(out)
    touched = {name for change in repair.changes for name in change.tensors}
    assert {name for name in touched if "weight_hh" in name} == {"rnn.weight_hh_l0", "rnn.weight_hh_l1"}
    assert not any("weight_ih" in name or "head" in name for name in touched)
    for name, value in model.state_dict().items():
        assert torch.equal(state[name], value) == (name not in touched)
    model.load_state_dict(state)
    for layer in range(2):
        for block in (
            getattr(model.rnn, f"weight_hh_l{layer}").detach().double().chunk(4 if cell is torch.nn.LSTM else 3)
        ):
            defect = torch.linalg.norm(block.T @ block - torch.eye(N)).item()
            assert defect < N * np.finfo(np.float32).eps
        if cell is torch.nn.LSTM:
            bias = getattr(model.rnn, f"bias_ih_l{layer}") + getattr(model.rnn, f"bias_hh_l{layer}")
            i, f, g, o = bias.detach().chunk(4)
            assert torch.equal(i, -f)  # chrono: the input gate opens as the forget gate closes
            assert (f > 0).all()
            assert not g.any()
            assert not o.any()
    assert "UC101" in codes(path)
    assert codes(out) == []


def test_every_other_byte_is_as_it_was(tmp_path):
    path, out = tmp_path / "model.pt", tmp_path / "fixed.pt"
    torch.save(popular().state_dict(), path)
    fix(path, out)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out) as after:
        assert after.testzip() is None
        assert before.namelist() == after.namelist()
        changed = [name for name in before.namelist() if before.read(name) != after.read(name)]
        assert json.loads(after.comment)["unitcircle"][0]["layer"] == "rnn"
    assert len(changed) == 6  # two recurrent weights and four biases
    assert all("/data/" in name for name in changed)


def test_a_comment_that_is_there_stays(tmp_path):
    path, out = tmp_path / "model.npz", tmp_path / "fixed.npz"
    save_npz(popular().state_dict(), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"from the lab"
    fix(path, out)
    with zipfile.ZipFile(out) as archive:
        assert archive.comment.startswith(b"from the lab\n{")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_element_types_stay(dtype, suffix, tmp_path):
    save, load = WRITERS[suffix]
    path, out = tmp_path / f"model{suffix}", tmp_path / f"fixed{suffix}"
    model = popular()
    save({name: value.to(dtype) for name, value in model.state_dict().items()}, path)
    fix(path, out)
    state = load(out)
    assert {value.dtype for value in state.values()} == {dtype}
    for block in state["rnn.weight_hh_l0"].double().chunk(4):
        assert torch.linalg.norm(block.T @ block - torch.eye(N)).item() < N * torch.finfo(dtype).eps * 2


def test_the_note_stands_beside_the_metadata_that_were_there(tmp_path):
    path, out = tmp_path / "model.safetensors", tmp_path / "fixed.safetensors"
    save_file(popular().state_dict(), path, metadata={"format": "pt"})
    fix(path, out)
    with safe_open(out, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["format"] == "pt"
    note = json.loads(metadata["unitcircle"])["unitcircle"][0]
    assert note["codes"] == ["UC101", "UC110"]
    assert "holds" in note["certificate"]


def test_strided_and_shared_storages_are_written_in_their_place(tmp_path):
    big = torch.randn(10, 10)
    state = {"part": big[2:5, 3:8], "turned": torch.randn(3, 6).T, "whole": big}
    torch.save(state, tmp_path / "a.pt")
    rewrite(tmp_path / "a.pt", tmp_path / "b.pt", {"part": np.zeros((3, 5)), "turned": np.ones((6, 3))})
    after = torch.load(tmp_path / "b.pt")
    assert not after["part"].any()
    assert torch.equal(after["turned"], torch.ones(6, 3))
    expected = big.clone()
    expected[2:5, 3:8] = 0
    assert torch.equal(after["whole"], expected)


def test_onnx_keeps_its_graph_and_gets_a_property(tmp_path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    stack = np.linalg.qr(rng.standard_normal((4 * N, N)))[0].astype(np.float32)
    weights = {"W": rng.standard_normal((1, 4 * N, 3)).astype(np.float32), "R": stack[None],
               "B": np.zeros((1, 8 * N), np.float32)}  # fmt: skip
    node = helper.make_node("LSTM", ["X", "W", "R", "B"], ["Y"], hidden_size=N, name="lstm")
    graph = helper.make_graph(
        [node], "g", [helper.make_tensor_value_info("X", TensorProto.FLOAT, [5, 1, 3])],
        [helper.make_tensor_value_info("Y", TensorProto.FLOAT, [5, 1, 1, N])],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )  # fmt: skip
    path, out = tmp_path / "model.onnx", tmp_path / "fixed.onnx"
    onnx.save(helper.make_model(graph), path)
    repair = fix(path, out)
    model = onnx.load(out)
    onnx.checker.check_model(model)
    assert model.metadata_props[0].key == "unitcircle"
    after = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    assert np.array_equal(after["W"], weights["W"])
    for block in np.split(after["R"][0].astype(float), 4):
        assert np.linalg.norm(block.T @ block - np.eye(N)) < N * np.finfo(np.float32).eps
    assert repair.changes[0].codes == ("UC101", "UC110")
    assert codes(out) == []


@pytest.mark.parametrize("suffix", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
# Keras's variables have an __array__ of before NumPy 2, through which it saves them.
@pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")
def test_keras_reads_the_repaired_file_back(suffix, cell, tmp_path):
    import keras

    keras.utils.set_random_seed(0)
    layer = getattr(keras.layers, cell)(N, bias_initializer="zeros", name="rnn")
    model = keras.Sequential([keras.Input((5, 3)), layer, keras.layers.Dense(2)])
    path, out = tmp_path / f"model{suffix}", tmp_path / f"fixed{suffix}"
    (model.save_weights if "weights" in suffix else model.save)(path)
    before = [value.copy() for value in model.get_weights()]
    repair = fix(path, out)
    if "weights" in suffix:
        model.load_weights(out)
    else:
        model = keras.models.load_model(out)
    after = model.get_weights()
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    # Keras' default forget bias of 1 is replaced with the length's only where a finding asks for it.
    assert same[0]
    assert not same[1]
    assert same[3:] == [True, True]
    for block in np.split(after[1].astype(float), 4 if cell == "LSTM" else 3, axis=1):
        assert np.linalg.norm(block.T @ block - np.eye(N)) < N * np.finfo(np.float32).eps
    assert repair.changes[0].codes[0] == "UC101"
    assert "UC101" not in codes(out)


def test_a_lost_decay_is_drawn_from_the_law_of_its_authors(tmp_path):
    heads = 16
    weights = {
        "model.layers.0.linear_attn.A_log": torch.log(torch.linspace(1, 16, heads)),
        "model.layers.0.linear_attn.dt_bias": torch.ones(heads),
        "model.layers.0.linear_attn.in_proj_qkvz.weight": torch.randn(8, 8),
        "model.layers.0.linear_attn.conv1d.weight": torch.randn(8, 1, 4),
    }
    path, out = tmp_path / "model.safetensors", tmp_path / "fixed.safetensors"
    save_file(weights, path)
    assert "UC114" in codes(path)
    repair = fix(path, out)
    state = load_file(out)
    step = torch.nn.functional.softplus(state["model.layers.0.linear_attn.dt_bias"].double())
    assert 0.001 * (1 - 1e-3) < step.min() < step.max() < 0.1 * (1 + 1e-3)
    assert repair.changes[0].tensors == ("model.layers.0.linear_attn.dt_bias",)
    assert torch.equal(state["model.layers.0.linear_attn.A_log"], weights["model.layers.0.linear_attn.A_log"])
    assert "UC114" not in codes(out)


def trained():
    model = popular()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(20):
        out, _ = model.rnn(torch.randn(6, 4, 3))
        loss = (model.head(out) ** 2).mean() + out[-1].pow(2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def test_a_trained_layer_is_left_alone_unless_forced(tmp_path):
    path = tmp_path / "model.safetensors"
    model = trained()
    with torch.no_grad():
        model.rnn.weight_hh_l0[:N] = 0  # a finding of a trained layer
    save_file(model.state_dict(), path)
    diagnosis = uc.diagnose(path)
    assert "UC102" in {finding.code for finding in diagnosis.findings}
    repair = plan_repair(path, diagnosis)
    assert not repair.values
    assert any("the layer is trained" in sentence for sentence in repair.left)
    assert plan_repair(path, diagnosis, trained=True).values


def test_weights_with_nan_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    state = popular().state_dict()
    state["rnn.weight_hh_l0"][0, 0] = np.nan
    save_file(state, path)
    repair = plan_repair(path, uc.diagnose(path))
    assert {change.layer for change in repair.changes} == {"rnn l1"}
    assert any("UC105" in sentence for sentence in repair.left)


def test_the_command(tmp_path, capsys):
    path, out = tmp_path / "model.safetensors", tmp_path / "fixed.safetensors"
    path.write_bytes(POPULAR.read_bytes())
    assert main(["diagnose", str(path), "--diff"]) == 1
    shown = capsys.readouterr().out
    assert "ρ of f: 0.558 -> 1.000" in shown
    assert path.read_bytes() == POPULAR.read_bytes()
    assert main(["diagnose", str(path), "--fix", "-o", str(out)]) == 0
    assert "no findings" in capsys.readouterr().out
    assert path.read_bytes() == POPULAR.read_bytes()
    assert main(["diagnose", str(path), "--fix", "-o", str(out)]) == 2
    assert "which exists" in capsys.readouterr().err
    assert main(["diagnose", str(path), "--fix", "--in-place"]) == 0
    assert path.read_bytes() == out.read_bytes()
    capsys.readouterr()
    assert main(["diagnose", str(path), "--fix", "--in-place"]) == 0
    assert "nothing is repaired" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--fix"], "one of -o FIXED and --in-place"),
        (["--fix", "-o", "x", "--in-place"], "both"),
        (["-o", "x"], "must be given with --fix"),
        (["--in-place"], "must be given with --fix"),
        ([str(DIGITS), "--fix", "--in-place"], "one local file"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, words, capsys):
    assert main(["diagnose", str(POPULAR), *options]) == 2
    assert words in capsys.readouterr().err


SHARED_FILES = sorted(
    path
    for folder in ("checkpoints", "cases/files", "cases/lost-init")
    for path in (SHARED / folder).glob("*")
    if path.is_file() and path.suffix not in {".md", ".txt", ".py"} and path.stat().st_size < 64e6
)
FILES = [POPULAR, DIGITS, *SHARED_FILES]


def defective(path, folder):
    """Return a copy of a file with a defect that can be repaired, and its code; None where nothing can have one."""
    for layer in uc.read(path):
        n = layer.hidden_size
        if len(layer.gates) > 1 and layer.projection is None:
            code, part, make = "UC102", ("recurrent", next(iter(layer.gates))), np.zeros
        elif (
            layer.linear is not None and "dt_bias" in layer.linear.family.laws and "dt_bias" in layer.linear.parameters
        ):
            code, part, make = "UC114", ("decay", "dt_bias"), np.ones
        elif layer.gates and layer.projection is None and layer.factors is None and n >= 8:
            draw = np.random.default_rng(0).uniform
            code, part, make = "UC104", ("recurrent", next(iter(layer.gates))), partial(draw, -(n**-0.5), n**-0.5)
        else:
            continue
        places = stored_places(path, [layer])
        if part not in places.of[layer.label]:
            continue
        tensors, indices = places.of[layer.label][part]
        name = places.names[tensors.flat[0]]
        values = np.array(tensors_of_file(path)[name], order="C")
        values.reshape(-1)[indices] = make(indices.shape)
        copy = folder / path.name
        rewrite(path, copy, {name: values})
        return copy, code, layer.label
    return None


@pytest.mark.slow
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_nothing_but_the_tensors_named_changes_in_real_files(path, tmp_path):
    try:
        made = defective(path, tmp_path)
    except CheckpointError as error:
        pytest.skip(str(error))
    if made is None:
        pytest.skip("no layer that can have a defect")
    damaged, code, label = made
    diagnosis = uc.diagnose(damaged)
    if (label, code) not in {(finding.place.layer, finding.code) for finding in diagnosis.findings}:
        pytest.skip(f"{code} is not found: {diagnosis.answer.sentence}")
    repair = plan_repair(damaged, diagnosis, unsafe=True, trained=True)
    out = tmp_path / f"fixed-{path.name}"
    repair.write(out)
    before, after = tensors_of_file(damaged), tensors_of_file(out)
    assert list(before) == list(after)
    named = {name for change in repair.changes for name in change.tensors}
    assert named
    for name in before:
        if name not in named and before.dtype(name) != "object":
            assert before[name].tobytes() == after[name].tobytes()
    left = {(finding.place.layer, finding.code) for finding in uc.diagnose(out).findings}
    assert (label, code) not in left
