"""Dynamically quantized PyTorch layers, in every way they are saved, against torch's own dequantized values."""

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.checkpoints._pickle import Global
from unitcircle.checkpoints._quantized import dequantized
from unitcircle.checkpoints._tensor import StoredTensor

torch = pytest.importorskip("torch")
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*torch.ao.quantization.*:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*torch.jit.*"),
    pytest.mark.filterwarnings("ignore:.*TypedStorage.*:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*quantized tensor creation functions.*:UserWarning"),
]
CELLS = {"LSTM": 4, "GRU": 3, "LSTMCell": 4, "GRUCell": 3, "RNNCell": 1}


class Model(torch.nn.Module):
    """A recurrent layer and a readout."""

    def __init__(self, kind, **options):
        super().__init__()
        torch.manual_seed(3)
        self.rec = getattr(torch.nn, kind)(5, 4, **options)
        self.fc = torch.nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(x)


def quantized(kind, dtype=torch.qint8, **options):
    model = Model(kind, **options)
    layers = {getattr(torch.nn, kind), torch.nn.Linear}
    if dtype == "channels":
        spec = dict.fromkeys(layers, torch.ao.quantization.per_channel_dynamic_qconfig)
        return torch.ao.quantization.quantize_dynamic(model, spec)
    return torch.ao.quantization.quantize_dynamic(model, layers, dtype=dtype)


def save(model, way, path):
    if way == "state dict":
        torch.save(model.state_dict(), path)
    elif way == "legacy":
        torch.save(model.state_dict(), path, _use_new_zipfile_serialization=False)
    elif way == "module":
        torch.save(model, path)
    else:
        inner = model.rec if way == "scripted layer" else model
        torch.jit.save(torch.jit.script(inner), path)
    return path


def truth(model):
    """The weights that torch itself uses, by the names of an ordinary layer."""
    layer = model.rec
    if hasattr(layer, "_all_weight_values"):
        found = {}
        for index, values in enumerate(layer._all_weight_values):
            number, reverse = divmod(index, 2 if layer.bidirectional else 1)
            packed = values.param.__getstate__()[0][4]
            for side, part in zip(("ih", "hh"), packed, strict=True):
                weight, bias = part.unpack() if hasattr(part, "unpack") else part.__getstate__()[0]
                end = f"{side}_l{number}{'_reverse' if reverse else ''}"
                found |= {f"weight_{end}": weight, f"bias_{end}": bias}
    else:
        found = {}
        for side, part in (("ih", layer._packed_weight_ih), ("hh", layer._packed_weight_hh)):
            weight, bias = part.__getstate__()[0]
            found |= {f"weight_{side}": weight, f"bias_{side}": bias}
    return {
        name: (tensor.dequantize() if tensor.is_quantized else tensor).detach().numpy()
        for name, tensor in found.items()
        if tensor is not None
    }


def check(path, model, kind):
    values, count = truth(model), CELLS[kind]
    layers = read(path)
    names = [name for name in values if name.startswith("weight_hh")]
    assert len(layers) == len(names)
    for layer in layers:
        end = "" if kind.endswith("Cell") else f"_l{layer.layer}{'_reverse' if layer.direction == 'reverse' else ''}"
        for side, blocks in (("hh", layer.gates), ("ih", layer.inputs)):
            expected = np.split(values[f"weight_{side}{end}"], count)
            np.testing.assert_allclose(list(blocks.values()), expected, rtol=4 * np.finfo(np.float32).eps)
        if f"bias_ih{end}" in values:
            both = values[f"bias_ih{end}"].astype(float) + values[f"bias_hh{end}"]
            biases = np.concatenate([np.ravel(bias) for bias in layer.biases.values()])
            if kind.startswith("LSTM"):
                np.testing.assert_allclose(biases, both, rtol=4 * np.finfo(np.float32).eps)
    return layers


@pytest.mark.parametrize("kind", CELLS)
@pytest.mark.parametrize("dtype", [torch.qint8, torch.float16, "channels"], ids=str)
@pytest.mark.parametrize("way", ["state dict", "legacy", "module", "TorchScript"])
def test_weights_are_those_that_torch_uses(tmp_path, kind, dtype, way):
    model = quantized(kind, dtype)
    layers = check(save(model, way, tmp_path / "model.pt"), model, kind)
    assert [layer.name for layer in layers] == ["rec"]
    assert layers[0].cell.startswith({4: "lstm", 3: "gru", 1: "rnn"}[CELLS[kind]])
    (readout,) = [entry for entry in layers.coverage.skipped if entry.name == "fc.weight"]
    assert readout.reason == "a feed-forward or readout matrix, by its name"


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize(
    "options", [{"num_layers": 2}, {"bidirectional": True}, {"num_layers": 3, "bidirectional": True}]
)
@pytest.mark.parametrize("way", ["state dict", "module", "TorchScript", "scripted layer"])
def test_layers_and_directions(tmp_path, kind, options, way):
    model = quantized(kind, **options)
    layers = check(save(model, way, tmp_path / "model.pt"), model, kind)
    assert not layers.coverage.notes


def test_two_layers_or_two_directions_is_said_where_shapes_do_not_tell(tmp_path):
    model = Model("GRU")
    model.rec = torch.nn.GRU(4, 4, bidirectional=True)
    model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.GRU})
    layers = read(save(model, "state dict", tmp_path / "model.pt"))
    assert [layer.layer for layer in layers] == [0, 1]
    assert layers.coverage.notes == ("rec: two layers or two directions, the file does not say; taken as two layers",)
    assert [layer.direction for layer in read(save(model, "module", tmp_path / "model.pt"))] == ["forward", "reverse"]


def test_an_unknown_quantizer_leaves_a_trace(tmp_path):
    weight = torch.quantize_per_channel(torch.randn(8, 8), torch.ones(8), torch.zeros(8), 0, torch.quint4x2)
    torch.save({"rnn.weight_hh": weight, "other": weight}, tmp_path / "four_bits.pt")
    layers = read(tmp_path / "four_bits.pt")
    sentence = "made by torch._utils._rebuild_qtensor, which is not known here: not read"
    assert layers.coverage.unread == (f"rnn.weight_hh: {sentence}",)
    assert not layers


def test_dequantization_of_a_side_that_is_not_there():
    integers, scales = StoredTensor((2, 2), "int8", lambda: None), StoredTensor((3,), "float64", lambda: None)
    assert dequantized(integers, (Global("torch.per_channel_affine"), scales, scales, 0)) is None
    assert dequantized(integers, (Global("torch.per_channel_affine"), scales, scales, 9)) is None
    assert dequantized(integers, (Global("torch.per_tensor_affine"), "scale", 0)) is None
