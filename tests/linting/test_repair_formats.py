"""``--fix`` on files as others write them: compressed, big-endian, in half precision, overlapping, repaired before."""

import io
import json
import zipfile

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save, save_file

import unitcircle as uc
from unitcircle.cli import main
from unitcircle.initializers import parse
from unitcircle.linting import plan_repair

N = 16


def popular(layers=2):
    torch.manual_seed(0)
    model = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(3, N, layers), "head": torch.nn.Linear(N, 2)})
    for name, weight in model.rnn.named_parameters():
        if "weight_hh" in name:
            torch.nn.init.orthogonal_(weight)
    return model


def arrays(model=None):
    return {name: value.numpy() for name, value in (model or popular()).state_dict().items()}


def fix(path, out, **options):
    repair = plan_repair(path, uc.diagnose(path), **options)
    repair.write(out)
    return repair


def codes(path):
    return [finding.code for finding in uc.diagnose(path).findings]


def only_named_tensors_changed(before, after, repair):
    named = {name for change in repair.changes for name in change.tensors}
    assert named
    assert list(before) == list(after)
    for name in before:
        a, b = np.asarray(before[name]), np.asarray(after[name])
        assert a.dtype == b.dtype
        assert (a.tobytes() == b.tobytes()) == (name not in named)


def streamed(path, state):
    """Write an archive as into a pipe: sizes and checksums stand behind the members."""

    class Pipe(io.RawIOBase):
        def writable(self):
            return True

        def write(self, data):
            return target.write(data)

    with path.open("wb") as target, zipfile.ZipFile(Pipe(), "w") as archive:
        for name, value in state.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, value)


WAYS = {
    "compressed": lambda path, state: np.savez_compressed(path, **state),
    "big-endian": lambda path, state: np.savez(path, **{name: value.astype(">f4") for name, value in state.items()}),
    "columns first": lambda path, state: np.savez(path, **{name: np.asfortranarray(v) for name, v in state.items()}),
    "compressed columns": lambda path, state: np.savez_compressed(
        path, **{name: np.asfortranarray(value.astype(">f8")) for name, value in state.items()}
    ),
    "streamed": streamed,
}


@pytest.mark.parametrize("way", WAYS)
def test_archives_of_numpy_however_they_were_written(way, tmp_path):
    path, out = tmp_path / "a.npz", tmp_path / "b.npz"
    WAYS[way](path, arrays())
    repair = fix(path, out)
    with np.load(path) as before, np.load(out) as after:
        only_named_tensors_changed(dict(before), dict(after), repair)
        assert all(before[name].flags.f_contiguous == after[name].flags.f_contiguous for name in before)
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out) as after:
        assert after.testzip() is None
        assert [i.compress_type for i in before.infolist()] == [i.compress_type for i in after.infolist()]
        assert "UC101" in after.comment.decode()
    assert codes(path)
    assert codes(out) == []


def test_big_endian_files_of_torch(tmp_path):
    path, out, native = tmp_path / "be.pt", tmp_path / "fixed.pt", tmp_path / "native.pt"
    state = popular().state_dict()
    torch.save(state, native)
    with zipfile.ZipFile(native) as archive, zipfile.ZipFile(path, "w") as copy:
        for info in archive.infolist():
            data = archive.read(info)
            if info.filename.endswith("/byteorder"):
                data = b"big"
            elif "/data/" in info.filename:
                data = np.frombuffer(data, "<f4").astype(">f4").tobytes()
            copy.writestr(info, data)
    repair = fix(path, out)
    only_named_tensors_changed(state, torch.load(out), repair)
    assert codes(out) == []


@pytest.mark.parametrize("options", [{"mmap": True}, {"weights_only": True}, {"weights_only": False}])
def test_every_way_of_torch_to_load(options, tmp_path):
    path, out = tmp_path / "a.pt", tmp_path / "b.pt"
    state = popular().state_dict()
    torch.save(state, path)
    repair = fix(path, out)
    only_named_tensors_changed(state, torch.load(out, **options), repair)


