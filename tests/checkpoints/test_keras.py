"""Keras files: what is written into one comes out as layers, whatever the age of the format."""

import errno
import io
import json
import os
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from tests.checkpoints.test_hdf5 import damaged

from unitcircle.checkpoints import read
from unitcircle.checkpoints._hdf5 import Hdf5Process
from unitcircle.checkpoints._keras import read_hdf5, read_keras
from unitcircle.checkpoints._keras_config import KerasModel
from unitcircle.checkpoints._room import room
from unitcircle.errors import CheckpointError
from unitcircle.recurrence import Cell

h5py = pytest.importorskip("h5py")
SHARED = Path(__file__).parents[3] / "shared"
EIGHT_DIGITS = 0.5e-7
"""Relative rounding of a reference value that is written with eight significant digits."""
COUNT = {"SimpleRNN": 1, "GRU": 3, "LSTM": 4}
ORDER = {"SimpleRNN": "h", "GRU": "zrn", "LSTM": "ifgo"}


@pytest.fixture(scope="module")
def process():
    with Hdf5Process() as running:
        yield running


def weights(kind, n=2, m=3, *, seed=0, bias=()):
    """Return a layer's arrays in the layout of Keras: kernel, recurrent kernel, bias."""
    rng, k = np.random.default_rng(seed), COUNT[kind]
    shapes = [(m, k * n), (n, k * n), bias or (k * n,)]
    return [rng.standard_normal(shape).astype(np.float32) for shape in shapes]


def assert_holds(layer, kind, arrays):
    """Hold every block against a slice of the arrays that were written."""
    kernel, recurrent, *bias = arrays
    n = len(recurrent)
    for place, gate in enumerate(ORDER[kind]):
        columns = slice(place * n, (place + 1) * n)
        np.testing.assert_array_equal(layer.gates[gate], recurrent[:, columns].T)
        np.testing.assert_array_equal(layer.inputs[gate], kernel[:, columns].T)
        if bias and bias[0].ndim == 1:
            np.testing.assert_array_equal(layer.biases[gate], bias[0][columns])


def write_legacy(path, groups, *, under="", attributes=None, **root):
    """Write groups of named arrays as Keras 1 and 2 did."""
    with h5py.File(path, "w") as file:
        top = file.require_group(under) if under else file
        top.attrs["layer_names"] = np.array([name.split("/")[0] for name in groups], "S")
        for name, arrays in groups.items():
            for leaf, array in arrays.items():
                top[f"{name}/{leaf}"] = array
        file.attrs.update(root)


def named(arrays):
    return dict(zip(("kernel:0", "recurrent_kernel:0", "bias:0"), arrays, strict=False))


def write_tree(path, groups):
    """Write groups of numbered arrays as Keras 3 does."""
    with h5py.File(path, "w") as file:
        for name, arrays in groups.items():
            for place, array in enumerate(arrays):
                file[f"{name}/vars/{place}"] = array


def write_keras(path, groups, layers, *, version="3.9.2", compression=zipfile.ZIP_STORED):
    tree = path.with_suffix(".h5")
    write_tree(tree, groups)
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("metadata.json", json.dumps({"keras_version": version}))
        archive.writestr("config.json", json.dumps(model(*layers)))
        archive.write(tree, "model.weights.h5")


def model(*layers):
    return {"class_name": "Sequential", "config": {"name": "model", "layers": list(layers)}}


def layer(kind, name="", **config):
    return {"class_name": kind, "config": {"name": name or kind.lower()} | config}


def convolutional(number, channels=2):
    """Return the kernel, the recurrent kernel and the bias of a ConvLSTM over so many axes."""
    rng = np.random.default_rng(number)
    shape = (3,) * number
    return [rng.standard_normal((*shape, 3, 4 * channels)), rng.standard_normal((*shape, channels, 4 * channels)),
            rng.standard_normal(4 * channels)]  # fmt: skip


