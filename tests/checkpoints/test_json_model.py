"""Weights in JSON: nested lists under any names, RTNeural, Neural Amp Modeler."""

import json

import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import from_keras, step

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def saved(path, document):
    path.write_text(json.dumps(document, default=np.ndarray.tolist))
    return path


def test_a_state_dict_of_nested_lists(tmp_path):
    weights = {"rec.weight_ih_l0": random(16, 1), "rec.weight_hh_l0": random(16, 4), "rec.bias_ih_l0": random(16)}
    options = {"unit_type": "LSTM", "hidden_size": 4}
    state = weights | {"lin.weight": random(1, 4)}
    layers = read(saved(tmp_path / "m.json", {"model_data": options, "state_dict": state}))
    assert layers.format == "JSON"
    (layer,) = layers
    assert (layer.name, layer.cell, layer.input_size, layer.source.dtype) == ("rec", "lstm", 1, "float32")
    np.testing.assert_array_equal(layer.gates["g"], weights["rec.weight_hh_l0"][8:12])
    assert layers.coverage.other == 1


def test_plain_names_and_double_precision(tmp_path):
    (layer,) = read(saved(tmp_path / "m.json", {"model": {"Whh": RNG.standard_normal((4, 4)), "Wxh": random(4, 2)}}))
    assert (layer.cell, layer.input_size, layer.source.dtype) == ("rnn_tanh", 2, "float64")


def test_an_array_whose_shape_stands_beside_its_numbers(tmp_path):
    W = random(12, 4)
    (layer,) = read(saved(tmp_path / "m.json", {"a.weight_hh": {"shape": [12, 4], "data": W.ravel()}}))
    np.testing.assert_array_equal(layer.gates["z"], W[4:8])


@pytest.mark.parametrize(("cell", "gates"), [("lstm", 4), ("gru", 3)])
def test_rtneural_is_read_as_keras(tmp_path, cell, gates):
    weights = [random(1, gates * 5), random(5, gates * 5), random(*([2] if cell == "gru" else []), gates * 5)]
    dense = {"type": "dense", "shape": [None, None, 1], "weights": [random(5, 1), random(1)]}
    recurrent = {"type": cell, "activation": "", "shape": [None, None, 5], "weights": weights}
    path = saved(tmp_path / "m.json", {"in_shape": [None, None, 1], "layers": [recurrent, dense]})
    layers = read(path)
    assert layers.format == "RTNeural JSON"
    (layer,) = layers
    expected = from_keras(weights[1], cell=cell, kernel=weights[0], bias=weights[2])
    x, h = random(1), random(layer.state_size)
    np.testing.assert_array_equal(step(layer, x, h), step(expected, x, h))
    assert layers.coverage.other == 2


def test_an_rtneural_layer_that_does_not_fit_is_not_read(tmp_path):
    layer = {"type": "gru", "weights": [random(1, 15), random(5, 15)]}
    layers = read(saved(tmp_path / "m.json", {"in_shape": [1], "layers": [layer]}))
    assert not layers
    assert layers.coverage.unread == ("layers.0 is a layer of type gru whose weights do not fit together: not read",)


def amp_model(n, m, layers, kind="LSTM"):
    stacks = [(random(4 * n, (n if place else m) + n), random(4 * n)) for place in range(layers)]
    flat = [np.concatenate([stack.ravel(), bias, random(2 * n)]) for stack, bias in stacks]
    config = {"input_size": m, "hidden_size": n, "num_layers": layers}
    return stacks, {"architecture": kind, "config": config, "weights": np.concatenate([*flat, random(n + 1)])}


def test_neural_amp_modeler(tmp_path):
    stacks, document = amp_model(5, 1, 2)
    layers = read(saved(tmp_path / "m.nam", document))
    assert layers.format == "Neural Amp Modeler"
    assert [(layer.name, layer.input_size) for layer in layers] == [("lstm.0", 1), ("lstm.1", 5)]
    for layer, (stack, bias) in zip(layers, stacks, strict=True):
        np.testing.assert_array_equal(layer.gates["f"], stack[5:10, -5:])
        np.testing.assert_array_equal(layer.inputs["o"], stack[15:, :-5])
        np.testing.assert_array_equal(layer.biases["g"], bias[10:15])


def test_other_amp_models(tmp_path):
    _, document = amp_model(5, 1, 2)
    layers = read(saved(tmp_path / "m.nam", document | {"weights": document["weights"][:-1]}))
    assert not layers
    assert "do not fit an architecture LSTM" in layers.coverage.unread[0]
    assert read(saved(tmp_path / "m.nam", document | {"architecture": "CatLSTM"})).coverage.unread
    wave = read(saved(tmp_path / "m.nam", document | {"architecture": "WaveNet"}))
    assert wave.coverage.notes == ("its architecture is WaveNet, which has no recurrent weight",)
    assert not wave.coverage.unread
    with pytest.raises(CheckpointError, match="no flat list of numbers"):
        read(saved(tmp_path / "m.nam", document | {"weights": ["x"]}))


def test_the_weights_that_keras_returns_as_lists(tmp_path):
    weights = [random(3, 20), random(5, 20), random(20), random(5, 2), random(2)]
    for document, name in ((weights, "1"), ({"lstm": weights[:3], "dense": weights[3:]}, "lstm.1")):
        (layer,) = read(saved(tmp_path / "m.json", document))
        assert (layer.name, layer.cell, layer.input_size) == (name, "lstm", 3)
        np.testing.assert_array_equal(layer.gates["f"], weights[1][:, 5:10].T)


def test_the_parameters_of_torch_as_lists(tmp_path):
    weights = [random(15, 3), random(15, 5), random(15), random(15)]
    (layer,) = read(saved(tmp_path / "m.json", weights))
    assert (layer.cell, layer.hidden_size) == ("gru", 5)
    np.testing.assert_array_equal(layer.recurrent_biases["n"], weights[3][10:])


def test_a_model_whose_weights_are_not_recognised_is_not_passed_in_silence(tmp_path):
    layers = read(saved(tmp_path / "m.json", {"type": "LSTM", "hidden": {"inputMatrix": random(4, 3)}}))
    assert not layers
    assert layers.coverage.unread == ("its text names LSTM, whose weights were not recognised: not read",)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({}, "without a weight_map and without arrays of numbers; name the file"),
        ({"model_type": "rwkv", "sizes": 3}, "name the file that holds the weights"),
        ({"class_name": "Sequential", "config": {"layers": []}}, "configuration of a Keras model; name the file"),
        (["a", "b"], "without arrays of numbers"),
    ],
)
def test_json_without_weights(tmp_path, document, message):
    with pytest.raises(CheckpointError, match=message):
        read(saved(tmp_path / "m.json", document))


def test_ragged_lists_and_long_names_are_harmless(tmp_path):
    assert not read(saved(tmp_path / "m.json", {"a": [[1.0, 2.0], [3.0]], "b": [1.0, "x"], "c": [10**400, 1]}))
    deep = {"k" * 100_000: {f"{place}": [1.0] for place in range(2000)}}
    with pytest.raises(CheckpointError, match="the names of its tensors would take"):
        read(saved(tmp_path / "m.json", deep))
    nested = [1.0, "x"]
    for _ in range(80):
        nested = [nested, "x"]
    with pytest.raises(CheckpointError, match="deeper than 64"):
        read(saved(tmp_path / "m.json", nested))


def test_a_bias_that_is_one_number_is_no_bias(tmp_path):
    for layer in read(saved(tmp_path / "m.json", {"a.weight_hh": random(12, 3), "a.bias_hh": 0.5})):
        assert not layer.biases