def test_an_archive_of_more_members_than_16_bits_count(tmp_path):
    path, out = tmp_path / "z.pt", tmp_path / "fixed.pt"
    state = popular().state_dict()
    torch.save(state, path)
    with zipfile.ZipFile(path, "a") as archive:
        for place in range(1 << 16):
            archive.writestr(f"z/x/{place}", "")
    repair = fix(path, out)
    only_named_tensors_changed(state, torch.load(out), repair)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_torchscript_computes_with_the_repaired_weights(tmp_path):
    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = popular().rnn

        def forward(self, x):
            return self.rnn(x)[0]

    path, out = tmp_path / "a.pt", tmp_path / "b.pt"
    torch.jit.script(Net()).save(path)
    fix(path, out)
    traced, net, x = torch.jit.load(out), Net(), torch.randn(4, 2, 3)
    net.load_state_dict(traced.state_dict())
    assert torch.equal(traced(x), net(x))
    assert codes(out) == []


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_radii_and_certificate_are_those_of_the_stored_weights(dtype, tmp_path):
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_file({name: value.to(dtype) for name, value in popular(layers=1).state_dict().items()}, path)
    (change,) = fix(path, out).changes
    blocks = dict(zip("ifgo", load_file(out)["rnn.weight_hh_l0"].chunk(4), strict=True))
    for gate, block in blocks.items():
        assert change.radii[gate][1] == np.abs(np.linalg.eigvals(block.double())).max()
    # A tensor of torch brings its element type: the tolerance is that of half precision, and the residual too.
    worst = max((parse("orthogonal").certificate(block) for block in blocks.values()), key=lambda c: c.residual)
    assert worst.holds
    assert change.certificate.startswith(str(worst))


def test_a_tensor_that_overlaps_a_changed_one_is_named(tmp_path):
    path, out = tmp_path / "a.pt", tmp_path / "b.pt"
    state = popular().state_dict()
    flat = torch.cat([value.reshape(-1) for value in state.values()])
    views, start = {}, 0
    for name, value in state.items():
        views[name] = flat[start : start + value.numel()].view(value.shape)
        start += value.numel()
    torch.save({"flat": flat, **views}, path)
    repair = fix(path, out)
    assert all("flat" in change.tensors for change in repair.changes)
    only_named_tensors_changed({"flat": flat, **views}, torch.load(out), repair)


def head_of(path, change):
    """Let a function change the header of a safetensors file."""
    content = save(popular().state_dict())
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    text += b" " * (3 - len(text) % 8)  # tensors begin at no multiple of 8 bytes
    path.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


@pytest.mark.parametrize(
    "metadata", [None, {}, {"a": "ü\n\"'", "b": "1"}, {"half": "\ud800"}, {"unitcircle": "no JSON"}]
)
def test_metadata_of_safetensors_stay_whatever_they_are(metadata, tmp_path):
    path, out = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    head_of(path, lambda header: header.update(__metadata__=metadata))
    repair = fix(path, out)
    content = out.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    note = json.loads(header["__metadata__"].pop("unitcircle"))
    assert len(note["unitcircle"]) == 2
    assert header["__metadata__"] == {key: text for key, text in (metadata or {}).items() if key != "unitcircle"}
    if not metadata or "half" not in metadata:
        only_named_tensors_changed(arrays(), {name: load_file(out)[name].numpy() for name in arrays()}, repair)