class TestLegacyHdf5:
    @pytest.mark.parametrize("kind", COUNT)
    @pytest.mark.parametrize("under", ["", "model_weights"])
    def test_weights_alone(self, tmp_path, process, kind, under):
        arrays = weights(kind)
        write_legacy(tmp_path / "a.h5", {"encoder/encoder": named(arrays)}, under=under)
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert_holds(found, kind, arrays)
        assert found.cell is {"SimpleRNN": Cell.RNN_TANH, "GRU": Cell.GRU, "LSTM": Cell.LSTM}[kind]
        assert (found.name, found.direction, found.reset_after) == ("encoder", "forward", False)
        prefix = f"{under}/encoder/encoder/".removeprefix("/")
        assert found.source.tensors == tuple(f"{prefix}{leaf}:0" for leaf in ("recurrent_kernel", "kernel", "bias"))
        assert found.source.file == str(tmp_path / "a.h5")
        assert found.source.dtype == "float32"
        assert [entry.reason for entry in coverage.analysed] == ["encoder"] * 3
        assert not coverage.skipped
        assert not coverage.notes

    def test_the_order_of_the_model_not_of_the_alphabet(self, tmp_path, process):
        names = ["lstm_10", "lstm_9", "alpha"]
        write_legacy(tmp_path / "a.h5", {f"{name}/{name}": named(weights("LSTM")) for name in names})
        assert [found.name for found in read_hdf5(tmp_path / "a.h5", process=process)[0]] == names
        with h5py.File(tmp_path / "a.h5", "a") as file:
            del file.attrs["layer_names"]
        natural = ["alpha", "lstm_9", "lstm_10"]
        assert [found.name for found in read_hdf5(tmp_path / "a.h5", process=process)[0]] == natural

    def test_a_gru_with_and_without_reset_after(self, tmp_path, process):
        arrays = weights("GRU", bias=(2, 6))
        write_legacy(tmp_path / "a.h5", {"a": named(arrays), "b": named(weights("GRU")[:2])})
        (after, bare), _ = read_hdf5(tmp_path / "a.h5", process=process)
        assert after.reset_after
        np.testing.assert_array_equal(after.recurrent_biases["n"], arrays[2][1, 4:])
        assert bare.biases == {}

    @pytest.mark.parametrize("kind", ["LSTM", "GRU"])
    def test_cudnn_layers(self, tmp_path, process, kind):
        k, n = COUNT[kind], 2
        arrays = weights(kind, bias=(2 * k * n,))
        write_legacy(tmp_path / "a.h5", {f"cu_dnn{kind.lower()}": named(arrays)})
        (found,), _ = read_hdf5(tmp_path / "a.h5", process=process)
        assert found.source.layout == "keras-cudnn"
        first = ORDER[kind][0]
        np.testing.assert_array_equal(found.gates[first], arrays[1][:, :n])
        np.testing.assert_allclose(
            found.biases[first], arrays[2][:n] + arrays[2][k * n :][:n], rtol=2.0**-23
        )  # in float32

    @pytest.mark.parametrize(("group", "name"), [(".", "/"), ("layers", "/"), ("layers/gru/cell", "gru")])
    def test_groups_that_name_no_layer(self, tmp_path, process, group, name):
        write_legacy(tmp_path / "a.h5", {group: named(weights("GRU"))})
        assert [found.name for found in read_hdf5(tmp_path / "a.h5", process=process)[0]] == [name]

    def test_bidirectional_names_without_configuration(self, tmp_path, process):
        forward, backward = weights("LSTM"), weights("LSTM", seed=1)
        groups = {
            "bidirectional/bidirectional/backward_lstm/lstm_cell_2": named(backward),
            "bidirectional/bidirectional/forward_lstm/lstm_cell_1": named(forward),
        }
        write_legacy(tmp_path / "a.h5", groups)
        found, _ = read_hdf5(tmp_path / "a.h5", process=process)
        assert [(one.name, one.direction) for one in found] == [
            ("bidirectional/forward_lstm", "forward"),
            ("bidirectional/backward_lstm", "reverse"),
        ]
        assert_holds(found[0], "LSTM", forward)
        assert_holds(found[1], "LSTM", backward)

    def test_a_whole_model_says_what_its_layers_are(self, tmp_path, process):
        config = model(
            layer("SimpleRNN", "rnn", activation="relu", go_backwards=True),
            layer("LSTM", "odd", activation="sigmoid", recurrent_activation="hard_sigmoid"),
            layer("Lambda", "trick", function="base64"),
        )
        optimizer = {"Adam/rnn/kernel/m:0": np.zeros((3, 2))}
        groups = {"rnn": named(weights("SimpleRNN")), "odd": named(weights("LSTM")), "dense": {"kernel:0": np.eye(4)}}
        path = tmp_path / "a.h5"
        write_legacy(path, groups, under="model_weights", model_config=json.dumps(config), keras_version="2.4.0")
        with h5py.File(path, "a") as file:
            for name, array in optimizer.items():
                file[f"optimizer_weights/{name}"] = array
        (rnn, odd), coverage = read_hdf5(path, process=process)
        assert (rnn.cell, rnn.direction) == (Cell.RNN_RELU, "reverse")
        assert odd.activations == {"i": "hard_sigmoid", "f": "hard_sigmoid", "g": "sigmoid", "o": "hard_sigmoid"} | {
            "c": "sigmoid"
        }
        skipped = {entry.name: entry.reason for entry in coverage.skipped}
        assert skipped["optimizer"].startswith("tensors of an optimizer")
        assert skipped["model_weights/dense/kernel:0"] == "square, in a layer that is not recurrent"
        assert not coverage.undecided
        (note,) = coverage.notes
        assert "Lambda layer 'trick' holds Python code, which is never run" in note
        assert "replace it by a layer of Keras" in note

    def test_what_is_not_read_has_a_reason(self, tmp_path, process):
        kernel, recurrent, bias = weights("LSTM")
        groups = {
            "conv": {"recurrent_kernel:0": np.zeros((3, 3, 2, 8))},
            "five": {"recurrent_kernel:0": np.zeros((2, 10)), "kernel:0": np.zeros((3, 10))},
            "flat": {"recurrent_kernel:0": np.zeros(4)},
            "integer": named([kernel, recurrent.astype(int), bias]),
            "misfit": named([kernel, recurrent, bias[:5]]),
            "peephole": named([kernel, recurrent, bias]) | {"input_gate_peephole_weights:0": bias},
        }
        write_legacy(tmp_path / "a.h5", groups)
        layers, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert not layers
        reasons = {entry.name.split("/")[0]: entry.reason for entry in coverage.skipped}
        expected = {
            "conv": "convolutional",
            "five": "neither one block",
            "flat": "neither one block",
            "integer": "no floating type",
            "misfit": "does not fit together: bias",
            "peephole": "of a recurrent cell whose equation is not in the file",
        }
        assert reasons.keys() == expected.keys()
        for name, words in expected.items():
            assert words in reasons[name]
        assert coverage.notes == ("no recurrent layer found",)
        assert sorted(text.split(" looks")[0] for text in coverage.unread) == sorted(groups)
        assert coverage.other == 5

    def test_arrays_of_another_program_are_told_by_their_names(self, tmp_path, process):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            file["W_rec"] = np.arange(9.0).reshape(3, 3)
            file["M"] = np.eye(4)
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        np.testing.assert_array_equal(found.gates["h"], np.arange(9.0).reshape(3, 3))
        assert [entry.name for entry in coverage.skipped] == ["M"]

    @pytest.mark.parametrize("archive", [True, False])
    def test_a_person_decides(self, tmp_path, archive):
        arrays = weights("SimpleRNN")
        if archive:
            write_keras(tmp_path / "a", {"layers/mixer": arrays}, [layer("Mixer")])
        else:
            write_tree(tmp_path / "a", {"layers/mixer": arrays})
        assert [entry.name for entry in read(tmp_path / "a").coverage.undecided] == ["layers/mixer/vars/1"]
        (found,) = read(tmp_path / "a", tensors="layers/mixer/vars/1", layout="keras")
        np.testing.assert_array_equal(found.gates["h"], arrays[1].T)


