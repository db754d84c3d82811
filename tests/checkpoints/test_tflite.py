"""TensorFlow Lite: recurrent operators, quantized weights, and what a converter has taken apart."""

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError

pytest.importorskip("flatbuffers")
from tests.checkpoints.tflite_builder import Model

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def lstm(model, place="", *, units=4, inputs=3, **quantization):
    """The parts of an LSTM in the operator's order, and the recurrent weights."""

    def stored(name, array):
        if not quantization:
            return model.tensor(name, array)
        scale = np.abs(array).max() / 127
        return model.tensor(name, np.round(array / scale).astype(np.int8), scale=scale)

    U = {gate: random(units, units) for gate in "ifco"}
    kernels = [stored(f"{place}W_{gate}", random(units, inputs)) for gate in "ifco"]
    recurrent = [stored(f"{place}U_{gate}", U[gate]) for gate in "ifco"]
    biases = [model.tensor(f"{place}b_{gate}", random(units)) for gate in "ifco"]
    return [*kernels, *recurrent, -1, -1, -1, *biases, -1, -1], U


def written(path, model):
    path.write_bytes(model.content())
    return path


@pytest.mark.parametrize("code", [16, 44])
def test_an_lstm(tmp_path, code):
    model = Model()
    x, h, c = (model.tensor(name) for name in ("x", "h", "c"))
    parts, U = lstm(model)
    model.operator(code, [x, *parts, h, c], options={0: 4})
    layers = read(written(tmp_path / "m.tflite", model))
    assert layers.format == "TensorFlow Lite"
    (layer,) = layers
    assert (layer.name, layer.cell, layer.input_size, layer.unknown) == ("U_i", "lstm", 3, frozenset())
    for gate, ours in zip("ifco", "ifgo", strict=True):
        np.testing.assert_array_equal(layer.gates[ours], U[gate])
    assert len(layers.coverage.analysed) == 12


def test_a_bidirectional_lstm_in_8_bits(tmp_path):
    model = Model()
    x = model.tensor("x")
    forward, U = lstm(model, "f", quantized=True)
    backward, _ = lstm(model, "b", quantized=True)
    model.operator(52, [x, *forward, *backward])
    layers = read(written(tmp_path / "m.tflite", model))
    assert [(layer.name, layer.direction) for layer in layers] == [("fU_i", "forward"), ("bU_i", "reverse")]
    np.testing.assert_allclose(layers[0].gates["f"], U["f"], atol=np.abs(U["f"]).max() / 127)


def test_scales_of_every_channel_and_a_zero_point(tmp_path):
    model = Model()
    scale = np.array([0.5, 0.25, 0.125])
    codes = RNG.integers(-100, 100, (3, 3)).astype(np.int8)
    x, W, b = model.tensor("x"), model.tensor("W", random(3, 2)), model.tensor("b", random(3))
    U = model.tensor("U", codes, scale=scale, zero=3)
    model.operator(35, [x, W, U, b], options={1: 4})
    (layer,) = read(written(tmp_path / "m.tflite", model))
    np.testing.assert_array_equal(layer.gates["h"], (codes - 3.0) * scale[:, None])


@pytest.mark.parametrize(("code", "slot"), [(24, 0), (35, 1)])
@pytest.mark.parametrize(("activation", "cell"), [(0, "linear"), (1, "rnn_relu"), (4, "rnn_tanh")])
def test_plain_cells(tmp_path, code, slot, activation, cell):
    model = Model()
    parts = [model.tensor("x"), *(model.tensor(name, random(*shape)) for name, shape in
                                  (("W", (4, 2)), ("U", (4, 4)), ("b", (4,))))]  # fmt: skip
    model.operator(code, parts, options={slot: activation})
    (layer,) = read(written(tmp_path / "m.tflite", model))
    assert (layer.name, layer.cell, layer.input_size) == ("U", cell, 2)


def test_the_older_lstm_on_input_and_state_together(tmp_path):
    model = Model()
    stack, bias = random(16, 7), random(16)
    inputs = [model.tensor("x"), model.tensor("h"), model.tensor("kernel", stack), model.tensor("bias", bias)]
    model.operator(16, [*inputs, model.tensor("c")])
    (layer,) = read(written(tmp_path / "m.tflite", model))
    assert layer.input_size == 3
    for place, gate in enumerate("igfo"):
        np.testing.assert_array_equal(layer.gates[gate], stack[4 * place : 4 * place + 4, 3:])
        np.testing.assert_array_equal(layer.biases[gate], bias[4 * place : 4 * place + 4])


def test_half_precision_behind_an_operator_that_widens_it(tmp_path):
    model = Model()
    half, wide = model.tensor("U", random(4, 4).astype(np.float16)), model.tensor("wide", shape=(4, 4))
    model.operator(6, [half], [wide])
    model.operator(24, [model.tensor("x"), model.tensor("W", random(4, 2)), wide, -1], options={0: 4})
    (layer,) = read(written(tmp_path / "m.tflite", model))
    assert (layer.name, layer.source.dtype) == ("U", "float16")


def test_what_is_not_read_is_said(tmp_path):
    model = Model()
    x = model.tensor("x")
    parts, _ = lstm(model)
    parts[8] = model.tensor("peephole", random(4))
    model.operator(44, [x, *parts])
    layers = read(written(tmp_path / "m.tflite", model))
    assert not layers
    assert "UNIDIRECTIONAL_SEQUENCE_LSTM with peepholes" in layers.coverage.unread[0]
    looped = Model()
    looped.operator(119, [looped.tensor("sequential/gru/while/kernel", random(3, 12))])
    unread = read(written(tmp_path / "loop.tflite", looped)).coverage.unread
    assert unread == ("gru that the converter has spread over a loop (WHILE): not read; convert the model to ONNX",)
    window = Model()
    window.operator(27, [window.tensor("x"), window.tensor("features", random(8, 3))])
    coverage = read(written(tmp_path / "svdf.tflite", window)).coverage
    assert "have no recurrent weight" in coverage.notes[0]
    assert not coverage.unread


def test_damage(tmp_path):
    model = Model()
    model.tensor("U", random(4, 4))
    data = model.content()
    for content in (data[:30], data[:4] + data[4:8] + bytes(200), b"\xff\xff\xff\xffTFL3" + data[8:]):
        (tmp_path / "m").write_bytes(content)
        with pytest.raises(CheckpointError, match="truncated or hostile"):
            read(tmp_path / "m")
