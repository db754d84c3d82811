"""TensorFlow.js: weights in shards beside a model.json, quantized or not, with the configuration of Keras."""

import json

import numpy as np
import pytest
from tests.checkpoints.test_fuzz import mutations

from unitcircle.checkpoints import Layers, read
from unitcircle.errors import CheckpointError

RNG = np.random.default_rng(0)


def random(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def weights(units=5, inputs=3, gates=4):
    columns = gates * units
    return {
        "lstm/lstm_cell/kernel": random(inputs, columns),
        "lstm/lstm_cell/recurrent_kernel": random(units, columns),
        "lstm/lstm_cell/bias": random(columns),
        "dense/kernel": random(units, 2),
    }


def saved(folder, arrays, *, config=None, quantized=False):
    entries, data = [], b""
    for name, array in arrays.items():
        entry = {"name": name, "shape": list(array.shape), "dtype": "float32"}
        stored = array
        if quantized:
            least, scale = float(array.min()), float(np.ptp(array)) / 255
            entry["quantization"] = {"dtype": "uint8", "min": least, "scale": scale}
            stored = np.round((array - least) / scale).astype(np.uint8)
        entries.append(entry)
        data += stored.tobytes()
    half = len(data) // 2 + 1
    (folder / "group1-shard1of2.bin").write_bytes(data[:half])
    (folder / "group1-shard2of2.bin").write_bytes(data[half:])
    manifest = [{"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": entries}]
    topology = {"keras_version": "2.15.0", "model_config": config or {}}
    path = folder / "model.json"
    path.write_text(json.dumps({"format": "layers-model", "modelTopology": topology, "weightsManifest": manifest}))
    return path


def configuration(**options):
    layer = {"class_name": "LSTM", "config": {"name": "lstm", "units": 5, **options}}
    return {"class_name": "Sequential", "config": {"name": "sequential", "layers": [layer]}}


@pytest.mark.parametrize("quantized", [False, True])
def test_a_layer_of_keras(tmp_path, quantized):
    arrays = weights()
    layers = read(saved(tmp_path, arrays, config=configuration(activation="relu"), quantized=quantized))
    assert layers.format == "TensorFlow.js"
    (layer,) = layers
    assert (layer.name, layer.cell, layer.activations["g"], layer.input_size) == ("lstm", "lstm", "relu", 3)
    expected = arrays["lstm/lstm_cell/recurrent_kernel"][:, 5:10].T
    np.testing.assert_allclose(layer.gates["f"], expected, atol=0.05 if quantized else 0)
    assert layers.coverage.other == 1


def test_without_a_configuration_names_tell(tmp_path):
    (layer,) = read(saved(tmp_path, weights()))
    assert layer.cell == "lstm"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"paths": ["../secret"]}, "a file outside of its folder"),
        ({"paths": ["missing.bin"]}, "which is not there; put it beside model.json"),
        ({"paths": ["group1-shard1of2.bin"]}, "does not lie inside its files"),
        ({"weights": [{"name": "x"}]}, "an entry without name, shape or dtype"),
        (
            {"weights": [{"name": "x", "shape": [1], "dtype": "float32", "quantization": {"min": 10**400}}]},
            "not lie inside",
        ),
        ({"weights": None}, "names no files or no weights"),
        ({"weights": [{"name": "x", "shape": [1 << 40], "dtype": "float32"}]}, "does not lie inside its files"),
    ],
)
def test_damaged_manifests(tmp_path, change, message):
    path = saved(tmp_path, weights())
    document = json.loads(path.read_text())
    document["weightsManifest"][0] |= change
    path.write_text(json.dumps(document))
    with pytest.raises(CheckpointError, match=message):
        read(path)


def damaged(path, cases):
    """Count the refusals of a model whose description is damaged."""
    data, refused = path.read_bytes(), 0
    for changed in mutations(data, cases, np.random.default_rng(5)):
        path.write_bytes(changed)
        try:
            assert isinstance(read(path), Layers)
        except CheckpointError:
            refused += 1
    return refused


def test_damage_gives_a_checkpoint_error_or_layers(tmp_path):
    assert damaged(saved(tmp_path, weights(), config=configuration(), quantized=True), 400) > 100