SQUARE = {"kernel:0": np.ones((3, 4)), "recurrent_kernel:0": np.ones((4, 4)), "bias:0": np.zeros(4)}
STACK = named(weights("LSTM", n=4))
EYE = {"kernel:0": np.eye(4)}
MIXED = {"input_kernel:0": np.ones((3, 8)), "recurrent_kernel:0": np.ones((2, 8))}
ITS_OWN = "looks like a recurrent cell of its own"
CUSTOM_GROUPS = {
    "other leaves": (
        {"rnn/mixed_cfc_cell": MIXED},
        f"rnn/mixed_cfc_cell {ITS_OWN}, a CfC by its name (input_kernel, recurrent_kernel): not read",
    ),
    "a further leaf": ({"rnn/rnn/ctrnn_cell": SQUARE | {"scale:0": np.ones(4)}}, f"rnn/ctrnn_cell {ITS_OWN}, a CT-RNN"),
    "a further leaf in a layer": ({"encoder/encoder": STACK | {"decay:0": np.ones(4)}}, f"encoder {ITS_OWN} ("),
    "the name of the cell alone": ({"layer/layer/leaky_rnn_cell": SQUARE}, f"layer/leaky_rnn_cell {ITS_OWN}, a leaky"),
    "any other cell": ({"outer/outer/fancy_cell_3": STACK}, f"outer/fancy_cell_3 {ITS_OWN} ("),
    "a subgroup": ({"a/a": STACK, "a/a/gate": EYE}, f"a {ITS_OWN} (bias, kernel, recurrent_kernel, gate/kernel)"),
    "a GRU-ODE": (
        {"rnn/rnn/gruode/dense": EYE, "rnn/rnn/gruode/dense_1": EYE},
        f"rnn/gruode {ITS_OWN}, a GRU-ODE by its name (dense/kernel, dense_1/kernel)",
    ),
    "a CfC in layers": (
        {"rnn/rnn/wired_cfc_cell/layer0": {"ff1/kernel:0": np.eye(4)}},
        f"rnn/wired_cfc_cell {ITS_OWN}",
    ),
    "no name at all": ({"rnn/rnn/dense_1": EYE}, f"rnn {ITS_OWN} ("),
    "a cell in the layer RNN": ({"rnn_3/model/rnn_3/odd": SQUARE}, f"rnn_3 {ITS_OWN} ("),
    "a recurrent layer": ({"cfc/cfc": STACK}, f"cfc {ITS_OWN}, a CfC by its name"),
}


