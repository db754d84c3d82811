"""Arrays that are known by their place in a list alone."""

import pickle

import keras
import numpy as np
import pytest

from unitcircle.checkpoints import read
from unitcircle.checkpoints._unnamed import lists_of_places
from unitcircle.keras import to_layers


@pytest.mark.parametrize("kind", [keras.layers.LSTM, keras.layers.GRU])
def test_the_weights_of_a_keras_model_saved_as_a_list(kind, tmp_path):
    model = keras.Sequential([keras.Input((None, 3)), kind(5, return_sequences=True), kind(4), keras.layers.Dense(2)])
    weights = [weight.value.detach().numpy() for weight in model.weights]
    np.savez(tmp_path / "w.npz", *weights)
    (tmp_path / "w.pkl").write_bytes(pickle.dumps(weights))
    for file in ("w.npz", "w.pkl"):
        layers = read(tmp_path / file)
        for layer, oracle in zip(layers, to_layers(model), strict=True):
            for gate, block in oracle.gates.items():
                np.testing.assert_array_equal(layer.gates[gate], block)
                np.testing.assert_array_equal(layer.inputs[gate], oracle.inputs[gate])
                np.testing.assert_array_equal(layer.biases[gate], oracle.biases[gate])


def test_a_list_of_feed_forward_weights_is_no_layer(tmp_path):
    rng = np.random.default_rng(0)
    shapes = [(8, 8), (8,), (8, 32), (32,), (32, 8), (8,)]
    np.savez(tmp_path / "w.npz", *[rng.standard_normal(shape) for shape in shapes])
    assert len(read(tmp_path / "w.npz")) == 0


def test_names_are_places_only_where_all_of_a_file_are():
    names = ["arr_10", "arr_2", "w.0", "w.1"]
    assert lists_of_places(names) == [["arr_2", "arr_10"], ["w.0", "w.1"]]
    assert lists_of_places([*names, "rnn._flat_weights.x"]) == []