def save_onnx(state, path):
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def info(name, shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    nodes, initializers = [], []
    for layer in range(2):
        gates = np.split(state[f"rnn.weight_hh_l{layer}"], 4)
        weights = {f"W{layer}": np.ones((4 * N, 3 if layer == 0 else N), np.float32),
                   f"R{layer}": np.concatenate([gates[k] for k in (0, 3, 1, 2)])}  # fmt: skip
        initializers += [numpy_helper.from_array(value[None], name) for name, value in weights.items()]
        nodes += [helper.make_node("LSTM", [f"X{layer}", f"W{layer}", f"R{layer}"], [f"Y{layer}"], hidden_size=N),
                  helper.make_node("Squeeze", [f"Y{layer}", "axes"], [f"X{layer + 1}"])]  # fmt: skip
    initializers.append(numpy_helper.from_array(np.array([1]), "axes"))
    graph = helper.make_graph(nodes, "g", [info("X0", [5, 1, 3])], [info("X2", [5, 1, N])], initializers)
    onnx.save(helper.make_model(graph), path)


def notes_of_onnx(path):
    import onnx

    model = onnx.load(path)
    onnx.checker.check_model(model)
    (entry,) = model.metadata_props
    assert entry.key == "unitcircle"
    return entry.value


def notes_of_zip(path):
    with zipfile.ZipFile(path) as archive:
        return archive.comment.decode()


def notes_of_safetensors(path):
    with safe_open(path, "np") as file:
        return file.metadata()["unitcircle"]


def tensors(state):
    return {name: torch.tensor(value) for name, value in state.items()}


NOTES = {
    ".safetensors": (lambda state, path: save_file(tensors(state), path), notes_of_safetensors),
    ".pt": (lambda state, path: torch.save(tensors(state), path), notes_of_zip),
    ".npz": (lambda state, path: np.savez(path, **state), notes_of_zip),
    ".onnx": (save_onnx, notes_of_onnx),
}  # fmt: skip


@pytest.mark.parametrize("suffix", NOTES)
def test_a_second_repair_keeps_the_note_of_the_first(suffix, tmp_path):
    write, note_of = NOTES[suffix]
    state = arrays()
    state["rnn.weight_hh_l1"] = np.random.default_rng(0).uniform(-(N**-0.5), N**-0.5, (4 * N, N)).astype(np.float32)
    path = tmp_path / f"model{suffix}"
    write(state, path)
    first = fix(path, path)
    second = fix(path, path, unsafe=True)
    entries = json.loads(note_of(path))["unitcircle"]
    assert [tuple(entry["codes"]) for entry in entries] == [c.codes for c in (*first.changes, *second.changes)]
    assert "UC104" in second.changes[-1].codes


def test_of_a_note_too_long_for_an_archive_the_rest_is_counted(tmp_path):
    state = {
        f"encoder.of.many.layers.number.{place}.rnn.{name}": value
        for place in range(120)
        for name, value in popular(layers=1).rnn.state_dict().items()
    }
    path, out = tmp_path / "a.pt", tmp_path / "b.pt"
    torch.save(state, path)
    repair = fix(path, out)
    entries = json.loads(notes_of_zip(out))["unitcircle"]
    assert entries[-1] == {"left_out": len(repair.changes) - len(entries) + 1}
    assert "holds" in entries[-2]["certificate"]
    assert torch.load(out).keys() == state.keys()


def test_a_layer_that_a_person_named_is_repaired_by_its_names(tmp_path, capsys):
    path, out = tmp_path / "a.npz", tmp_path / "b.npz"
    state = arrays(popular(layers=1))
    np.savez(path, foo=state["rnn.weight_hh_l0"], bar=state["rnn.weight_ih_l0"], other=np.eye(3))
    named = ["--tensor", "recurrent=foo,input=bar,bias=", "--layout", "torch:lstm"]
    assert main(["diagnose", str(path), *named, "--fix", "-o", str(out)]) == 0
    assert "UC101) in foo" in capsys.readouterr().out
    with np.load(path) as before, np.load(out) as after:
        assert [name for name in before if not np.array_equal(before[name], after[name])] == ["foo"]
        for block in np.split(after["foo"], 4):
            assert parse("orthogonal").certificate(block).holds