class TestCustomCells:
    """A cell that is none of Keras' own is never judged as one, and never passed over in silence."""

    @pytest.mark.parametrize("case", CUSTOM_GROUPS)
    def test_weights_alone(self, tmp_path, process, case):
        groups, words = CUSTOM_GROUPS[case]
        write_legacy(tmp_path / "a.h5", groups | {"dense/dense": {"kernel:0": np.eye(3)}})
        layers, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert not layers
        (sentence,) = coverage.unread
        assert sentence.startswith(words)
        assert ": not read" in sentence
        # Every array of the cell is listed, and a person may choose among its matrices.
        listed = {entry.name: entry for entry in coverage.skipped if not entry.name.startswith("dense")}
        assert len(listed) == sum(map(len, groups.values()))
        assert all(entry.undecided == (len(entry.shape) == 2) for entry in listed.values())
        assert {entry.reason for entry in listed.values()} == {"of a recurrent cell whose equation is not in the file"}

    @pytest.mark.parametrize(
        "path",
        [
            "my_lstm/my_lstm",
            "encoder/encoder/lstm_cell_12",
            "rnn/rnn/lstm_cell",
            "rnn_2/stacked_rnn_cells/lstm_cell_1",
            "time_distributed/lstm/lstm_cell",
            "model/bidirectional/forward_encoder/lstm_cell_4",
            "rnn/rnn",
        ],
    )
    def test_names_that_keras_or_its_users_give_its_own_layers(self, tmp_path, process, path):
        arrays = weights("LSTM")
        write_legacy(tmp_path / "a.h5", {path: named(arrays)})
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert_holds(found, "LSTM", arrays)
        assert (coverage.unread, coverage.notes) == ((), ())

    def test_a_model_named_rnn_is_no_cell(self, tmp_path, process):
        write_legacy(tmp_path / "a.h5", {"rnn/lstm/lstm_cell": STACK, "rnn/dense": {"kernel:0": np.eye(4)}})
        layers, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert (len(layers), coverage.unread) == (1, ())

    def test_the_hidden_cell_of_an_lmu_is_read_and_its_memory_is_not(self, tmp_path, process):
        groups = {"lmu/lmu_cell": {"kernel:0": np.ones((3, 1))}, "lmu/lmu_cell/simple_rnn_cell": SQUARE}
        write_legacy(tmp_path / "a.h5", groups)
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert found.cell is Cell.RNN_TANH
        assert coverage.unread == (
            "lmu/lmu_cell looks like a recurrent cell of its own, an LMU by its name (kernel): not read",
            "lmu looks like an LMU: only its hidden cell is read, and not the memory that feeds it",
        )

    def test_cells_of_two_layers_that_have_one_name(self, tmp_path, process):
        """Both directions of an RNN layer have a cell of that name."""
        cell = layer("GRUCell", "gru_cell")
        sides = layer("RNN", "forward_rnn", cell=cell), layer("RNN", "backward_rnn", cell=cell, go_backwards=True)
        config = model(layer("Bidirectional", "both", layer=sides[0], backward_layer=sides[1]))
        arrays = {side: weights("GRU", seed=seed) for seed, side in enumerate(("backward", "forward"))}
        groups = {f"both/m/both/{side}_rnn/gru_cell": one for side, one in arrays.items()}
        write_legacy(
            tmp_path / "a.h5",
            {name: named(one) for name, one in groups.items()},
            under="model_weights",
            model_config=json.dumps(config),
            keras_version="3.15",
        )
        found, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert {one.name: one.direction for one in found} == {
            "both/forward_rnn/gru_cell": "forward",
            "both/backward_rnn/gru_cell": "reverse",
        }
        for one in found:
            assert_holds(one, "GRU", arrays["backward" if one.direction == "reverse" else "forward"])
        assert not coverage.unread

    def test_a_cell_that_its_layer_configures_without_a_name(self, tmp_path, process):
        config = model(
            layer("RNN", "rnn_3", cell={"class_name": "Leaky", "config": {"units": 4}}), layer("Decoder", "d")
        )
        groups = {"rnn_3/m/rnn_3/leaky": SQUARE, "d/m/d/lstm_cell": STACK}
        write_legacy(tmp_path / "a.h5", groups, model_config=json.dumps(config), keras_version="3.15")
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert (found.name, found.cell) == ("d", Cell.LSTM)
        (sentence,) = coverage.unread
        assert sentence.startswith("rnn_3/leaky looks like a recurrent cell of its own, of the class Leaky (bias, ")

    def test_the_class_decides_where_there_is_a_configuration(self, tmp_path, process):
        cell = {"class_name": "pack>MixedCfcCell", "config": {"name": "odd"}, "registered_name": "pack>MixedCfcCell"}
        layers = [layer("RNN", "rnn", cell=cell), layer("pack>MyLSTM", "mine"), layer("LSTM", "cfc_cell")]
        groups = {"rnn/rnn/odd": STACK, "mine/mine": STACK, "cfc_cell/cfc_cell": STACK}
        write_legacy(tmp_path / "a.h5", groups, model_config=json.dumps(model(*layers)), keras_version="2.8.0")
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert found.name == "cfc_cell"
        assert [text.partition(" (")[0] for text in coverage.unread] == [
            "rnn/odd looks like a recurrent cell of its own, a CfC by its name, of the class MixedCfcCell",
            "mine looks like a recurrent cell of its own, of the class MyLSTM",
        ]
        groups = {"layers/rnn/cell": weights("LSTM"), "layers/my_lstm/cell": weights("LSTM")}
        write_keras(tmp_path / "a.keras", groups | {"layers/lstm/cell": weights("LSTM", seed=1)}, layers)
        (found,), coverage = read_keras(tmp_path / "a.keras", process=process)
        assert found.name == "cfc_cell"
        assert sorted(text.split(" ")[0] for text in coverage.unread) == ["my_lstm/cell", "rnn/cell"]

    @pytest.mark.parametrize("number", [1, 2, 3])
    @pytest.mark.parametrize("under", ["tree", "legacy"])
    def test_a_convolutional_lstm_is_read_where_its_activation_is_known(self, tmp_path, process, number, under):
        arrays = convolutional(number)
        layers = [layer(f"ConvLSTM{number}D", "seen", recurrent_activation="sigmoid"), layer("LSTM", "plain")]
        if under == "tree":
            groups = {f"layers/conv_lstm{number}d/cell": arrays, "layers/lstm/cell": weights("LSTM")}
            write_keras(tmp_path / "a.keras", groups, layers)
            found, coverage = read_keras(tmp_path / "a.keras", process=process)
        else:
            groups = {"seen/m/seen/conv_lstm_cell": named(arrays), "plain/plain": named(weights("LSTM"))}
            config = json.dumps(model(*layers))
            write_legacy(tmp_path / "a.h5", groups, under="model_weights", model_config=config, keras_version="3.15")
            found, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert [one.name for one in found] == ["seen", "plain"]
        forget = 1 / (1 + np.exp(-arrays[2][2:4]))
        np.testing.assert_allclose(
            np.exp(found[0].linear.log_eigenvalues.ravel()), forget, rtol=4 * np.finfo(np.float32).eps
        )
        assert not coverage.unread
        assert {entry.name for entry in coverage.analysed} >= set(found[0].source.tensors)

    @pytest.mark.parametrize(("config", "change", "reason"), [
        ({"recurrent_activation": "softsign"}, None, "its recurrent activation is softsign, and no sigmoid"),
        ({}, (1, np.zeros((3, 3, 2, 6))), "its recurrent kernel has not the four gates of its channels"),
        ({}, (2, np.zeros(4)), "its bias has not the four gates of its channels"),
        ({}, (1, np.zeros((3, 3, 2, 8), int)), "its layer does not have a kernel and a recurrent kernel of floating"),
    ])  # fmt: skip
    def test_a_convolutional_lstm_that_is_not_read_has_a_reason(self, tmp_path, process, config, change, reason):
        arrays = convolutional(2)
        if change:
            arrays[change[0]] = change[1]
        write_keras(tmp_path / "a.keras", {"layers/conv_lstm2d/cell": arrays}, [layer("ConvLSTM2D", "seen", **config)])
        found, coverage = read_keras(tmp_path / "a.keras", process=process)
        assert not found
        (sentence,) = coverage.unread
        assert sentence.startswith(f"seen looks like a ConvLSTM: not read ({reason}")
        assert len(coverage.skipped) == 3

    @pytest.mark.parametrize(("version", "slope"), [("3.15", 1 / 6), ("2.8.0", 1 / 5)])
    def test_the_cut_sigmoid_of_a_convolutional_lstm_has_the_slope_of_its_version(
        self, tmp_path, process, version, slope
    ):
        arrays = convolutional(2)
        config = model(layer("ConvLSTM2D", "seen", recurrent_activation="hard_sigmoid"))
        groups = {"seen/m/seen/conv_lstm_cell": named(arrays)}
        write_legacy(tmp_path / "a.h5", groups, model_config=json.dumps(config), keras_version=version)
        ((found,), coverage) = read_hdf5(tmp_path / "a.h5", process=process)
        expected = np.clip(slope * arrays[2][2:4] + 0.5, 0, 1)
        np.testing.assert_allclose(found.diagonal, expected, rtol=4 * np.finfo(np.float32).eps)
        assert not coverage.unread

    def test_a_convolutional_lstm_without_a_bias_forgets_half(self, tmp_path, process):
        groups = {"layers/conv_lstm2d/cell": convolutional(2)[:2]}
        write_keras(tmp_path / "a.keras", groups, [layer("ConvLSTM2D", "seen", use_bias=False)])
        (found,), _ = read_keras(tmp_path / "a.keras", process=process)
        np.testing.assert_allclose(np.exp(found.linear.log_eigenvalues.ravel()), [0.5, 0.5])

    def test_a_tree_of_keras_3_without_its_configuration(self, tmp_path, process):
        arrays = weights("GRU", bias=(2, 6))
        seed = [np.zeros(2, np.uint32)]
        write_tree(tmp_path / "a.h5", {"layers/encoder/cell": arrays, "layers/encoder/cell/seed_generator": seed})
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert (found.name, found.cell, coverage.unread) == ("encoder", Cell.GRU, ())
        groups = {"layers/rnn/cell": arrays, "layers/fast/cell": [*arrays, np.ones(2)], "layers/my_gru": arrays}
        write_tree(tmp_path / "a.h5", groups)
        layers, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert not layers
        assert [text.split(" looks")[0] for text in coverage.unread] == ["fast/cell", "my_gru", "rnn"]


class TestActivations:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            ("leaky_relu", "leaky_relu(0.2)"),
            ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}}, "leaky_relu(0.1)"),
            ({"class_name": "LeakyReLU", "config": {}}, "leaky_relu(0.3)"),
            ({"class_name": "ReLU", "config": {"max_value": None, "negative_slope": 0.0}}, "relu"),
            ({"class_name": "ReLU", "config": {"max_value": 6.0}}, "relu(?)"),
            ({"class_name": "function", "config": "mine>tanh"}, "mine>tanh"),
            ("swish_custom", "swish_custom"),
            ("elu", "elu"),
            ({"class_name": "ELU", "config": {"alpha": 0.5}}, "elu(0.5)"),
            ({"class_name": "Activation", "config": {"activation": "relu"}}, "relu"),
            ({"value": ["4wEAAAA=", None, None]}, "a function without a name"),  # a lambda
        ],
    )
    def test_a_function_keeps_its_name_and_constants(self, tmp_path, process, value, name):
        config = model(layer("LSTM", activation=value))
        write_legacy(tmp_path / "a.h5", {"lstm": STACK}, model_config=json.dumps(config), keras_version="3.1")
        (found,), _ = read_hdf5(tmp_path / "a.h5", process=process)
        assert found.activations["g"] == name
        known = name in {"relu"} or name.startswith(("leaky", "elu"))
        assert found.unknown == (frozenset() if known else {"activation"})
        np.testing.assert_array_equal(found.gates["i"], STACK["recurrent_kernel:0"][:, :4].T)


class TestKeras1:
    """One array for every gate, named after the layer."""

    def write(self, path, kind, arrays, *, suffix="", **root):
        kernel, recurrent, bias = (np.split(array, COUNT[kind], axis=-1) for array in arrays)
        gates = {"SimpleRNN": ["_h"], "GRU": ["_z", "_r", "_h"], "LSTM": ["_i", "_f", "_c", "_o"]}[kind]
        name = f"{kind.lower()}_1"
        leaves = {
            f"{name}_{part}{'' if kind == 'SimpleRNN' else gate}{suffix}": array
            for part, stack in zip("WUb", (kernel, recurrent, bias), strict=True)
            for gate, array in zip(gates, stack, strict=True)
        }
        write_legacy(path, {name: leaves, "dense_1": {"dense_1_W": np.eye(4), "dense_1_b": np.zeros(4)}}, **root)

    @pytest.mark.parametrize("suffix", ["", ":0"])
    @pytest.mark.parametrize("kind", COUNT)
    def test_a_layer(self, tmp_path, process, kind, suffix):
        arrays = weights(kind)
        self.write(tmp_path / "a.h5", kind, arrays, suffix=suffix, keras_version="1.2.2")
        (found,), coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert_holds(found, kind, arrays)
        assert (found.name, found.reset_after, coverage.unread) == (f"{kind.lower()}_1", False, ())
        assert len(coverage.analysed) == 3 * COUNT[kind]
        if kind != "SimpleRNN":
            assert found.activations["r" if kind == "GRU" else "f"] == "hard_sigmoid"

    def test_its_configuration(self, tmp_path, process):
        config = model(layer("LSTM", "lstm_1", inner_activation="sigmoid", activation="relu", go_backwards=True))
        root = {"model_config": json.dumps(config), "keras_version": "1.2.2"}
        self.write(tmp_path / "a.h5", "LSTM", weights("LSTM"), **root)
        (found,), _ = read_hdf5(tmp_path / "a.h5", process=process)
        assert (found.activations["f"], found.activations["g"], found.direction) == ("sigmoid", "relu", "reverse")

    def test_arrays_that_do_not_fit_together(self, tmp_path, process):
        kernel, recurrent, bias = weights("LSTM")
        self.write(tmp_path / "a.h5", "LSTM", [kernel, recurrent, np.tile(bias, 2)], keras_version="1.2.2")
        layers, coverage = read_hdf5(tmp_path / "a.h5", process=process)
        assert not layers
        assert {entry.reason.split(":")[0] for entry in coverage.skipped if "lstm" in entry.name} == {
            "its layer does not fit together"
        }
        assert coverage.unread[0].startswith("lstm_1 looks recurrent (")


class TestKeras3:
    def test_layers_with_their_configuration(self, tmp_path, process):
        groups = {
            "layers/lstm/cell": weights("LSTM", seed=1),
            "layers/lstm_1/cell": weights("LSTM", seed=2)[:2],
            "layers/gru/cell": weights("GRU", bias=(2, 6)),
            "layers/dense": [np.eye(4)],
            "optimizer": [np.zeros((2, 2))],
        }
        layers = (
            layer("InputLayer"),
            layer("GRU", "third", reset_after=True, recurrent_activation="hard_sigmoid"),
            layer("LSTM", "second", activation=None),
            layer("LSTM", "first", activation={"class_name": "function", "config": "relu"}),
            layer("Dense"),
        )
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            write_keras(tmp_path / "a.keras", groups, layers, compression=compression)
            (third, second, first), coverage = read_keras(tmp_path / "a.keras", process=process)
            assert_holds(second, "LSTM", groups["layers/lstm/cell"])
            assert_holds(first, "LSTM", groups["layers/lstm_1/cell"])
            assert [one.name for one in (first, second, third)] == ["first", "second", "third"]
            assert (second.activations["g"], first.activations["g"]) == ("linear", "relu")
            assert third.activations["z"] == "hard_sigmoid6"
            assert third.reset_after
            assert first.source.tensors == ("layers/lstm_1/cell/vars/1", "layers/lstm_1/cell/vars/0")
            assert first.source.file == str(tmp_path / "a.keras")
            assert [entry.name for entry in coverage.skipped] == ["optimizer", "layers/dense/vars/0"]

    def test_the_same_activation_name_is_another_function_in_keras_2(self, tmp_path, process):
        groups = {"_layer_checkpoint_dependencies/lstm/cell": weights("LSTM")}
        layers = (layer("LSTM", "a", recurrent_activation="hard_sigmoid"),)
        write_keras(tmp_path / "a.keras", groups, layers, version="2.15.0")
        (found,), _ = read_keras(tmp_path / "a.keras", process=process)
        assert (found.name, found.activations["i"]) == ("a", "hard_sigmoid")

    def test_wrappers_and_nested_models(self, tmp_path, process):
        kinds = {
            "layers/bidirectional/forward_layer/cell": "LSTM",
            "layers/bidirectional/backward_layer/cell": "LSTM",
            "layers/bidirectional_1/forward_layer/cell": "GRU",
            "layers/bidirectional_1/backward_layer/cell": "GRU",
            "layers/rnn/cell/cells/lstm_cell": "LSTM",
            "layers/rnn/cell/cells/lstm_cell_1": "LSTM",
            "layers/rnn_1/cell": "SimpleRNN",
            "layers/functional/layers/time_distributed/layer/layers/simple_rnn/cell": "SimpleRNN",
        }
        groups = {path: weights(kind, seed=seed) for seed, (path, kind) in enumerate(kinds.items())}
        own = layer("GRU", "backward_gru", go_backwards=True, activation="relu")
        stacked = {
            "class_name": "StackedRNNCells",
            "config": {"cells": [layer("LSTMCell", "a"), layer("LSTMCell", "b")]},
        }
        layers = (
            layer("Bidirectional", "both", layer=layer("LSTM")),
            layer("Bidirectional", "pair", layer=layer("GRU", "forward_gru"), backward_layer=own),
            layer("RNN", "stack", cell=stacked, go_backwards=True),
            layer("RNN", "one", cell=layer("SimpleRNNCell", "c")),
            layer("Functional", "inner", layers=[layer("TimeDistributed", "td", layer=model(layer("SimpleRNN", "d")))]),
        )
        write_keras(tmp_path / "a.keras", groups, layers)
        found, _ = read_keras(tmp_path / "a.keras", process=process)
        assert [(one.name, one.direction) for one in found] == [
            ("both/forward_lstm", "forward"),
            ("both/backward_lstm", "reverse"),
            ("pair/forward_gru", "forward"),
            ("pair/backward_gru", "reverse"),
            ("stack/a", "reverse"),
            ("stack/b", "reverse"),
            ("one/c", "forward"),
            ("inner/td/model/d", "forward"),
        ]
        assert [one.activations.get("n") for one in found[2:4]] == ["tanh", "relu"]
        for one, (path, kind) in zip(found, kinds.items(), strict=True):
            assert_holds(one, kind, groups[path])

    def test_weights_alone_are_named_after_their_place(self, tmp_path, process):
        groups = {
            "layers/bidirectional/backward_layer/cell": weights("GRU"),
            "encoder/cell": weights("LSTM"),
            "layers/mixer": weights("SimpleRNN"),
            "my_cell": [np.eye(3)],
        }
        write_tree(tmp_path / "a.weights.h5", groups)
        (encoder, backward), coverage = read_hdf5(tmp_path / "a.weights.h5", process=process)
        assert (encoder.name, encoder.cell) == ("encoder", Cell.LSTM)
        assert (backward.name, backward.direction) == ("bidirectional/backward_layer", "reverse")
        undecided = {entry.name: entry.reason for entry in coverage.undecided}
        assert undecided.keys() == {"layers/mixer/vars/1", "my_cell/vars/0"}
        assert "not known to be recurrent" in undecided["layers/mixer/vars/1"]

    @pytest.mark.parametrize("missing", ["config.json", "model.weights.h5"])
    def test_an_archive_without_a_member(self, tmp_path, process, missing):
        with zipfile.ZipFile(tmp_path / "a.keras", "w") as archive:
            for name in {"metadata.json", "config.json", "model.weights.h5"} - {missing}:
                archive.writestr(name, "{}")
        with pytest.raises(CheckpointError):
            read_keras(tmp_path / "a.keras", process=process)


class TestConfiguration:
    @pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"a": NaN', "\ud800"])
    def test_no_json(self, text):
        with pytest.raises(CheckpointError, match="its model configuration is no valid JSON"):
            KerasModel.parse(text, "2.10.0")

    def test_too_long(self):
        with room(), pytest.raises(CheckpointError, match=r"its model configuration is JSON of .* would take"):
            KerasModel.parse("[" * 2_000_000, "2.10.0")

    @pytest.mark.parametrize(
        "config",
        [
            [],
            None,
            {"class_name": "LSTM"},
            {"class_name": ["LSTM"], "config": {}},
            {"config": {"layers": 3}},
            {"config": [None, {"config": None}]},
            {"class_name": "Bidirectional", "config": {"layer": 1}},
            {"class_name": "StackedRNNCells", "config": {"cells": {}}},
        ],
    )
    def test_configurations_that_say_nothing(self, config):
        model = KerasModel.parse(json.dumps(config), "")
        assert (model.by_path, model.by_name, model.code) == ({}, {}, [])

    def test_deeply_nested_models_end(self):
        config = layer("LSTM")
        for _ in range(100):
            config = model(config)
        assert KerasModel.parse(json.dumps(config), "3").by_path == {}

    def test_a_bare_list_of_layers_and_halves_of_characters(self):
        parsed = KerasModel.parse('{"config": [{"class_name": "GRU", "config": {"name": "g\\ud800"}}]}', "1.2")
        assert parsed.by_path.keys() == {"layers/gru/cell"}
        assert parsed.by_name.keys() == {"g?"}
        assert parsed.layer("g?/g?").cell is Cell.GRU
        assert parsed.layer("layers/lstm/cell") is None


def test_two_thousand_damaged_archives_raise_nothing_but_checkpoint_error(tmp_path):
    path = tmp_path / "a.keras"
    write_keras(path, {"layers/lstm/cell": weights("LSTM")}, [layer("LSTM")])
    data, found = path.read_bytes(), 0
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with Hdf5Process(patience=0.25) as process:
        for seed in range(2000):
            if seed % 4:
                path.write_bytes(damaged(data, seed))
            else:  # a sound archive of damaged text
                changed = members | {"config.json": damaged(members["config.json"], seed)}
                buffer = io.BytesIO()
                with zipfile.ZipFile(buffer, "w") as archive:
                    for name, content in changed.items():
                        archive.writestr(name, content)
                path.write_bytes(buffer.getvalue())
            with suppress(CheckpointError):
                found += len(read_keras(path, process=process)[0])
    assert found > 100


def test_a_full_disk_is_called_one(tmp_path, monkeypatch):
    def full(path, content):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("metadata.json", "{}")
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", bytes(4096))
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(CheckpointError, match=r"4 KB cannot be unpacked .* \(No space left on device\)\. Make room"):
        read(tmp_path / "m.keras")


def assert_matches_the_reference(layers, file):
    """Hold ρ and σ₁ of every gate against the independent values."""
    records = json.loads((SHARED / "oracles/checkpoints.json").read_text())["records"]
    names = {"c": "g", "h": "h"}
    expected = {}
    for record in records:
        if record["file"] == file:
            tensor = record["tensor"].removeprefix("model.weights.h5:")
            gate = names.get(record["gate"], record["gate"])
            expected[tensor, gate] = record["rho"], record["sigma_max"]
    found = {}
    for one in layers:
        for gate, stored in one.gates.items():
            W = stored.astype(np.float64)
            found[one.source.tensors[0], gate] = np.abs(np.linalg.eigvals(W)).max(), np.linalg.norm(W, 2)
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        np.testing.assert_allclose(found[key], values, rtol=EIGHT_DIGITS)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the real checkpoints of ../shared")
@pytest.mark.parametrize("file", ["dtln.h5", "speech_commands.h5", "emg.keras"])
def test_real_files(file, process):
    reader = read_keras if file.endswith(".keras") else read_hdf5
    layers, coverage = reader(SHARED / "checkpoints" / file, process=process)
    assert_matches_the_reference(layers, file)
    lambdas = [note for note in coverage.notes if "Lambda" in note]
    assert bool(lambdas) == (file == "speech_commands.h5")
